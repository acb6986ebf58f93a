/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server of the control socket.
 *
 * Clients may be slow, many or hostile. A line has at most LINE_MAX_BYTES; a client that sends a longer
 * one gets an error and is disconnected. The server reads the next line only when the client has taken
 * the last answer, so it keeps at most one answer for each client.
 */
#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/loop.h"
#include "cli/socket.h"

#define CLIENTS_MAX    16
#define LINE_MAX_BYTES 65536
#define DEPTH_MAX      4    /* of nested JSON; a request is flat */
#define DEPTH_ANSWER   1024 /* a bridge nests an object and a list, and there are 255 at most */
#define TURN_LINES     16

struct client {
	struct cli_control *control;
	int fd; /* -1: free */
	char *in;
	size_t in_count;
	char *out; /* what is left of an answer, or NULL */
	size_t out_at, out_count;
	bool last; /* cut off after that */
};

struct cli_control {
	const struct cli_command *commands;
	struct run *run;
	struct cli_socket socket;
	struct bk__base_loop *loop;
	int spare; /* spare: closed to make room for a client that is turned away; or -1 */
	int retry; /* timerfd: when to listen again */
	struct client clients[CLIENTS_MAX];
};

/* ---- Commands ---------------------------------------------------------- */

const struct cli_command *cli_command_find(const struct cli_command *commands, const char *name)
{
	for (const struct cli_command *command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}

bool cli_argument_is_option(const char *argument)
{
	return !strncmp(argument, "--", 2);
}

const char *cli_argument_key(const char *argument)
{
	return cli_argument_is_option(argument) ? argument + 2 : argument;
}

/* A string of the request; NULL with a line if it is missing or no text. */
static const char *text_of(json_object *request, const char *key, struct bk_error *err)
{
	json_object *value;
	const char *text;

	if (!json_object_object_get_ex(request, key, &value) ||
	    !json_object_is_type(value, json_type_string)) {
		bk_fail(err, EINVAL, "\"%s\" is needed, as a string", key);
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value)) {
		bk_fail(err, EINVAL, "\"%s\" holds a NUL character", key);
		return NULL;
	}
	return text;
}

/* `*value` stays NULL unless it is true. */
static int option_of(json_object *request, const char *option, const char **value, struct bk_error *err)
{
	const char *key = cli_argument_key(option);
	json_object *given;

	if (!json_object_object_get_ex(request, key, &given))
		return 0;
	if (!json_object_is_type(given, json_type_boolean))
		return bk_fail(err, EINVAL, "\"%s\" is true or false", key);
	if (json_object_get_boolean(given))
		*value = option;
	return 0;
}

static int check_keys(json_object *request, const struct cli_command *command, struct bk_error *err)
{
	json_object_object_foreach(request, key, value)
	{
		bool known = !strcmp(key, "command");

		(void)value;
		for (unsigned i = 0; command->arguments[i]; i++)
			known |= !strcmp(key, cli_argument_key(command->arguments[i]));
		if (!known)
			return bk_fail(err, EINVAL, "%s has no argument \"%.64s\"", command->name, key);
	}
	return 0;
}

static int execute(struct cli_control *control, json_object *request, json_object *answer,
		   struct bk_error *err)
{
	const char *values[CLI_ARGUMENTS + 1] = { NULL };
	const struct cli_command *command;
	const char *name;

	if (!json_object_is_type(request, json_type_object))
		return bk_fail(err, EINVAL, "a request is a JSON object on one line");
	name = text_of(request, "command", err);
	if (!name)
		return -EINVAL;
	command = cli_command_find(control->commands, name);
	if (!command)
		return bk_fail(err, ENOENT, "there is no command \"%.64s\"", name);
	if (check_keys(request, command, err))
		return -EINVAL;
	for (unsigned i = 0; command->arguments[i]; i++) {
		if (cli_argument_is_option(command->arguments[i])) {
			if (option_of(request, command->arguments[i], &values[i], err))
				return -EINVAL;
			continue;
		}
		values[i] = text_of(request, command->arguments[i], err);
		if (!values[i])
			return -EINVAL;
	}
	return command->execute(control->run, values, answer, err);
}

/* ---- Lines ------------------------------------------------------------- */

/* NULL when out of memory: then the client is cut off. */
static void set_answer(struct client *client, json_object *answer)
{
	size_t count;
	const char *text =
		answer ? json_object_to_json_string_length(answer, JSON_C_TO_STRING_PLAIN, &count) : NULL;

	client->out = text ? malloc(count + 1) : NULL;
	client->out_at = 0;
	client->out_count = 0;
	if (!client->out) {
		client->last = true;
		return;
	}
	memcpy(client->out, text, count);
	client->out[count] = '\n';
	client->out_count = count + 1;
}

