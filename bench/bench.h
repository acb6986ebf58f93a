/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring on a machine that is never quiet: kernels take turns in slices of
 * some 50 microseconds, of each round the quieter quarter counts, and of the
 * rounds the median. One JSON object a line goes to standard output.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_ROUNDS = 9 };

struct bench_kernel {
	const char *name;
	void (*run)(void *opaque, size_t count); /* does it `count` times */
	void *opaque;
	bool contended;   /* quiet slices are those without the other reader: take the median */
	double ns;        /* result: the median of the rounds, for one time */
	double low, high; /* the lowest and the highest round */
	/* Scratch. */
	size_t count;
	double rounds[BENCH_ROUNDS], *slices;
};

/* What a kernel's time is taken by. */
enum bench_clock { BENCH_WALL, BENCH_THREAD_CPU, BENCH_PROCESS_CPU };

double bench_now(enum bench_clock clock); /* ns */
void bench_pin(unsigned cpu);             /* threads that are made inherit it */
void bench_pin_nowhere(void);
unsigned bench_cpus(void);
uint64_t bench_random(uint64_t *state);

/* Measures kernels that take turns on the calling thread, for about `seconds`. */
void bench_measure(struct bench_kernel *kernels, size_t count, double seconds, enum bench_clock clock);

/* A figure, with the lowest and the highest round. */
void bench_print(const char *name, const char *unit, double value, double low, double high);
/* The same, with the value that it must not exceed. */
void bench_print_target(const char *name, const char *unit, double value, double low, double high,
			double target);
/* ratio/NAME: what the figure of that name is against another one of this run. */
void bench_print_ratio(const char *name, const char *of, double ratio, double target);

double bench_quantile(double *values, size_t count, double q); /* sorts them */

#endif
