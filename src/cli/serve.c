/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep serve`: devices for other programs' virtual machines, by vfio-user. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "base/number.h"
#include "base/thread.h"
#include "cli/sandbox.h"
#include "cli/served.h"
#include "cli/serve_commands.h"
#include "cli/trap_stats.h"

static const char help[] =
	"usage: barkeep serve [SPEC[,KEY=VALUE]...] [OPTION]...\n"
	"\n"
	"Serves devices to QEMU, cloud-hypervisor and others that speak vfio-user.\n"
	"\n"
	"  --socket PATH        listen at this Unix socket (also --socket-path)\n"
	"  --fd N               use this descriptor: a socket that listens, or a connection\n"
	"  --device SPEC,socket=PATH[,KEY=VALUE]...\n"
	"                       serve one more device at its own socket; may be repeated\n"
	"    SPEC               vfio:DDDD:BB:SS.F, sim:FILE, dump:FILE, vfio-user:PATH,\n"
	"                       virtio-blk:FILE, virtio-net:user, virtio-net:tap=NAME\n"
	"    KEY=VALUE          of the socket: socket=PATH, fd=N, mode=OCTAL, group=NAME, user=NAME\n"
	"                       mmap=safe (the default), device-fd or off: which pages of the device\n"
	"                       a client may map; device-fd trusts it with the whole device\n"
	"                       memory=SIZE, maps=N: how much a client may map for DMA\n"
	"                       spin=MICROSECONDS: poll for messages this long before sleeping\n"
	"                       of the device: name, romfile, rombar, vga, msix, quirks, set, trap,\n"
	"                       as for barkeep run\n"
	"  --strict             answer to the letter of the protocol, for tests of clients\n"
	"  --control PATH       serve barkeep control at this Unix socket\n"
	"  --log FILE           append log lines to FILE, not to standard error\n"
	"  --sandbox on|off     restrict what the process may do once it serves (default on)\n"
	"  --stats              at the end, print what was trapped (to standard error)\n"
	"  --print-capabilities say what kind of backend this is, as JSON\n"
	"  --help\n"
	"\n"
	"TERM and INT end it, HUP loads quirk files again. systemd may give the sockets.\n"
	"Exit status: 0 ended by TERM, INT or its last client, 1 error, 2 wrong arguments.\n";

enum { SOCKET = 256, FD, DEVICE, STRICT, CONTROL, LOG, SANDBOX, STATS, CAPABILITIES, HELP };

static const struct option options[] = {
	{ "socket", required_argument, NULL, SOCKET },
	{ "socket-path", required_argument, NULL, SOCKET },
	{ "fd", required_argument, NULL, FD },
	{ "device", required_argument, NULL, DEVICE },
	{ "strict", no_argument, NULL, STRICT },
	{ "control", required_argument, NULL, CONTROL },
	{ "log", required_argument, NULL, LOG },
	{ "sandbox", required_argument, NULL, SANDBOX },
	{ "stats", no_argument, NULL, STATS },
	{ "print-capabilities", no_argument, NULL, CAPABILITIES },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

/* ---- Arguments --------------------------------------------------------- */

/* --socket and --fd are those of the one device without a place. */
static int place_first(struct run *run, const char *path, int fd)
{
	struct cli_served *first = run->list.count ? run->list.at[0] : NULL;

	if (!path && fd < 0)
		return CLI_OK;
	if (!first || first->path || first->fd >= 0)
		return cli_usage("serve", "--%s: there is no device for it", path ? "socket" : "fd");
	if (path && fd >= 0)
		return cli_usage("serve", "--socket and --fd exclude each other");
	first->fd = fd;
	first->path = path ? strdup(path) : NULL;
	return CLI_OK;
}

/* Sockets that systemd has opened go to the devices that have none, in their order. */
static int place_rest(struct run *run)
{
	const unsigned given = cli_notify_sockets();
	unsigned next = 0;

	for (size_t i = 0; i < run->list.count; i++) {
		struct cli_served *served = run->list.at[i];

		if (served->path || served->fd >= 0)
			continue;
		if (next == given)
			return cli_usage("serve", "%s: give it a socket: --socket PATH, or socket=PATH",
					 served->device.name);
		served->fd = 3 + (int)next++;
	}
	return CLI_OK;
}

static int parse(int argc, char **argv, struct run *run, bool *done)
{
	const char *path = NULL;
	struct bk_error err;
	uint64_t number;
	int option, fd = -1, status;

	run->sandbox = true;
	opterr = 0;
	/* `-`: what is no option is one with the value 1. */
	while ((option = getopt_long(argc, argv, "-:", options, NULL)) != -1) {
		switch (option) {
		case 1:
		case DEVICE:
			if (cli_served_parse(run, optarg, &err))
				return cli_usage("serve", "%s", err.text);
			break;
		case SOCKET:
			path = optarg;
			break;
		case FD:
			if (!bk__base_number(optarg, &number) || number > 1 << 20)
				return cli_usage("serve", "--fd %s: give the number of a descriptor", optarg);
			fd = (int)number;
			break;
		case STRICT:
			run->strict = true;
			break;
		case CONTROL:
			run->control = optarg;
			break;
		case LOG:
			run->log = optarg;
			break;
		case SANDBOX:
			if (strcmp(optarg, "on") && strcmp(optarg, "off"))
				return cli_usage("serve", "--sandbox %s: on or off", optarg);
			run->sandbox = !strcmp(optarg, "on");
			break;
		case STATS:
			run->stats = true;
			break;
		case CAPABILITIES:
			puts("{\n  \"type\": \"pci\"\n}");
			*done = true;
			return CLI_OK;
		case HELP:
			fputs(help, stdout);
			*done = true;
			return CLI_OK;
		case ':':
			return cli_usage("serve", "%s needs a value", argv[optind - 1]);
		default:
			return cli_unknown_option("serve", argv);
		}
	}
	if (!run->list.count)
		return cli_usage("serve", "no device given");
	status = place_first(run, path, fd);
	return status == CLI_OK ? place_rest(run) : status;
}

/* ---- Limits ------------------------------------------------------------ */

static void raise_limit(int resource)
{
	struct rlimit limit;

	if (!getrlimit(resource, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(resource, &limit);
	}
}

/* A client's memory is pinned for the device. The kernel holds the process to what all clients together may.
 */
static void limit_memory(const struct run *run)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	uint64_t total = 0;

	for (size_t i = 0; i < run->list.count; i++) {
		if (!run->list.at[i]->config.memory) {
			total = 0;
			break;
		}
		total += run->list.at[i]->config.memory;
	}
	if (total)
		limit.rlim_cur = limit.rlim_max = total;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		raise_limit(RLIMIT_MEMLOCK);
}

/* ---- Running ----------------------------------------------------------- */

/* For the signal handler alone. */
static struct bk__base_loop *running;
static volatile sig_atomic_t ended_by, hung_up;

static void on_signal(int number)
{
	if (number == SIGHUP)
		hung_up = 1;
	else
		ended_by = number;
	bk__base_loop_wake(running);
}

static void handle_signals(void (*handler)(int))
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = handler };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static bool anything_left(const struct run *run)
{
	for (size_t i = 0; i < run->list.count; i++)
		if (run->list.at[i]->serve)
			return true;
	return false;
}

static void serve_until_the_end(struct run *run)
{
	while (!ended_by && !run->quit && anything_left(run)) {
		const bool reload = hung_up;

		hung_up = 0;
		for (size_t i = 0; i < run->list.count && reload; i++)
			cli_served_reload(run->list.at[i]);
		if (bk__base_loop_wait(run->loop, -1) < 0)
			break;
		for (size_t i = 0; i < run->list.count; i++)
			cli_served_tend(run->list.at[i]);
	}
}

/* How many messages were of each command, if there were any. */
static void print_commands(const char *name, const struct bk__serve_stats *stats)
{
	const char *before = "";

	if (!stats->messages)
		return;
	fprintf(stderr, "%s: ", name);
	for (unsigned i = 0; i < BK__SERVE_COMMANDS; i++) {
		if (!stats->commands[i])
			continue;
		fprintf(stderr, "%s%s %" PRIu64, before, bk__serve_command_name(i), stats->commands[i]);
		before = ", ";
	}
	fputc('\n', stderr);
}

static void print_stats(const struct run *run)
{
	int width = cli_stats_width(0, "");

	for (size_t i = 0; i < run->list.count; i++)
		if (run->list.at[i]->serve)
			width = cli_stats_width(width, run->list.at[i]->device.spec);
	cli_stats_head(stderr, width);
	for (size_t i = 0; i < run->list.count; i++) {
		const struct cli_served *served = run->list.at[i];

		if (served->serve)
			cli_stats_device(stderr, width, served->device.spec, served->device.mediate);
	}
	for (size_t i = 0; i < run->list.count; i++) {
		const struct cli_served *served = run->list.at[i];
		struct bk__serve_stats stats;

		if (!served->serve)
			continue;
		bk__serve_stats(served->serve, &stats);
		fprintf(stderr,
			"%s: %" PRIu64 " clients, %" PRIu64 " messages, %" PRIu64 " of them refused\n",
			served->device.name, stats.clients, stats.messages, stats.refused);
		print_commands(served->device.name, &stats);
	}
}

static int open_log(struct run *run, int *fd, struct bk_error *err)
{
	if (run->log) {
		*fd = open(run->log, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
		if (*fd < 0)
			return bk_fail(err, errno, "--log %s: %s", run->log, strerror(errno));
	}
	cli_start_log(run->log ? *fd : STDERR_FILENO);
	return 0;
}

static int open_all(struct run *run, struct cli_control **control, struct bk_error *err)
{
	int error = bk__base_loop_create(&run->loop);

	if (error)
		return bk_fail(err, -error, "%s", strerror(-error));
	running = run->loop;
	handle_signals(on_signal);
	if (run->control)
		error = cli_control_open(run->control, cli_serve_commands, run, control, err);
	if (!error && *control &&
	    bk__base_loop_add(run->loop, cli_control_fd(*control), cli_control_serve, *control))
		error = bk_fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < run->list.count && !error; i++)
		error = cli_served_open(run->list.at[i], err);
	return error;
}

static int run_all(struct run *run, struct cli_control **control)
{
	struct bk_error err = { { 0 } };

	if (open_all(run, control, &err))
		return cli_error(&err);
	bk__base_thread_enter("control");
	cli_notify("READY=1");
	serve_until_the_end(run);
	cli_notify("STOPPING=1");
	handle_signals(SIG_IGN); /* what is left gives the devices back: it must get to its end */
	cli_flush_log();
	if (run->stats)
		print_stats(run);
	return CLI_OK;
}

int cli_serve(int argc, char **argv)
{
	struct run run = { 0 };
	struct cli_control *control = NULL;
	struct bk_error err = { { 0 } };
	bool done = false;
	int log = -1, status = parse(argc, argv, &run, &done);

	if (status == CLI_OK && !done) {
		raise_limit(RLIMIT_NOFILE);
		limit_memory(&run);
		/* The thread that opens devices again may open files; those that hear clients may not. */
		if ((run.sandbox && cli_sandbox_start(true, &err)) || open_log(&run, &log, &err))
			status = cli_error(&err);
		else
			status = run_all(&run, &control);
	}
	cli_control_close(control);
	for (size_t i = 0; i < run.list.count; i++)
		cli_served_free(run.list.at[i]);
	free(run.list.at);
	bk__base_loop_destroy(run.loop);
	cli_flush_log();
	bk__base_log_stop();
	if (log >= 0)
		close(log);
	return status;
}
