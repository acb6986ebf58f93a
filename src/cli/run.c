/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep run`: boots a guest with devices. */
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
#include "cli/commands.h"
#include "cli/device_kinds.h"
#include "cli/run.h"
#include "cli/sandbox.h"
#include "cli/trap_stats.h"

#define CPUS_MAX    16
#define MEMORY_MIN  (UINT64_C(64) << 20)
#define MEMORY_MAX  (UINT64_C(16) << 40)
#define IOVA_RANGES 64 /* more than those of any host */
#define MEMORY_UNIT (UINT64_C(2) << 20)

static const char help[] =
	"usage: barkeep run --kernel FILE [OPTION]...\n"
	"       barkeep run --firmware FILE [OPTION]...    (arm64)\n"
	"\n"
	"Boots a guest under KVM, with its serial console on this terminal.\n"
	"\n"
	"  --kernel FILE        Linux: on x86 a bzImage, or an ELF kernel with a PVH entry; on\n"
	"                       arm64 an Image\n"
	"  --firmware FILE      start firmware at address 0 instead, such as U-Boot's build for\n"
	"                       QEMU's virt machine (arm64)\n"
	"  --initrd FILE        initial RAM disk\n"
	"  --append TEXT        kernel command line (console= is not added for you: it is ttyS0\n"
	"                       on x86, ttyAMA0 on arm64)\n"
	"  --memory SIZE        guest RAM, such as 512M or 2G; a multiple of 2M (default 1G)\n"
	"  --cpus N             1 to 16 (default 1)\n"
	"  --io-window ADDRESS  where I/O BARs show in memory (arm64; default 0x2f000000)\n"
	"  --huge-pages         use huge pages for RAM (the host must have reserved them)\n"
	"  --share-memory       RAM that servers of vfio-user devices plugged later can map\n"
	"  --preallocate        allocate all RAM before the guest starts\n"
	"  --peer-to-peer       let devices reach each other's BARs by DMA\n"
	"  --no-reboot          a reset by the guest ends the run\n"
	"  --control PATH       serve barkeep control at this Unix socket\n"
	"  --serial WHERE       the guest's serial console: FILE (output only), unix:PATH (for\n"
	"                       clients of this socket) or pty (a new pseudo-terminal)\n"
	"  --log FILE           append log lines to FILE, not to standard error\n"
	"  --log-map            log which BAR answers where, each time that changes\n"
	"  --daemonize          continue in the background when the guest runs\n"
	"  --pidfile FILE       keep the process number in FILE during the run\n"
	"  --sandbox on|off     restrict what the process may do once the guest runs (default on)\n"
	"  --stats              at the end, print what was trapped (to standard error)\n"
	"  --disk FILE[,readonly][,serial=TEXT]\n"
	"                       a virtio disk; FILE is a raw image or a block device; may be repeated.\n"
	"                       Short for --device virtio-blk:...\n"
	"  --net user[,hostfwd=RULE]...|tap=NAME[,mac=ADDRESS]\n"
	"                       a virtio network card on the host's network (RULE forwards a port,\n"
	"                       such as tcp::2222-:22) or on a tap interface; may be repeated.\n"
	"                       Short for --device virtio-net:...\n"
	"  --bridge NAME[,kind=root-port|pci][,bus=NAME][,addr=SS.F][,memory=SIZE][,prefetchable=SIZE]\n"
	"                       make a bridge; may be repeated. A root port (the default) has a\n"
	"                       hot-plug slot, with address space for a later device (2M of each);\n"
	"                       pci is a bridge to conventional PCI\n"
	"  --device "
	"SPEC[,name=NAME][,bus=NAME][,addr=SS.F][,romfile=FILE][,rombar=off][,vga=on][,msix=barN]\n"
	"           [,quirks=QUIRKS][,set=NAME=VALUE]...[,trap=TRAP]...\n"
	"                       pass a device through, on the root bus or behind a bridge; may be\n"
	"                       repeated\n"
	"    SPEC               vfio:DDDD:BB:SS.F (a host device bound to vfio-pci), sim:FILE,\n"
	"                       dump:FILE (the output of lspci -vvxxxx), virtio-blk:FILE,\n"
	"                       virtio-net:user, virtio-net:tap=NAME,\n"
	"                       vfio-user:PATH[,reconnect=SECONDS] (served by another process)\n"
	"    QUIRKS             auto (the default), none, or files separated by colons\n"
	"    TRAP               REGION+OFFSET/LENGTH:VERB, such as bar2+0xf00/0x100:mirror;\n"
	"                       REGION is bar0 to bar5, rom, config, vga, cap:ID or ext:ID;\n"
	"                       VERB is mirror, const=VALUE or log\n"
	"  --help\n"
	"\n"
	"Keys: Ctrl-A x ends the run, Ctrl-A Ctrl-A sends a Ctrl-A.\n"
	"Exit status: 0 the guest turned itself off (or reset under --no-reboot), 1 error,\n"
	"2 wrong arguments, 3 triple fault, 4 ended by the escape key, 128+N by signal N.\n";

enum {
	KERNEL = 256,
	FIRMWARE,
	INITRD,
	APPEND,
	MEMORY,
	CPUS,
	IO_WINDOW,
	HUGE,
	SHARE,
	PREALLOCATE,
	PEER,
	NO_REBOOT,
	STATS,
	SANDBOX,
	CONTROL,
	SERIAL,
	LOG,
	LOG_MAP,
	DAEMONIZE,
	PIDFILE,
	BRIDGE,
	DEVICE,
	DISK,
	NET,
	HELP
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, KERNEL },
	{ "firmware", required_argument, NULL, FIRMWARE },
	{ "initrd", required_argument, NULL, INITRD },
	{ "append", required_argument, NULL, APPEND },
	{ "memory", required_argument, NULL, MEMORY },
	{ "cpus", required_argument, NULL, CPUS },
	{ "io-window", required_argument, NULL, IO_WINDOW },
	{ "huge-pages", no_argument, NULL, HUGE },
	{ "share-memory", no_argument, NULL, SHARE },
	{ "preallocate", no_argument, NULL, PREALLOCATE },
	{ "peer-to-peer", no_argument, NULL, PEER },
	{ "no-reboot", no_argument, NULL, NO_REBOOT },
	{ "stats", no_argument, NULL, STATS },
	{ "sandbox", required_argument, NULL, SANDBOX },
	{ "control", required_argument, NULL, CONTROL },
	{ "serial", required_argument, NULL, SERIAL },
	{ "log", required_argument, NULL, LOG },
	{ "log-map", no_argument, NULL, LOG_MAP },
	{ "daemonize", no_argument, NULL, DAEMONIZE },
	{ "pidfile", required_argument, NULL, PIDFILE },
	{ "bridge", required_argument, NULL, BRIDGE },
	{ "device", required_argument, NULL, DEVICE },
	{ "disk", required_argument, NULL, DISK },
	{ "net", required_argument, NULL, NET },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

/* For the signal handler alone. */
static struct bk__monitor *running;
static volatile sig_atomic_t ended_by;

static void on_signal(int number)
{
	ended_by = number;
	bk__monitor_stop(running);
}

/* Those that whoever started this has ignored stay so: nohup, and a job in the background of a script. */
static void handle_signals(void (*handler)(int))
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = handler };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

#define ROOT_SLOT "slot 00 of the root bus is the host bridge's; take 01 to 1f"

/* Are all buses there that are named? */
static int check_buses(struct run *run)
{
	struct bk_error err;

	if (cli_bridges_sort(&run->bridges, &err))
		return cli_usage("run", "--bridge %s", err.text);
	for (size_t i = 0; i < run->bridges.count; i++) {
		const struct cli_bridge *bridge = &run->bridges.at[i];

		if (!bridge->bus && !bridge->slot)
			return cli_usage("run", "--bridge %s: " ROOT_SLOT, bridge->name);
	}
	for (size_t i = 0; i < run->devices.count; i++) {
		const struct cli_device *device = &run->devices.at[i];

		if (!device->bus && !device->slot)
			return cli_usage("run", "--device %s: " ROOT_SLOT, device->name);
		if (device->bus && !cli_bridges_have(&run->bridges, device->bus))
			return cli_usage("run", "--device %s: bus=%s: no --bridge has that name",
					 device->name, device->bus);
	}
	return CLI_OK;
}

/* CLI_OK to go on; otherwise, or with *done, the exit status. */
static int parse(int argc, char **argv, struct run *run, bool *done)
{
	struct bk_error err;
	int option;

	run->config.memory = UINT64_C(1) << 30;
	run->config.cpus = 1;
	run->sandbox = true;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		uint64_t number;

		switch (option) {
		case LOG_MAP:
			run->config.log_map = true;
			break;
		case KERNEL:
			run->config.kernel = optarg;
			break;
		case FIRMWARE:
			run->config.firmware = optarg;
			break;
		case INITRD:
			run->config.initrd = optarg;
			break;
		case APPEND:
			run->config.append = optarg;
			break;
		case MEMORY:
			if (!bk__base_size(optarg, &number) || number < MEMORY_MIN || number > MEMORY_MAX ||
			    number % MEMORY_UNIT)
				return cli_usage("run", "--memory %s: give a multiple of 2M from 64M to 16T",
						 optarg);
			run->config.memory = number;
			break;
		case CPUS:
			if (!bk__base_number(optarg, &number) || number < 1 || number > CPUS_MAX)
				return cli_usage("run", "--cpus %s: give a number from 1 to %d", optarg,
						 CPUS_MAX);
			run->config.cpus = (unsigned)number;
			break;
		case IO_WINDOW:
			if (!bk__base_number(optarg, &number) || !number)
				return cli_usage("run", "--io-window %s: give an address", optarg);
			run->config.io_window = number;
			break;
		case HUGE:
			run->config.huge_pages = true;
			break;
		case SHARE:
			run->config.share_memory = true;
			break;
		case PREALLOCATE:
			run->config.preallocate = true;
			break;
		case PEER:
			run->config.peer_to_peer = true;
			break;
		case NO_REBOOT:
			run->config.no_reboot = true;
			break;
		case STATS:
			run->stats = true;
			break;
		case SANDBOX:
			if (strcmp(optarg, "on") && strcmp(optarg, "off"))
				return cli_usage("run", "--sandbox %s: on or off", optarg);
			run->sandbox = !strcmp(optarg, "on");
			break;
		case CONTROL:
			run->control = optarg;
			break;
		case SERIAL:
			run->serial = optarg;
			break;
		case LOG:
			run->log = optarg;
			break;
		case DAEMONIZE:
			run->daemonize = true;
			break;
		case PIDFILE:
			run->pidfile = optarg;
			break;
		case BRIDGE:
			if (cli_bridges_add(&run->bridges, optarg, &err))
				return cli_usage("run", "--bridge %s", err.text);
			break;
		case DEVICE:
			if (cli_run_add(run, optarg, &err))
				return cli_usage("run", "--device %s", err.text);
			break;
		case DISK:
			if (cli_run_add_kind(run, "virtio-blk", optarg, &err))
				return cli_usage("run", "--disk %s: %s", optarg, err.text);
			break;
		case NET:
			if (cli_run_add_kind(run, "virtio-net", optarg, &err))
				return cli_usage("run", "--net %s: %s", optarg, err.text);
			break;
		case HELP:
			fputs(help, stdout);
			*done = true;
			return CLI_OK;
		case ':':
			return cli_usage("run", "%s needs a value", argv[optind - 1]);
		default:
			return cli_unknown_option("run", argv);
		}
	}
	if (optind < argc)
		return cli_usage("run", "`%s` is not an option", argv[optind]);
	if (!run->config.kernel && !run->config.firmware)
		return cli_usage("run", "--kernel FILE is needed");
	if (run->config.firmware && (run->config.kernel || run->config.initrd))
		return cli_usage("run", "--firmware loads kernel and initrd itself: leave out --kernel and "
					"--initrd");
	return check_buses(run);
}

static void print_stats(const struct run *run)
{
	struct bk__monitor *monitor = run->monitor;
	struct bk__monitor_stats stats;
	struct bk_space_stats memory = { 0 }, ports = { 0 };
	int width = cli_stats_width(0, "");

	bk__monitor_stats(monitor, &stats);
	bk_space_stats(bk__monitor_memory(monitor), &memory);
	bk_space_stats(bk__monitor_ports(monitor), &ports);
	for (size_t i = 0; i < run->devices.count; i++)
		width = cli_stats_width(width, run->devices.at[i].spec);
	cli_stats_head(stderr, width);
	for (size_t i = 0; i < run->devices.count; i++)
		cli_stats_device(stderr, width, run->devices.at[i].spec, run->devices.at[i].mediate);
	fprintf(stderr,
		"exits: %" PRIu64 " memory, %" PRIu64 " port, %" PRIu64 " on mapped pages; memslots: %" PRIu64
		", pages left to exits: %" PRIu64 "; unclaimed: %" PRIu64 " reads, %" PRIu64 " writes\n",
		stats.mmio_exits, stats.io_exits, stats.mapped_exits, stats.memslots, stats.unmappable,
		memory.unclaimed_reads + ports.unclaimed_reads,
		memory.unclaimed_writes + ports.unclaimed_writes);
}

static int status_of(enum bk__monitor_end end, const struct bk_error *err)
{
	switch (end) {
	case BK__END_POWEROFF:
	case BK__END_RESET:
		return CLI_OK;
	case BK__END_CRASH:
		fprintf(stderr, "barkeep: the guest crashed: %s\n", err->text);
		return CLI_TRIPLE_FAULT;
	case BK__END_STOPPED:
		return ended_by ? CLI_SIGNAL + ended_by : CLI_ESCAPED;
	case BK__END_ERROR:
		break;
	}
	return cli_error(err);
}

/* Each vector that a guest uses is an eventfd: a device may have 2048. */
static void allow_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run_guest(struct run *run, struct cli_control *control)
{
	struct bk_error err = { { 0 } };
	enum bk__monitor_end end;
	int error;

	for (size_t i = 0; i < run->bridges.count; i++) {
		const struct cli_bridge *bridge = &run->bridges.at[i];
		const struct bk__monitor_bridge_config config = {
			.name = bridge->name,
			.kind = bridge->kind,
			.bus = bridge->bus,
			.slot = bridge->slot,
			.function = bridge->function,
			.memory = bridge->memory,
			.prefetchable = bridge->prefetchable,
		};

		if (bk__monitor_bridge(run->monitor, &config, &err))
			return cli_error(&err);
	}
	for (size_t i = 0; i < run->devices.count; i++) {
		if (cli_run_attach(run, &run->devices.at[i], &err))
			return cli_error(&err);
	}
	error = control ? bk__monitor_watch(run->monitor, cli_control_fd(control), cli_control_serve, control)
			: 0;
	if (error) {
		bk_fail(&err, -error, "--control: %s", strerror(-error));
		return cli_error(&err);
	}
	cli_run_listen(run);
	running = run->monitor;
	handle_signals(on_signal);
	cli_background_go(&run->background, run->log_fd);
	end = bk__monitor_run(run->monitor, &err);
	handle_signals(SIG_IGN); /* what is left gives the devices back: it must get to its end */
	cli_flush_log();
	if (run->stats)
		print_stats(run);
	return status_of(end, &err);
}

/* Where a run reads and writes beside standard input, output and error. */
static int open_ends(struct run *run, struct bk_error *err)
{
	int error = 0;

	if (run->log) {
		run->log_fd = open(run->log, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0666);
		if (run->log_fd < 0)
			return bk_fail(err, errno, "--log %s: %s", run->log, strerror(errno));
	}
	cli_start_log(run->log ? run->log_fd : STDERR_FILENO);
	if (run->pidfile)
		error = cli_pidfile_open(&run->own_pidfile, run->pidfile, err);
	if (!error && run->serial)
		error = cli_serial_open(&run->console, run->serial, err);
	else if (run->daemonize)
		run->console.in = run->console.out = -1;
	run->config.console_in = run->console.in;
	run->config.console_out = run->console.out;
	run->config.console_listen = run->console.listen;
	return error;
}

/* What a run needs, in order; the rest is undone by the caller. */
static int prepare(struct run *run, struct cli_control **control, struct bk_error *err)
{
	struct bk_device_iova_range ranges[IOVA_RANGES];
	int error = open_ends(run, err);

	if (!error && run->control)
		error = cli_control_open(run->control, cli_commands, run, control, err);
	if (error)
		return error;
	run->context = cli_kinds_context();
	if (!run->context)
		return bk_fail(err, ENOMEM, "out of memory");
	run->config.iova_ranges = ranges;
	run->config.iova_range_count = bk_device_context_iova_ranges(run->context, ranges, IOVA_RANGES);
	if (run->config.iova_range_count > IOVA_RANGES)
		run->config.iova_range_count = IOVA_RANGES;
	return bk__monitor_create(&run->config, &run->monitor, err);
}

int cli_run(int argc, char **argv)
{
	struct run run = { .background = { -1 }, .own_pidfile = { .fd = -1 }, .log_fd = -1 };
	struct cli_control *control = NULL;
	struct bk_error err = { { 0 } };
	bool done = false;
	int status = parse(argc, argv, &run, &done);

	cli_serial_init(&run.console);
	if (status == CLI_OK && !done && run.daemonize &&
	    cli_background_start(&run.background, &done, &status, &err))
		status = cli_error(&err);
	if (status == CLI_OK && !done) {
		allow_files();
		if ((run.sandbox && cli_sandbox_start(run.control, &err)) || prepare(&run, &control, &err))
			status = cli_error(&err);
		else
			status = run_guest(&run, control);
	}
	cli_control_close(control);
	for (size_t i = 0; i < run.devices.count; i++)
		cli_device_close(&run.devices.at[i]); /* before the monitor, whose domain they live in */
	free(run.devices.at);
	cli_bridges_free(&run.bridges);
	if (run.monitor)
		bk__monitor_destroy(run.monitor);
	if (run.context)
		bk_device_context_destroy(run.context);
	cli_serial_close(&run.console);
	cli_pidfile_close(&run.own_pidfile);
	cli_flush_log();
	bk__base_log_stop();
	if (run.log_fd >= 0)
		close(run.log_fd);
	return status;
}
