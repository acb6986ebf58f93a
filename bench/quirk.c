/* SPDX-License-Identifier: BSD-2-Clause */
/* What quirks=auto costs at start: all shipped quirks, read and checked. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <barkeep/quirk.h>

#include "bench.h"
#include "parts.h"

enum { TIMES = 50 };

static int is_quirk(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".yaml") == 0;
}

static void load_all(struct dirent **entries, int count)
{
	for (int i = 0; i < count; i++) {
		struct bk_quirk *quirk;
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", QUIRKS, entries[i]->d_name);
		if (bk_quirk_load(file, &quirk, NULL))
			die("a shipped quirk cannot be loaded");
		bk_quirk_free(quirk);
	}
}

void quirk_load(void)
{
	struct dirent **entries;
	int count = scandir(QUIRKS, &entries, is_quirk, alphasort);
	double ms[TIMES];

	if (count < 1)
		die("there are no quirks in " QUIRKS);
	for (unsigned i = 0; i < TIMES; i++) {
		const double start = bench_now(BENCH_WALL);

		load_all(entries, count);
		ms[i] = (bench_now(BENCH_WALL) - start) / 1e6;
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	bench_print_target("quirk/load-all", "ms", bench_quantile(ms, TIMES, 0.5),
			   bench_quantile(ms, TIMES, 0.05), bench_quantile(ms, TIMES, 0.95), 10);
}
