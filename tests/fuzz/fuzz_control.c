/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes from clients of the control socket: each line gets one answer, whoever else says what. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/device_option.h"
#include "input.h"

#define CLIENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text of a device, taken apart as `plug` does. */
static int plug(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	struct cli_device device;
	const int error = cli_device_parse(values[0], CLI_FRONT_OWN, &device, err);

	if (!error) {
		json_object_object_add(answer, "device", json_object_new_string(device.name));
		cli_device_close(&device);
	}
	return error;
}

static int two(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	return bk_fail(err, 5, "%s%s", values[0], values[1]);
}

const struct cli_command cli_commands[] = {
	{ "plug", { "device" }, plug },
	{ "two", { "one", "two" }, two },
	{ NULL, { NULL }, NULL },
};

static struct cli_control *control;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void close_control(void)
{
	cli_control_close(control);
}

static void serve(void)
{
	struct pollfd fd = { .fd = cli_control_fd(control), .events = POLLIN };

	for (unsigned turns = 0; poll(&fd, 1, 0) == 1; turns++) {
		if (turns > 100000) /* it has something to do for ever */
			abort();
		cli_control_serve(control);
	}
}

/* Answers are objects, one a line; how many there are. */
static unsigned listen_to(int fd)
{
	static char text[1 << 20];
	const ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	unsigned lines = 0;
	char *line = text;

	if (n <= 0)
		return 0;
	text[n] = 0;
	for (char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
		if (strncmp(line, "{\"error\":\"", 10) && !strstr(line, "\"ok\":true}"))
			abort();
	}
	if (*line)
		abort();
	return lines;
}

static void open_control(void)
{
	struct bk_error err;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fuzz_control.%d", (int)getpid());
	if (cli_control_open(address.sun_path, cli_commands, NULL, &control, &err))
		abort();
	atexit(close_control);
}

static int connect_one(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct client {
		int fd;
		unsigned asked, answered;
	} clients[CLIENTS];

	if (!control)
		open_control();
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){ .fd = connect_one() };
	while (input.size) {
		const unsigned op = (unsigned)take(&input, 1);
		struct client *client = &clients[op % CLIENTS];
		size_t count = (size_t)take(&input, 1) * (op & 0x80 ? 64 : 1);

		if ((op & 0x70) == 0x70) {
			close(client->fd);
			*client = (struct client){ .fd = connect_one() };
		}
		count = count < input.size ? count : input.size;
		for (size_t i = 0; i < count; i++)
			client->asked += input.data[i] == '\n';
		send(client->fd, input.data, count, MSG_NOSIGNAL);
		input.data += count;
		input.size -= count;
		if (op & 0x08)
			serve();
		if (op & 0x04)
			client->answered += listen_to(client->fd);
		if (client->answered > client->asked + 1) /* and one for a line that is too long */
			abort();
	}
	serve();
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i].answered += listen_to(clients[i].fd);
		if (clients[i].answered > clients[i].asked + 1)
			abort();
		close(clients[i].fd);
	}
	serve();
	return 0;
}
