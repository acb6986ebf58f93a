/* SPDX-License-Identifier: BSD-2-Clause */
/* What quirks cost: all shipped ones, read and checked, at start; and a rule beside a ready-made trap. */
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
		bk_quirk_destroy(quirk);
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
		const double start = bench_now(BENCH_THREAD_CPU);

		load_all(entries, count);
		ms[i] = (bench_now(BENCH_THREAD_CPU) - start) / 1e6;
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	bench_print_target("quirk/load-all", "ms", bench_quantile(ms, TIMES, 0.5),
			   bench_quantile(ms, TIMES, 0.05), bench_quantile(ms, TIMES, 0.95), 10);
}

/* ---- A mirror, ready-made and as a rule --------------------------------- */

struct mirrored {
	struct bk_device_context *context;
	struct bk_domain *domain;
	struct bk_mediator *mediate;
	struct bk_space *memory; /* the guest's, which shows the BAR */
	uint64_t at;
};

#define BAR 0xfe000000

static struct mirrored *mirrored(bool by_quirk)
{
	static const char text[] = "quirk: bench\nabout: a mirror\nmatch: {vendor: 0x1234}\n"
				   "traps: [{at: bar2+0xf00/0x100, read: config(at), write: config(at)}]\n";
	struct mirrored *m = calloc(1, sizeof(*m));
	struct bk_trap_desc spec = { 0 };
	struct bk_quirk *quirk = NULL;
	struct bk_device *device;
	struct bk_region_desc desc = { .first = BAR, .last = BAR + 0xfffff, .kind = BK_REGION_NESTED };
	struct bk_trap *trap;
	int r = -1;

	m->context = bk_device_context_create();
	m->domain = bk_domain_create();
	if (!bk_device_open(m->context, "sim:" EXAMPLES "/edu.yaml", &device, NULL) &&
	    !bk_quirk_parse("bench", text, strlen(text), &quirk, NULL) &&
	    (!by_quirk ||
	     !bk_quirk_stack(device, &(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 }, &device,
			     NULL)) &&
	    !bk_mediator_create(m->domain, device, NULL, &m->mediate, NULL) &&
	    !bk_trap_parse("bar2+0xf00/0x100:mirror", &spec, NULL))
		r = by_quirk ? bk_quirk_attach(m->mediate, NULL)
			     : bk_trap_add(m->mediate, &spec, &trap, NULL);
	if (r)
		die("no mirror");
	desc.nested = bk_mediator_space(m->mediate, 2);
	m->memory = bk_space_create(m->domain, "memory", UINT64_MAX);
	if (!m->memory || bk_region_add(m->memory, &desc, NULL, NULL))
		die("the BAR cannot be shown");
	bk_quirk_destroy(quirk);
	return m;
}

__attribute__((noinline)) void run_mirror(void *opaque, size_t count)
{
	struct mirrored *m = opaque;
	uint64_t value;

	for (size_t i = 0; i < count; i++) {
		bk_space_read(m->memory, BAR + 0xf00 + m->at, 4, &value);
		m->at = 0x10 + (m->at + 4) % 0x30; /* of the header, behind what is the device's own */
	}
}

static void done(struct mirrored *m)
{
	bk_space_destroy(m->memory);
	bk_mediator_destroy(m->mediate);
	bk_domain_destroy(m->domain);
	bk_device_context_destroy(m->context);
	free(m);
}

void quirk_mirror_count(void)
{
	struct mirrored *ready = mirrored(false);

	run_mirror(ready, MIRROR_COUNT);
	done(ready);
}

void quirk_mirror(void)
{
	struct mirrored *ready = mirrored(false), *rule = mirrored(true);
	struct layout *flat = layout_create(384, LAYOUT_FLAT);
	struct bench_kernel kernels[] = {
		{ .name = "trap/mirror/read", .run = run_mirror, .opaque = ready },
		{ .name = "quirk/mirror/read", .run = run_mirror, .opaque = rule },
		{ .run = run_space, .opaque = flat },
	};

	bench_measure(kernels, 3, 1, BENCH_WALL);
	bench_print_target(kernels[0].name, "ns", kernels[0].ns, kernels[0].low, kernels[0].high, 30);
	bench_print(kernels[1].name, "ns", kernels[1].ns, kernels[1].low, kernels[1].high);
	/* 30 ns where a read of one region takes 3.4, as on an idle machine. */
	bench_print_ratio(kernels[0].name, "x one region", kernels[0].ns / kernels[2].ns, 8.8);
	layout_destroy(flat);
	done(ready);
	done(rule);
}
