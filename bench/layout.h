/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is measured: a third each of regions of 64 KiB, 4 KiB and 128 bytes,
 * packed from 0xc0000000, and a table of 65,536 addresses, at random regions
 * and offsets, to read 4 bytes from.
 */
#ifndef BENCH_LAYOUT_H
#define BENCH_LAYOUT_H

#include "baselines.h"

enum { LAYOUT_ADDRESSES = 65536 };

struct layout {
	size_t count;
	struct baseline_region *places; /* by address */
	struct bk_region **regions;     /* who answers each place; NULL if it answers several */
	struct bk_domain *domain;
	struct bk_space *space;
	struct baselines *baselines;
	uint64_t end; /* nothing is there, and nothing above */
	uint64_t addresses[LAYOUT_ADDRESSES];
	uint64_t edges[LAYOUT_ADDRESSES]; /* 4 bytes before the end of a place that another one follows */
	/* LAYOUT_NESTED */
	struct bk_space *bus, **bars;
};

/* The same places with the same answers, each arranged in its own way. */
enum layout_kind {
	LAYOUT_FLAT,
	LAYOUT_HEAPS,    /* the upper half of them above 32 GiB, where 64-bit BARs are */
	LAYOUT_NESTED,   /* each three places are a BAR with two traps, and all BARs are behind a bridge */
	LAYOUT_HANDLERS, /* 16 handlers instead of one */
};

struct layout *layout_create(size_t count, enum layout_kind kind);
void layout_destroy(struct layout *layout);

/* Moves region `i` and commits. */
void layout_move(struct layout *layout, size_t i, uint64_t first);

_Noreturn void die(const char *what);

#endif
