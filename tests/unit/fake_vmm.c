/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that uses VFIO as its arguments say, in their order: what `barkeep wrap` is tested with. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int device = -1;

static uint64_t number(const char *text)
{
	return strtoull(text ? text : "", NULL, 0);
}

static void open_device(const char *group, const char *name)
{
	const int fd = open(group, O_RDWR);

	device = ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, name);
	if (device < 0)
		perror("open");
	close(fd);
}

static void read_register(uint64_t region, uint64_t offset)
{
	uint32_t value = 0;

	if (pread(device, &value, sizeof(value), (off_t)((region << 40) + offset)) != sizeof(value))
		perror("read");
	else
		printf("0x%08x\n", value);
}

static void show_areas(unsigned region)
{
	struct {
		struct vfio_region_info info;
		uint8_t room[1024];
	} answer = { .info = { .argsz = sizeof(answer), .index = region } };
	uint32_t at;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &answer)) {
		perror("areas");
		return;
	}
	printf("%s", answer.info.flags & VFIO_REGION_INFO_FLAG_MMAP ? "mmap" : "none");
	at = answer.info.flags & VFIO_REGION_INFO_FLAG_CAPS ? answer.info.cap_offset : 0;
	while (at) {
		const struct vfio_region_info_cap_sparse_mmap *cap = (const void *)((char *)&answer + at);

		if (cap->header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			for (unsigned i = 0; i < cap->nr_areas; i++)
				printf(" 0x%llx+0x%llx", (unsigned long long)cap->areas[i].offset,
				       (unsigned long long)cap->areas[i].size);
		at = cap->header.next;
	}
	putchar('\n');
}

/* The child goes on; its parent ends as it does. */
static void go_on_in_a_child(void)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child > 0) {
		waitpid(child, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
}

/* Until somebody makes, or takes away, a file. */
static void wait_for(const char *path, int there)
{
	fflush(stdout);
	while ((access(path, F_OK) == 0) != there)
		usleep(20000);
}

int main(int argc, char **argv)
{
	char *self = argv[0];

	for (int i = 1; i < argc; i++) {
		char *const *more = argv + i + 1; /* NULL-terminated */
		const char *word = argv[i];

		if (!strcmp(word, "open"))
			open_device(more[0], more[1]), i += 2;
		else if (!strcmp(word, "read"))
			read_register(number(more[0]), number(more[1])), i += 2;
		else if (!strcmp(word, "areas"))
			show_areas((unsigned)number(more[0])), i++;
		else if (!strcmp(word, "close"))
			close(device);
		else if (!strcmp(word, "fork"))
			go_on_in_a_child();
		else if (!strcmp(word, "closefrom"))
			closefrom(device + 1);
		else if (!strcmp(word, "wait"))
			wait_for(more[0], 1), i++;
		else if (!strcmp(word, "wait-gone"))
			wait_for(more[0], 0), i++;
		else if (!strcmp(word, "touch"))
			close(open(more[0], O_CREAT | O_WRONLY, 0600)), i++;
		else if (!strcmp(word, "chroot")) {
			if (chroot(more[0]) || chdir("/"))
				perror("chroot");
			i++;
		} else if (!strcmp(word, "exec")) {
			argv[i] = self;
			fflush(stdout);
			execv("/proc/self/exe", argv + i);
		} else if (!strcmp(word, "exit"))
			return (int)number(more[0]);
	}
	return 0;
}
