/* SPDX-License-Identifier: BSD-2-Clause */
/* What the subcommands of `barkeep` share: errors, wrong arguments, the log. */
#include "cli/cli.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <unistd.h>

#include "base/log_writer.h"

static int nowhere = -1; /* opened while that is allowed */

void cli_start_log(int fd)
{
	if (nowhere < 0)
		nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	bk__base_log_start(fd); /* else lines are written by who logs them */
}

void cli_flush_log(void)
{
	if (!bk__base_log_flush() && nowhere >= 0)
		dup2(nowhere, STDERR_FILENO);
}

int cli_error(const struct bk_error *err)
{
	cli_flush_log();
	fprintf(stderr, "barkeep: %s\n", err->text);
	return CLI_ERROR;
}

int cli_usage(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "barkeep%s%s: ", *command ? " " : "", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see `barkeep%s%s --help`\n", *command ? " " : "", command);
	return CLI_USAGE;
}

int cli_unknown_option(const char *command, char **argv)
{
	if (optopt > UCHAR_MAX)
		return cli_usage(command, "`%s`: this option takes no value", argv[optind - 1]);
	if (optopt)
		return cli_usage(command, "there is no option `-%c`", optopt);
	return cli_usage(command, "there is no option `%s`", argv[optind - 1]);
}
