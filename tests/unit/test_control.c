/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: requests and answers, and clients that are wrong, slow, many or hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/socket.h"
#include "failing.h"

static bool no_memory;

static bool fails(void)
{
	return no_memory;
}

struct run {
	unsigned calls;
};

static int echo(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	run->calls++;
	json_object_object_add(answer, "both", json_object_new_string(values[0]));
	json_object_object_add(answer, "and", json_object_new_string(values[1]));
	assert_null(values[2]);
	return 0;
}

static int refuse(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	run->calls++;
	json_object_object_add(answer, "half", json_object_new_string("done"));
	return bk_fail(err, EBUSY, "not \"now\"\n");
}

static void serve(void);

/* Takes its time, as a reset does, and others are served meanwhile. */
static int slow(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	run->calls++;
	serve();
	return 0;
}

#define LARGE 1000000

static int large(struct run *run, const char *const *values, json_object *answer, struct bk_error *err)
{
	char *text = malloc(LARGE);

	run->calls++;
	memset(text, 'x', LARGE);
	json_object_object_add(answer, "text", json_object_new_string_len(text, LARGE));
	free(text);
	return 0;
}

const struct cli_command cli_commands[] = {
	{ "echo", { "first", "second" }, echo },
	{ "refuse", { NULL }, refuse },
	{ "slow", { NULL }, slow },
	{ "large", { NULL }, large },
	{ NULL, { NULL }, NULL },
};

static struct run run;
static struct cli_control *control;
static struct bk_error err;
static char path[64];

static int setup(void **state)
{
	run.calls = 0;
	snprintf(path, sizeof(path), "/tmp/test_control.%d", (int)getpid());
	return cli_control_open(path, cli_commands, &run, &control, &err);
}

static int teardown(void **state)
{
	cli_control_close(control);
	assert_int_equal(access(path, F_OK), -1);
	return 0;
}