static void answer_error(struct client *client, const char *line)
{
	json_object *answer = json_object_new_object();

	json_object_object_add(answer, "error", json_object_new_string(line));
	set_answer(client, answer);
	json_object_put(answer);
}

static json_object *parse_by(int flags, const char *line, size_t count, struct bk_error *err)
{
	json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	json_object *request = NULL;

	if (!tokener) {
		bk_fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, flags);
	request = json_tokener_parse_ex(tokener, line, (int)count);
	if (!request || json_tokener_get_parse_end(tokener) != count) {
		const enum json_tokener_error error = json_tokener_get_error(tokener);

		bk_fail(err, EINVAL, "not JSON: %s",
			error == json_tokener_success || error == json_tokener_continue
				? "one whole object a line"
				: json_tokener_error_desc(error));
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tokener);
	return request;
}

/* json-c 0.18 takes every byte beyond ASCII for a control character, which its strict mode refuses in a
 * string. So the strict parse is of a copy without such bytes, and a second one checks that they are UTF-8.
 */
static json_object *parse(const char *line, size_t count, struct bk_error *err)
{
	char *ascii = malloc(count + 1);
	json_object *strict;

	if (!ascii) {
		bk_fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		ascii[i] = (unsigned char)line[i] < 0x80 ? line[i] : '?';
	strict = parse_by(JSON_TOKENER_STRICT, ascii, count, err);
	free(ascii);
	if (!strict)
		return NULL;
	json_object_put(strict);
	return parse_by(JSON_TOKENER_VALIDATE_UTF8, line, count, err);
}

/* Bytes of the UTF-8 character that begins here; 0: none does. */
static size_t character(const char *at)
{
	const unsigned char lead = (unsigned char)*at;
	const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	for (size_t i = 1; i < length; i++)
		if (((unsigned char)at[i] & 0xc0) != 0x80)
			return 0;
	return lead < 0xf5 ? length : 0;
}

/* Where a line of error was cut to its length, half a character may be left, of which JSON has none. */
static void make_whole(char *line)
{
	while (*line) {
		const size_t length = character(line);

		if (!length)
			*line = '?';
		line += length ? length : 1;
	}
}

static void serve_line(struct client *client, const char *line, size_t count)
{
	json_object *answer = json_object_new_object(), *request;
	struct cli_control *control = client->control;
	struct bk_error err = { { 0 } };

	/* A command that takes its time lets others be served, but not this one. */
	bk__base_loop_change(control->loop, client->fd, 0);
	request = parse(line, count, &err);
	if (!request || execute(control, request, answer, &err)) {
		make_whole(err.text);
		answer_error(client, err.text);
	} else {
		json_object_object_add(answer, "ok", json_object_new_boolean(true));
		set_answer(client, answer);
	}
	json_object_put(request);
	json_object_put(answer);
	/* Out of memory for that: it still gets its answer, but no more of its commands are read. */
	if (bk__base_loop_change(control->loop, client->fd, POLLIN))
		client->last = true;
}

/* ---- Clients ----------------------------------------------------------- */

static void drop(struct client *client)
{
	bk__base_loop_remove(client->control->loop, client->fd);
	close(client->fd);
	free(client->in);
	free(client->out);
	*client = (struct client){ client->control, .fd = -1 };
}

/* Lines that are read already wait for nothing but the client's next turn. */
static void wait_for(struct client *client)
{
	const bool busy = client->out || memchr(client->in, '\n', client->in_count);

	bk__base_loop_change(client->control->loop, client->fd, busy ? POLLOUT : POLLIN);
}

/* False: the client is gone. */
static bool send_answer(struct client *client)
{
	while (client->out_at < client->out_count) {
		const ssize_t n = send(client->fd, client->out + client->out_at,
				       client->out_count - client->out_at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		client->out_at += (size_t)n;
	}
	free(client->out);
	client->out = NULL;
	return !client->last;
}

/* Serves a whole line of what has been read. */
static bool next_line(struct client *client)
{
	const char *end = memchr(client->in, '\n', client->in_count);
	size_t count = end ? (size_t)(end - client->in) : 0;

	if (!end)
		return false;
	serve_line(client, client->in, count);
	client->in_count -= count + 1;
	memmove(client->in, end + 1, client->in_count);
	return true;
}

/* False: the client is gone. One that keeps us busy gets no more than its turn. */
static bool serve_client(struct client *client)
{
	for (unsigned turn = 0; turn < TURN_LINES; turn++) {
		ssize_t n;

		if (client->out && !send_answer(client))
			return false;
		if (client->out)
			return true;
		if (client->last) /* there was no memory for its answer: the next would be taken for it */
			return false;
		if (next_line(client))
			continue;
		if (client->in_count == LINE_MAX_BYTES) {
			client->last = true;
			client->in_count = 0;
			answer_error(client, "the line is too long");
			continue;
		}
		n = recv(client->fd, client->in + client->in_count, LINE_MAX_BYTES - client->in_count, 0);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!n)
			return false;
		client->in_count += (size_t)n;
	}
	return true;
}

static void on_client(void *opaque)
{
	struct client *client = opaque;

	if (serve_client(client))
		wait_for(client);
	else
		drop(client);
}

static void turn_away(int fd, const char *answer)
{
	send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	close(fd);
}

static void listen_to(struct cli_control *control, bool on)
{
	bk__base_loop_change(control->loop, control->socket.fd, on ? POLLIN : 0);
}

static void take_spare(struct cli_control *control)
{
	if (control->spare < 0)
		control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A client that cannot be accepted would be there at every look: it is turned away with the spare
 * descriptor, and if there is none left, it waits. */
static void no_descriptor(struct cli_control *control)
{
	const struct itimerspec in_a_second = { .it_value = { .tv_sec = 1 } };
	int fd = -1;

	if (control->spare >= 0) {
		close(control->spare);
		control->spare = -1;
		fd = accept4(control->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	if (fd >= 0)
		turn_away(fd, "{\"error\":\"no file descriptor is left: see ulimit -n\"}\n");
	take_spare(control);
	if (fd >= 0 && control->spare >= 0)
		return;
	listen_to(control, false);
	timerfd_settime(control->retry, 0, &in_a_second, NULL);
}

static void listen_again(void *opaque)
{
	struct cli_control *control = opaque;
	uint64_t times;

	if (read(control->retry, &times, sizeof(times)) < 0)
		return;
	take_spare(control);
	listen_to(control, true);
}

static void welcome(void *opaque)
{
	struct cli_control *control = opaque;
	struct client *client = control->clients;
	const int fd = accept4(control->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			no_descriptor(control);
		return;
	}
	while (client < control->clients + CLIENTS_MAX && client->fd >= 0)
		client++;
	if (client == control->clients + CLIENTS_MAX) {
		turn_away(fd, "{\"error\":\"too many clients\"}\n");
		return;
	}
	*client = (struct client){ control, .fd = fd, .in = malloc(LINE_MAX_BYTES) };
	if (!client->in || bk__base_loop_add(control->loop, fd, on_client, client))
		drop(client);
}

struct bk__base_loop *cli_control_loop(struct cli_control *control)
{
	return control->loop;
}

int cli_control_fd(const struct cli_control *control)
{
	return bk__base_loop_fd(control->loop);
}

void cli_control_serve(void *opaque)
{
	struct cli_control *control = opaque;

	bk__base_loop_wait(control->loop, 0);
}

/* ---- The socket -------------------------------------------------------- */

static int listen_at(struct cli_control *control, const char *path, struct bk_error *err)
{
	int error = cli_socket_listen(&control->socket, "--control", path, CLIENTS_MAX, err);

	if (error)
		return error;
	control->retry = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	error = control->retry < 0 ? -errno
				   : bk__base_loop_add(control->loop, control->retry, listen_again, control);
	if (!error)
		error = bk__base_loop_add(control->loop, control->socket.fd, welcome, control);
	if (error)
		return bk_fail(err, -error, "--control %s: %s", path, strerror(-error));
	take_spare(control);
	return 0;
}

int cli_control_open(const char *path, const struct cli_command *commands, struct run *run,
		     struct cli_control **out, struct bk_error *err)
{
	struct cli_control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return bk_fail(err, ENOMEM, "--control: out of memory");
	control->commands = commands;
	control->run = run;
	control->spare = control->retry = control->socket.fd = control->socket.directory = -1;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		control->clients[i] = (struct client){ control, .fd = -1 };
	error = bk__base_loop_create(&control->loop);
	error = error ? bk_fail(err, -error, "--control: %s", strerror(-error))
		      : listen_at(control, path, err);
	if (error) {
		cli_control_close(control);
		return error;
	}
	*out = control;
	return 0;
}

void cli_control_close(struct cli_control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			drop(&control->clients[i]);
	cli_socket_close(&control->socket);
	bk__base_loop_destroy(control->loop);
	if (control->spare >= 0)
		close(control->spare);
	if (control->retry >= 0)
		close(control->retry);
	free(control);
}

json_object *cli_json_parse(const char *text)
{
	json_tokener *tokener = json_tokener_new_ex(DEPTH_ANSWER);
	json_object *value = tokener ? json_tokener_parse_ex(tokener, text, -1) : NULL;

	if (tokener)
		json_tokener_free(tokener);
	return value;
}
