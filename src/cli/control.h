/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a run: commands as JSON objects, one a line, each answered by one line.
 *
 * A request is {"command": NAME, ARGUMENT: TEXT, ...}. The answer is {"ok": true, ...}, or {"error": LINE}.
 */
#ifndef BK_CLI_CONTROL_H
#define BK_CLI_CONTROL_H

#include <json-c/json.h>

#include <barkeep/base.h>

#define CLI_ARGUMENTS 4

struct bk__base_loop;
struct run;

/* One row is all there is to a command. */
struct cli_command {
	const char *name;
	/* In order; NULL ends them. "--NAME", behind all others, is an option, "NAME" true or false in a
	 * request; the others are texts, and needed. */
	const char *arguments[CLI_ARGUMENTS + 1];
	/* `values` correspond to the arguments; NULL for an option that was not given. Adds its results
	 * to `answer`. Nonzero, with a line: it failed. Called on the main thread, while vCPUs run. */
	int (*execute)(struct run *run, const char *const *values, json_object *answer, struct bk_error *err);
};

/* How an argument is called in a request; and is it an option? */
const char *cli_argument_key(const char *argument);
bool cli_argument_is_option(const char *argument);

/* NULL if there is none of that name; a row without a name ends `commands`. */
const struct cli_command *cli_command_find(const struct cli_command *commands, const char *name);

struct cli_control;

/* Listens at `path`; only the owner may connect. Replaces a socket there that no process listens on.
 * Commands get `run`. */
int cli_control_open(const char *path, const struct cli_command *commands, struct run *run,
		     struct cli_control **control, struct bk_error *err);

/* Waits for clients and serves them; it has no other fds. */
struct bk__base_loop *cli_control_loop(struct cli_control *control);

/* As a part of another loop: can be read when there is something to serve; then cli_control_serve, which
 * never waits for a client. */
int cli_control_fd(const struct cli_control *control);
void cli_control_serve(void *control);

/* NULL is fine. Removes the socket. */
void cli_control_close(struct cli_control *control);

/* Text of barkeep's own, which may be as deep as bridges behind bridges; NULL if it is not JSON. */
json_object *cli_json_parse(const char *text);

#endif