static int client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Until there is nothing left to serve. */
static void serve(void)
{
	struct pollfd fd = { .fd = cli_control_fd(control), .events = POLLIN };

	for (unsigned turns = 0; poll(&fd, 1, 0) == 1; turns++) {
		assert_true(turns < 10000);
		cli_control_serve(control);
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	serve();
}

/* What has arrived; "" for nothing, "gone" at the end. */
static const char *heard(int fd)
{
	static char text[4096];
	const ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	return n ? text : "gone";
}

#define assert_answer(fd, request, answer)                   \
	do {                                                 \
		say(fd, request "\n");                       \
		assert_string_equal(heard(fd), answer "\n"); \
	} while (0)

static void answers(void **state)
{
	const int fd = client();

	assert_answer(fd, "{\"command\":\"echo\",\"first\":\"a b\",\"second\":\"\"}",
		      "{\"both\":\"a b\",\"and\":\"\",\"ok\":true}");
	assert_answer(fd, " { \"second\" : \"2\\n\", \"first\":\"\\u00e9\", \"command\":\"echo\" } \r",
		      "{\"both\":\"\xc3\xa9\",\"and\":\"2\\n\",\"ok\":true}");
	assert_answer(fd, "{\"command\":\"echo\",\"first\":\"\xf0\x9f\x98\x80\xc3\xa9\",\"second\":\"\"}",
		      "{\"both\":\"\xf0\x9f\x98\x80\xc3\xa9\",\"and\":\"\",\"ok\":true}");
	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	assert_int_equal(run.calls, 4);
	close(fd);
	serve();
}

static void wrong_requests(void **state)
{
	const int fd = client();

	assert_answer(fd, "{\"command\":\"sing\"}", "{\"error\":\"there is no command \\\"sing\\\"\"}");
	assert_answer(fd, "{}", "{\"error\":\"\\\"command\\\" is needed, as a string\"}");
	assert_answer(fd, "{\"command\":[]}", "{\"error\":\"\\\"command\\\" is needed, as a string\"}");
	assert_answer(fd, "{\"command\":\"echo\",\"first\":\"1\"}",
		      "{\"error\":\"\\\"second\\\" is needed, as a string\"}");
	assert_answer(fd, "{\"command\":\"echo\",\"first\":1,\"second\":\"2\"}",
		      "{\"error\":\"\\\"first\\\" is needed, as a string\"}");
	assert_answer(fd, "{\"command\":\"refuse\",\"x\":null}",
		      "{\"error\":\"refuse has no argument \\\"x\\\"\"}");
	assert_answer(fd, "{\"command\":\"echo\",\"first\":\"a\\u0000b\",\"second\":\"\"}",
		      "{\"error\":\"\\\"first\\\" holds a NUL character\"}");
	assert_answer(fd, "[1]", "{\"error\":\"a request is a JSON object on one line\"}");
	assert_answer(fd, "null", "{\"error\":\"not JSON: one whole object a line\"}");
	say(fd, "\nhello\n{\"command\":\"refuse\"} {}\n{\"command\":\"refuse\"\n[[[[[[[[1]]]]]]]]\n");
	for (const char *line = strtok((char *)heard(fd), "\n"); line; line = strtok(NULL, "\n"))
		assert_ptr_equal(strstr(line, "{\"error\":\"not JSON: "), line);
	say(fd, "{\"command\":\"\xff\xfe\"}\n");
	assert_non_null(strstr(heard(fd), "not JSON"));
	say(fd, "{\"command\":'\xc3\xa9'}\n");
	assert_non_null(strstr(heard(fd), "not JSON"));
	assert_int_equal(run.calls, 0);
	close(fd);
}

/* The last character of what fits begins there, but does not end there. */
static void a_line_of_error_is_whole_characters(void **state)
{
#define X31 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	const int fd = client();

	assert_answer(fd, "{\"command\":\"" X31 X31 "\xc3\xa9\"}",
		      "{\"error\":\"there is no command \\\"" X31 X31 "\xc3\xa9\\\"\"}");
	assert_answer(fd, "{\"command\":\"" X31 X31 "x\xc3\xa9\"}",
		      "{\"error\":\"there is no command \\\"" X31 X31 "x?\\\"\"}");
	assert_answer(fd, "{\"command\":\"" X31 X31 "\xf0\x9f\x98\x80\"}",
		      "{\"error\":\"there is no command \\\"" X31 X31 "\?\?\\\"\"}");
	close(fd);
}

static void lines_come_in_any_pieces(void **state)
{
	const char *request = "{\"command\":\"refuse\"}\n";
	const int fd = client();
	char many[2000] = "";
	unsigned lines = 0;

	for (const char *at = request; *at; at++) {
		assert_string_equal(heard(fd), "");
		say(fd, (char[2]){ *at });
	}
	assert_string_equal(heard(fd), "{\"error\":\"not \\\"now\\\"?\"}\n");
	for (unsigned i = 0; i < 50; i++)
		strcat(many, request);
	say(fd, many);
	for (const char *at = heard(fd); (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 50);
	say(fd, "{\"command\":"); /* and leaves in the middle of a line */
	close(fd);
	serve();
	assert_int_equal(run.calls, 51);
}

static void a_line_without_end(void **state)
{
	const int fd = client();
	char text[4096];

	memset(text, ' ', sizeof(text));
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(send(fd, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
		serve();
	}
	assert_string_equal(heard(fd), "{\"error\":\"the line is too long\"}\n");
	assert_string_equal(heard(fd), "gone");
	close(fd);
}

/* Who has not got an answer must not take the next for it. */
static void an_answer_without_memory_cuts_off(void **state)
{
	const int fd = client(), other = client();

	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	no_memory = true;
	say(fd, "{\"command\":\"refuse\"}\n");
	no_memory = false;
	assert_string_equal(heard(fd), "gone");
	assert_answer(other, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fd);
	close(other);
}

static void who_does_not_read_holds_up_nobody(void **state)
{
	const int deaf = client(), fd = client();
	size_t count = 0;

	/* Of all these one answer is made, for which there is no room in the socket. */
	say(deaf, "{\"command\":\"large\"}\n{\"command\":\"large\"}\n{\"command\":\"large\"}\n");
	assert_int_equal(run.calls, 1);
	for (unsigned i = 0; i < 10; i++)
		assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	assert_int_equal(run.calls, 11);
	/* It reads after all: everything is there. */
	for (unsigned lines = 0; lines < 3;) {
		const char *at = heard(deaf);

		count += strlen(at);
		lines += strchr(at, '\n') != NULL;
		serve();
	}
	assert_int_equal(run.calls, 13);
	assert_int_equal(count, 3 * (LARGE + strlen("{\"text\":\"\",\"ok\":true}\n")));
	/* And one that leaves with an answer on its way. */
	say(deaf, "{\"command\":\"large\"}\n");
	close(deaf);
	serve();
	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fd);
}

static void sixteen_clients_at_once(void **state)
{
	int fds[17];

	for (unsigned i = 0; i < 17; i++) {
		fds[i] = client();
		serve();
	}
	assert_string_equal(heard(fds[16]), "{\"error\":\"too many clients\"}\n");
	assert_string_equal(heard(fds[16]), "gone");
	close(fds[16]);
	for (unsigned i = 0; i < 16; i++)
		assert_answer(fds[i], "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fds[3]);
	serve();
	fds[3] = client();
	serve();
	assert_answer(fds[3], "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	for (unsigned i = 0; i < 16; i++)
		close(fds[i]);
}

/* How many descriptors there may be: those in use, and `more`. */
static void limit_files(int more)
{
	struct rlimit limit;
	int next = dup(0);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)(next + more);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(next);
}

static void allow_files(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void without_a_descriptor_a_client_is_turned_away(void **state)
{
	const int first = client();
	int second;

	serve();
	second = client();
	limit_files(0);
	serve(); /* it comes to an end: nobody is left to be served */
	assert_string_equal(heard(second), "{\"error\":\"no file descriptor is left: see ulimit -n\"}\n");
	assert_string_equal(heard(second), "gone");
	assert_answer(first, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	allow_files();
	close(second);
	second = client();
	serve();
	assert_answer(second, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(first);
	close(second);
	serve();
}

/* All are ready at once: whoever is first serves the next one, and so on, to one that is gone. */
static void a_command_that_takes_its_time_lets_others_be_served(void **state)
{
	static const char line[] = "{\"command\":\"slow\"}\n";
	int fds[4];

	for (unsigned i = 0; i < 4; i++)
		fds[i] = client();
	serve();
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(send(fds[i], line, sizeof(line) - 1, MSG_NOSIGNAL), sizeof(line) - 1);
	close(fds[3]);
	serve();
	assert_int_equal(run.calls, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(heard(fds[i]), "{\"ok\":true}\n");
		close(fds[i]);
	}
	serve();
}

/* Not even for that: it waits, and nobody runs in circles meanwhile. */
static void without_the_last_descriptor_a_client_waits(void **state)
{
	struct pollfd ready = { .fd = cli_control_fd(control), .events = POLLIN };
	const int fd = client();

	limit_files(-4); /* below the spare one */
	serve();
	serve();
	assert_string_equal(heard(fd), "");
	allow_files();
	assert_int_equal(poll(&ready, 1, 600000), 1);
	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fd);
	serve();
}

static void the_socket_is_the_owners(void **state)
{
	struct cli_control *second;
	struct stat st;
	char other[80], name[200];
	int fd;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(cli_control_open(path, cli_commands, &run, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, path));
	fd = client(); /* nothing happened to the first */
	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fd);

	/* What is no socket stays. */
	snprintf(other, sizeof(other), "%s.file", path);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(cli_control_open(other, cli_commands, &run, &second, &err), -EADDRINUSE);
	assert_int_equal(unlink(other), 0);
	/* A socket whose owner died is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	{
		struct sockaddr_un address = { .sun_family = AF_UNIX };

		strcpy(address.sun_path, other);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	close(fd);
	assert_int_equal(cli_control_open(other, cli_commands, &run, &second, &err), 0);
	cli_control_close(second);
	assert_int_equal(access(other, F_OK), -1);

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(cli_control_open(name, cli_commands, &run, &second, &err), -ENAMETOOLONG);
	assert_int_equal(cli_control_open("", cli_commands, &run, &second, &err), -ENAMETOOLONG);
	assert_int_equal(cli_control_open("/none/there", cli_commands, &run, &second, &err), -ENOENT);
}

/* A run ends whose path somebody has removed, and another run has taken since. */
static void the_end_of_one_leaves_the_path_of_another(void **state)
{
	struct cli_control *other;
	struct stat first, second;
	int fd;

	(void)state;
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(cli_control_open(path, cli_commands, &run, &other, &err), 0);
	assert_int_equal(stat(path, &first), 0);
	cli_control_close(control);
	control = other;
	assert_int_equal(stat(path, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	fd = client();
	assert_answer(fd, "{\"command\":\"refuse\"}", "{\"error\":\"not \\\"now\\\"?\"}");
	close(fd);
}

#define RIVALS 8

static struct {
	char path[80];
	pthread_barrier_t start, end;
	_Atomic unsigned winners;
} race;

static void *rival(void *opaque)
{
	struct bk_error line;
	struct cli_socket socket;
	int error;

	(void)opaque;
	pthread_barrier_wait(&race.start);
	error = cli_socket_listen(&socket, "--control", race.path, 1, &line);
	if (!error)
		race.winners++;
	else if (error != -EADDRINUSE)
		race.winners += 100;
	pthread_barrier_wait(&race.end);
	if (!error)
		cli_socket_close(&socket);
	return NULL;
}

/* One gets the path, whether a dead socket lies there or nothing. */
static void of_many_at_once_one_gets_the_path(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t threads[RIVALS];

	(void)state;
	snprintf(race.path, sizeof(race.path), "%s.race", path);
	strcpy(address.sun_path, race.path);
	pthread_barrier_init(&race.start, NULL, RIVALS);
	pthread_barrier_init(&race.end, NULL, RIVALS);
	for (unsigned round = 0; round < 200; round++) {
		if (round % 2) {
			const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

			assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
			close(fd);
		}
		race.winners = 0;
		for (unsigned i = 0; i < RIVALS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, rival, NULL), 0);
		for (unsigned i = 0; i < RIVALS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(race.winners, 1);
		assert_int_equal(access(race.path, F_OK), -1);
	}
	pthread_barrier_destroy(&race.start);
	pthread_barrier_destroy(&race.end);
}

/* ---- Who asks ---------------------------------------------------------- */

static char said[sizeof(err.text)];

int cli_usage(const char *name, const char *format, ...)
{
	return CLI_USAGE;
}

int cli_error(const struct bk_error *error)
{
	strcpy(said, error->text);
	return CLI_ERROR;
}

static void *turn_away(void *listener)
{
	static const char full[] = "{\"error\":\"too many clients\"}\n";

	for (unsigned i = 0; i < 100; i++) {
		const int fd = accept(*(int *)listener, NULL, NULL);

		send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

/* Whoever is not listened to is told why, and not killed by its own request. */
static void who_is_turned_away_hears_why(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *arguments[] = { "control", address.sun_path, "refuse", NULL };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	pthread_t thread;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.full", path);
	unlink(address.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, turn_away, &listener), 0);
	for (unsigned i = 0; i < 100; i++) {
		*said = 0;
		assert_int_equal(cli_control(3, arguments), CLI_ERROR);
		assert_string_equal(said, "too many clients");
	}
	pthread_join(thread, NULL);
	close(listener);
	unlink(address.sun_path);
}

#define SOCKET_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOCKET_TEST(answers),
		SOCKET_TEST(wrong_requests),
		SOCKET_TEST(a_line_of_error_is_whole_characters),
		SOCKET_TEST(lines_come_in_any_pieces),
		SOCKET_TEST(a_line_without_end),
		SOCKET_TEST(an_answer_without_memory_cuts_off),
		SOCKET_TEST(who_does_not_read_holds_up_nobody),
		SOCKET_TEST(sixteen_clients_at_once),
		SOCKET_TEST(without_a_descriptor_a_client_is_turned_away),
		SOCKET_TEST(a_command_that_takes_its_time_lets_others_be_served),
		SOCKET_TEST(without_the_last_descriptor_a_client_waits),
		SOCKET_TEST(the_socket_is_the_owners),
		SOCKET_TEST(the_end_of_one_leaves_the_path_of_another),
		SOCKET_TEST(of_many_at_once_one_gets_the_path),
		SOCKET_TEST(who_is_turned_away_hears_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
