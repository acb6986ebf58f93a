/* SPDX-License-Identifier: BSD-2-Clause */
/* The `barkeep` command: finds the subcommand. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "cli/standard.h"

static const char help[] =
	"usage: barkeep COMMAND [OPTION]...\n"
	"\n"
	"Puts a programmable layer between a guest and the BARs of a PCI device.\n"
	"\n"
	"  wrap      run QEMU, or another virtual machine monitor, with traps and quirks on its devices\n"
	"  serve     serve devices to QEMU and others that speak vfio-user\n"
	"  run       boot a Linux guest under KVM with devices passed to it\n"
	"  inspect   show a device: regions, capabilities, which pages are mapped or trapped\n"
	"  control   control a running guest: plug and unplug devices, change traps, inspect\n"
	"  quirk     check and list quirk files; show which ones a device gets\n"
	"  firmware  check the PCI model against a recorded firmware trace\n"
	"\n"
	"  --help, --version\n"
	"\n"
	"`barkeep COMMAND --help` and barkeep-COMMAND(1) say more.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "wrap", cli_wrap },       { "serve", cli_serve },       { "run", cli_run },
	{ "inspect", cli_inspect }, { "firmware", cli_firmware }, { "control", cli_control },
	{ "quirk", cli_quirk },
};

static int run_command(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		fputs(help, stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("barkeep " BARKEEP_VERSION);
		return CLI_OK;
	}
	return cli_usage("", "there is no %s `%s`", *argv[1] == '-' ? "option" : "command", argv[1]);
}

/* Was standard output written whole? A full disk or a closed pipe is an error in every command. */
static int finish_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "barkeep: cannot write to standard output: %s\n", strerror(errno));
	return status == CLI_OK ? CLI_ERROR : status;
}

/* The name under which vfio-user tools start it as a separate program. */
static bool is_backend(const char *name)
{
	const char *slash = name ? strrchr(name, '/') : NULL;

	return name && !strcmp(slash ? slash + 1 : name, "barkeep-serve");
}

int main(int argc, char **argv)
{
	if (!cli_secure_standard()) {
		fputs("barkeep: a standard descriptor is closed, and /dev/null cannot be opened\n", stderr);
		return CLI_ERROR;
	}
	if (is_backend(argv[0]))
		return finish_output(cli_serve(argc, argv));
	if (argc < 2)
		return cli_usage("", "no command given");
	return finish_output(run_command(argc, argv));
}
