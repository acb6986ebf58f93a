/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep wrap`: starts a program whose VFIO devices get traps and quirks. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/wrapped.h"

#define LIBRARY "libbarkeep-wrap.so"

static const char help[] =
	"usage: barkeep wrap [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"\n"
	"Runs a virtual machine monitor, such as qemu-system-x86_64 -device vfio-pci,host=01:00.0.\n"
	"The devices that it opens by VFIO get their traps and quirks.\n"
	"\n"
	"  --device ADDRESS[,name=NAME][,quirks=QUIRKS][,set=NAME=VALUE]...[,trap=TRAP]...\n"
	"           [,romfile=FILE][,rombar=off][,msix=barN][,mmap=off][,vga=on]\n"
	"                       options for one device; may be repeated. A device that is\n"
	"                       not named gets quirks=auto\n"
	"    ADDRESS            DDDD:BB:SS.F, or the UUID of a mediated device\n"
	"    QUIRKS             auto (the default), none, or files separated by colons\n"
	"    TRAP               REGION+OFFSET/LENGTH:VERB, such as bar2+0xf00/0x100:mirror;\n"
	"                       REGION is bar0 to bar5, rom, config, vga, cap:ID or ext:ID;\n"
	"                       VERB is mirror, const=VALUE or log\n"
	"  --stats              at the end, print what was trapped\n"
	"  --control PATH       serve barkeep control at this Unix socket\n"
	"  --log FILE           append lines to FILE, not to standard error\n"
	"  --help\n"
	"\n"
	"Exit status: COMMAND's; 1 if it cannot be wrapped, 2 wrong arguments.\n";

enum { DEVICE = 256, STATS, CONTROL, LOG, HELP };

static const struct option options[] = {
	{ "device", required_argument, NULL, DEVICE },
	{ "stats", no_argument, NULL, STATS },
	{ "control", required_argument, NULL, CONTROL },
	{ "log", required_argument, NULL, LOG },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

/* The program may change its directory before it uses a path. */
static int set_path(struct cli_wrap_settings *settings, const char *key, const char *path,
		    struct bk_error *err)
{
	char directory[PATH_MAX], full[2 * PATH_MAX];

	if (*path == '/')
		return cli_wrap_set(settings, key, path, err);
	if (!*path)
		return bk_fail(err, EINVAL, "%s: an empty path", key);
	if (!getcwd(directory, sizeof(directory)))
		return bk_fail(err, errno, "%s: the current directory: %s", path, strerror(errno));
	snprintf(full, sizeof(full), "%s/%s", directory, path);
	return cli_wrap_set(settings, key, full, err);
}

/* CLI_OK to go on; otherwise, or with *done, the exit status. */
static int parse(int argc, char **argv, struct cli_wrap_settings *settings, bool *done)
{
	struct bk_error err;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (option) {
		case DEVICE:
			if (cli_wrap_set(settings, "device", optarg, &err))
				return cli_usage("wrap", "--device %s", err.text);
			break;
		case STATS:
			settings->stats = true;
			break;
		case CONTROL:
			if (set_path(settings, "control", optarg, &err))
				return cli_usage("wrap", "--control %s", err.text);
			break;
		case LOG:
			if (set_path(settings, "log", optarg, &err))
				return cli_usage("wrap", "--log %s", err.text);
			break;
		case HELP:
			fputs(help, stdout);
			*done = true;
			return CLI_OK;
		case ':':
			return cli_usage("wrap", "%s needs a value", argv[optind - 1]);
		default:
			return cli_unknown_option("wrap", argv);
		}
	}
	return optind < argc ? CLI_OK : cli_usage("wrap", "no command to wrap");
}

/* Beside this program, where it was built, or where it is installed. */
static int find_library(char *path, size_t size, struct bk_error *err)
{
	static const char *const places[] = { LIBRARY, "../lib/barkeep/" LIBRARY,
					      "../" BARKEEP_LIBDIR "/barkeep/" LIBRARY };
	char own[PATH_MAX];
	const ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[length > 0 ? length : 0] = 0;
	slash = strrchr(own, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(path, size, "%s/%s", own, places[i]) < (int)size && !access(path, R_OK))
			goto found;
	snprintf(path, size, "%s/barkeep/" LIBRARY, BARKEEP_PREFIX "/" BARKEEP_LIBDIR);
	if (access(path, R_OK))
		return bk_fail(err, errno, "%s: %s", path, strerror(errno));
found:
	if (strpbrk(path, " :"))
		return bk_fail(err, EINVAL,
			       "%s: nothing can be preloaded from a path with a blank or a colon", path);
	return 0;
}

/* Ours first: it looks for what the others put in its place behind itself. */
static int set_environment(const struct cli_wrap_settings *settings, const char *library,
			   struct bk_error *err)
{
	const char *others = getenv("LD_PRELOAD");
	char *lines = cli_wrap_save(settings), *preload = NULL;
	int error = 0;

	if (!lines ||
	    asprintf(&preload, "%s%s%s", library, others && *others ? ":" : "", others ? others : "") < 0) {
		preload = NULL;
		error = bk_fail(err, ENOMEM, "out of memory");
	} else if (setenv("LD_PRELOAD", preload, 1) || setenv(CLI_WRAP_VARIABLE, lines, 1) ||
		   setenv("BARKEEP_QUIRKS", cli_quirks_directory(), 1)) {
		error = bk_fail(err, errno, "the environment: %s", strerror(errno));
	}
	free(lines);
	free(preload);
	return error;
}

int cli_wrap(int argc, char **argv)
{
	struct cli_wrap_settings settings = { 0 };
	char library[PATH_MAX], *program;
	struct bk_error err;
	bool done = false;
	int status = parse(argc, argv, &settings, &done);

	if (status || done)
		return status;
	if (cli_wrap_prepare(&settings, &err) || find_library(library, sizeof(library), &err))
		return cli_error(&err);
	program = cli_program_find(argv[optind], &err);
	if (!program || cli_program_check(program, &err) || set_environment(&settings, library, &err))
		return cli_error(&err);
	execv(program, argv + optind);
	bk_fail(&err, errno, "%s: %s", program, strerror(errno));
	return cli_error(&err);
}
