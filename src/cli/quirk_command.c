/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep quirk`: checks quirk files, lists those that are shipped, shows what a device gets. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/look.h"
#include "cli/page_runs.h"

static const char help[] =
	"usage: barkeep quirk check FILE...\n"
	"       barkeep quirk list\n"
	"       barkeep quirk match [--verbose] SPEC[,quirks=auto|none|FILE[:FILE]...][,set=NAME=VALUE]...\n"
	"\n"
	"A quirk is a file that says what a device needs before a guest can use it.\n"
	"\n"
	"  check  print what is wrong with a file, and where\n"
	"  list   print the quirks that quirks=auto chooses from, and their options\n"
	"  match  print which quirks a device gets, and which of its registers they trap\n"
	"\n"
	"  SPEC       vfio:DDDD:BB:SS.F (a host device bound to vfio-pci), sim:FILE,\n"
	"             dump:FILE (the output of lspci -vvxxxx)[,function=BB:SS.F][,bar0=SIZE]...,\n"
	"             vfio-user:PATH, virtio-blk:FILE, virtio-net:user, virtio-net:tap=NAME\n"
	"  --verbose  also print the other quirks, and why they do not match\n"
	"  --help\n"
	"\n"
	"Exit status: 0, 1 error, 2 wrong arguments.\n";

static int check(int argc, char **argv)
{
	int status = CLI_OK;

	if (!argc)
		return cli_usage("quirk", "check which files?");
	for (int i = 0; i < argc; i++) {
		struct bk_quirk *quirk;
		struct bk_error err;

		if (bk_quirk_load(argv[i], &quirk, &err)) {
			status = cli_error(&err);
			continue;
		}
		printf("%s: %s: %s\n", argv[i], bk_quirk_name(quirk), bk_quirk_about(quirk));
		bk_quirk_destroy(quirk);
	}
	return status;
}

static void print_quirk(const struct bk_quirk *quirk)
{
	const char *name, *about;

	printf("  %-24s %s\n", bk_quirk_name(quirk), bk_quirk_about(quirk));
	for (unsigned i = 0; (name = bk_quirk_option(quirk, i, &about)); i++)
		printf("  %-24s   set=%s=VALUE: %s\n", "", name, about);
}

static int list(void)
{
	struct cli_quirks quirks = { 0 };
	struct bk_error err;
	int status = CLI_OK;

	if (cli_quirks_load_shipped(&quirks, &err)) {
		status = cli_error(&err);
	} else {
		printf("%s\n", cli_quirks_directory());
		for (size_t i = 0; i < quirks.count; i++)
			print_quirk(quirks.at[i]);
		status = CLI_OK;
	}
	cli_quirks_free(&quirks);
	return status;
}

/* ---- match ------------------------------------------------------------- */

static void print_trap(void *opaque, const char *name, uint64_t first, uint64_t last)
{
	printf("      %#12" PRIx64 " - %#-12" PRIx64 " %s\n", first, last, name);
}

static void print_pages(void *opaque, const struct cli_pages *run)
{
	printf("    %#12" PRIx64 " - %#-12" PRIx64 " %s\n", run->first, run->last,
	       run->mapped ? "mapped" : "exits");
	if (!run->mapped)
		cli_pages_traps(opaque, run, print_trap, NULL);
}

static void print_picture(struct bk_mediator *mediate)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	puts("\nregions, and who answers in their pages");
	for (unsigned i = 0; i <= BK_DEVICE_VGA; i++) {
		struct bk_space *space = bk_mediator_space(mediate, i);

		if (!space)
			continue;
		printf("  %s\n", bk_device_region_name(i));
		cli_pages_visit(space, page, print_pages, space);
	}
}

static bool is_chosen(const struct cli_quirks *chosen, const struct bk_quirk *quirk)
{
	for (size_t i = 0; i < chosen->count; i++)
		if (!strcmp(bk_quirk_name(chosen->at[i]), bk_quirk_name(quirk)))
			return true;
	return false;
}

static void print_others(const struct cli_device *device)
{
	struct cli_quirks all = { 0 };
	struct bk_error err;

	if (cli_quirks_load_shipped(&all, &err)) {
		cli_error(&err);
		cli_quirks_free(&all);
		return;
	}
	puts("\nquirks that it does not get");
	for (size_t i = 0; i < all.count; i++) {
		if (is_chosen(&device->chosen, all.at[i]))
			continue;
		if (bk_quirk_match(all.at[i], bk_mediator_below(device->mediate), device->quirks.settings.at,
				   device->quirks.settings.count, &err) == 1)
			bk_fail(&err, 0, "%s: not asked for", bk_quirk_name(all.at[i]));
		printf("  %s\n", err.text);
	}
	cli_quirks_free(&all);
}

static void print_match(void *opaque, const struct cli_device *device)
{
	const bool *verbose = opaque;

	printf("%s\n\nquirks\n", device->spec);
	for (size_t i = 0; i < device->chosen.count; i++)
		print_quirk(device->chosen.at[i]);
	if (!device->chosen.count)
		puts("  none");
	print_picture(device->mediate);
	if (*verbose)
		print_others(device);
}

int cli_quirk(int argc, char **argv)
{
	enum { VERBOSE = 256, HELP };
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, VERBOSE },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	bool verbose = false;
	const char *what;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case VERBOSE:
			verbose = true;
			break;
		case HELP:
			fputs(help, stdout);
			return CLI_OK;
		default:
			return cli_unknown_option("quirk", argv);
		}
	}
	what = optind < argc ? argv[optind++] : "";
	if (verbose && (!strcmp(what, "check") || !strcmp(what, "list")))
		return cli_usage("quirk", "%s has no option `--verbose`", what);
	if (!strcmp(what, "check"))
		return check(argc - optind, argv + optind);
	if (!strcmp(what, "list") && optind == argc)
		return list();
	if (!strcmp(what, "match") && optind + 1 == argc)
		return cli_look("quirk", argv[optind], print_match, &verbose);
	if (!strcmp(what, "match"))
		return cli_usage("quirk", "match takes one device, as vfio:0000:01:00.0");
	return cli_usage("quirk", "say what to do: check FILE..., list, or match SPEC");
}
