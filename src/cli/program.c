/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at a program before it is started. */
#include "cli/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 4 /* of which each is run by the next */

static bool can_run(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

char *cli_program_find(const char *name, struct bk_error *err)
{
	const char *path = getenv("PATH"), *rest = path ? path : "/bin:/usr/bin";
	char file[PATH_MAX];

	if (strchr(name, '/')) {
		if (can_run(name))
			return strdup(name);
		bk_fail(err, errno ? errno : EACCES, "%s: %s", name,
			access(name, F_OK) ? strerror(errno) : "not a program");
		return NULL;
	}
	while (*name && rest) {
		const char *end = strchrnul(rest, ':');

		if (snprintf(file, sizeof(file), "%.*s/%s", (int)(end - rest), end == rest ? "." : rest,
			     name) < (int)sizeof(file) &&
		    can_run(file))
			return strdup(file);
		rest = *end ? end + 1 : NULL;
	}
	bk_fail(err, ENOENT, "%s: no such program in PATH", name);
	return NULL;
}

/* Where the file says what loads it; false: nothing does. */
static bool find_loader(int fd, const Elf64_Ehdr *header, char *loader, size_t size)
{
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr part;
		const off_t at = (off_t)(header->e_phoff + (uint64_t)i * header->e_phentsize);

		if (pread(fd, &part, sizeof(part), at) != sizeof(part))
			return false;
		if (part.p_type != PT_INTERP || !part.p_filesz || part.p_filesz > size)
			continue;
		if (pread(fd, loader, part.p_filesz, (off_t)part.p_offset) != (ssize_t)part.p_filesz)
			return false;
		loader[part.p_filesz - 1] = 0;
		return true;
	}
	return false;
}

static int own_header(Elf64_Ehdr *header, char *loader, size_t size)
{
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0 || pread(fd, header, sizeof(*header), 0) != sizeof(*header) ||
	    !find_loader(fd, header, loader, size))
		error = -EIO;
	if (fd >= 0)
		close(fd);
	return error;
}

static int check_elf(int fd, const char *path, const Elf64_Ehdr *header, struct bk_error *err)
{
	char loader[256], own_loader[256];
	Elf64_Ehdr own;

	if (own_header(&own, own_loader, sizeof(own_loader)))
		return 0; /* without /proc there is nothing to compare it with */
	if (memcmp(header->e_ident, own.e_ident, EI_VERSION) || header->e_machine != own.e_machine)
		return bk_fail(
			err, EINVAL,
			"%s: a program for another kind of processor: nothing of this one can be preloaded",
			path);
	if (!find_loader(fd, header, loader, sizeof(loader)))
		return bk_fail(err, EINVAL, "%s: statically linked: nothing can be preloaded into it", path);
	if (strcmp(loader, own_loader))
		return bk_fail(
			err, EINVAL,
			"%s: made for another C library (%s): nothing of this one (%s) can be preloaded",
			path, loader, own_loader);
	return 0;
}

static int check_rights(int fd, const char *path, struct bk_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return bk_fail(err, errno, "%s: %s", path, strerror(errno));
	if ((st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	    (st.st_mode & S_ISGID && st.st_gid != getgid()))
		return bk_fail(err, EINVAL,
			       "%s: setuid or setgid: the system lets nothing be preloaded into it", path);
	if (getuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return bk_fail(err, EINVAL,
			       "%s: has file capabilities: the system lets nothing be preloaded into it",
			       path);
	return 0;
}

/* The interpreter of a script, in place of its first line. */
static bool is_script(char *start)
{
	char *at = start + 2;

	if (start[0] != '#' || start[1] != '!')
		return false;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\n")] = 0;
	memmove(start, at, strlen(at) + 1);
	return true;
}

static int check(const char *path, unsigned scripts, struct bk_error *err)
{
	union {
		Elf64_Ehdr header;
		char text[256];
	} start = { .text = { 0 } };
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = 0;

	/* A program may be executable but not readable: then it cannot be checked. */
	if (fd < 0)
		return errno == EACCES ? bk_fail(err, EACCES, "%s: cannot be read, hence not looked at", path)
				       : bk_fail(err, errno, "%s: %s", path, strerror(errno));
	if (pread(fd, &start, sizeof(start) - 1, 0) < 0)
		error = bk_fail(err, errno, "%s: %s", path, strerror(errno));
	if (!error)
		error = check_rights(fd, path, err);
	if (error) {
		/* said */
	} else if (is_script(start.text)) {
		error = scripts == SCRIPTS_MAX
				? bk_fail(err, ELOOP, "%s: scripts of scripts of scripts", path)
				: check(start.text, scripts + 1, err);
	} else if (memcmp(start.header.e_ident, ELFMAG, SELFMAG)) {
		error = bk_fail(err, ENOEXEC, "%s: not a program of Linux", path);
	} else {
		error = check_elf(fd, path, &start.header, err);
	}
	close(fd);
	return error;
}

int cli_program_check(const char *path, struct bk_error *err)
{
	return check(path, 0, err);
}
