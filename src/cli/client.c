/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep control`: sends a command to a running guest. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/commands.h"

static const char help[] =
	"usage: barkeep control PATH COMMAND [ARGUMENT]...\n"
	"\n"
	"Sends a command to `barkeep run`, `barkeep wrap` or `barkeep serve` with --control PATH, and\n"
	"prints the answer.\n"
	"\n"
	"  plug DEVICE     put a device into a hot-plug slot: SPEC,bus=NAME[,name=NAME][,KEY=VALUE]...\n"
	"  unplug [--force] NAME   ask the guest to release it, then take it out; or at once\n"
	"  trap-add NAME TRAP      trap registers of a device, such as bar0+0x40/4:log\n"
	"  trap-replace NAME TRAP  replace the trap that starts there\n"
	"  trap-remove NAME TRAP   remove the trap that starts there\n"
	"  shutdown        press the power button, so that the guest shuts itself down\n"
	"  pause, resume   stop the guest's CPUs where they are; let them continue\n"
	"  reset           reset the guest, as it could itself\n"
	"  quit            end the run at once\n"
	"  describe        show what is on the guest's buses\n"
	"  stats           show exits and accesses so far\n"
	"\n"
	"  --help\n"
	"\n"
	"The answer is one JSON object on one line.\n"
	"Exit status: 0, 1 if the answer is an error, 2 wrong arguments.\n";

static int connect_to(const char *path, struct bk_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return bk_fail(err, ENAMETOOLONG, "%s: too long for a socket's path", path);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	bk_fail(err, errno, "%s: %s", path,
		errno == ECONNREFUSED ? "nobody listens there; is the guest still running?"
				      : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The whole line, parsed; NULL with a line. */
static json_object *receive(FILE *in, const char *path, struct bk_error *err)
{
	char *line = NULL;
	size_t room = 0;
	json_object *answer = NULL;

	if (getline(&line, &room, in) > 0)
		answer = cli_json_parse(line);
	else
		bk_fail(err, EIO, "%s: the guest ended before it answered", path);
	if (!answer && !*err->text)
		bk_fail(err, EPROTO, "%s: the answer is not JSON: is that a control socket of barkeep?",
			path);
	free(line);
	return answer;
}

/* One that does not listen may have said why, and that is for receive to tell. */
static int put(int fd, const char *text)
{
	for (size_t left = strlen(text); left;) {
		const ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

static int ask(const char *path, json_object *request, struct bk_error *err)
{
	const int fd = connect_to(path, err);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
	json_object *answer = NULL, *error;
	int status = CLI_ERROR, r;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return cli_error(err);
	}
	r = put(fd, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN));
	if (!r)
		r = put(fd, "\n");
	if (r)
		bk_fail(err, -r, "%s: %s", path, strerror(-r));
	else
		answer = receive(stream, path, err);
	fclose(stream);
	if (answer && json_object_object_get_ex(answer, "error", &error))
		bk_fail(err, EIO, "%s", json_object_get_string(error));
	else if (answer) {
		puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
		status = CLI_OK;
	}
	json_object_put(answer);
	return *err->text ? cli_error(err) : status;
}

/* False: they are not those that the command takes. */
static bool add_arguments(json_object *request, const struct cli_command *command, int argc, char **argv)
{
	const char *const *next = command->arguments;

	for (int i = 0; i < argc; i++) {
		const char *const *option = command->arguments;

		while (*option && (!cli_argument_is_option(*option) || strcmp(*option, argv[i])))
			option++;
		if (*option) {
			json_object_object_add(request, cli_argument_key(*option),
					       json_object_new_boolean(true));
			continue;
		}
		if (!*next || cli_argument_is_option(*next))
			return false;
		json_object_object_add(request, *next++, json_object_new_string(argv[i]));
	}
	return !*next || cli_argument_is_option(*next);
}

static int wrong_arguments(const struct cli_command *command)
{
	unsigned wanted = 0;

	while (command->arguments[wanted] && !cli_argument_is_option(command->arguments[wanted]))
		wanted++;
	return cli_usage("control", "%s takes %u argument%s%s%s%s%s", command->name, wanted,
			 wanted == 1 ? "" : "s", wanted ? ": " : "", wanted ? command->arguments[0] : "",
			 wanted > 1 ? ", " : "", wanted > 1 ? command->arguments[1] : "");
}

int cli_control(int argc, char **argv)
{
	const struct cli_command *command;
	struct bk_error err = { { 0 } };
	json_object *request;
	int status;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return CLI_OK;
	}
	if (argc > 1 && *argv[1] == '-')
		return cli_usage("control", "there is no option `%s`", argv[1]);
	if (argc < 3)
		return cli_usage("control", "give a PATH and a COMMAND");
	command = cli_command_find(cli_commands, argv[2]);
	if (!command)
		return cli_usage("control", "there is no command `%s`", argv[2]);
	request = json_object_new_object();
	json_object_object_add(request, "command", json_object_new_string(command->name));
	if (!add_arguments(request, command, argc - 3, argv + 3))
		status = wrong_arguments(command);
	else
		status = ask(argv[1], request, &err);
	json_object_put(request);
	return status;
}
