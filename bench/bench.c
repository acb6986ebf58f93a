/* SPDX-License-Identifier: BSD-2-Clause */
/* Slices, medians and lines of JSON. */
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_NS = 50000 };

double bench_now(enum bench_clock clock)
{
	struct timespec t;

	static const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID };

	clock_gettime(ids[clock], &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

unsigned bench_cpus(void)
{
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

void bench_pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % bench_cpus(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void bench_pin_nowhere(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < bench_cpus(); i++)
		CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_quantile(double *values, size_t count, double q)
{
	qsort(values, count, sizeof(*values), compare);
	return values[(size_t)(q * (double)(count - 1))];
}

static double slice(struct bench_kernel *kernel, enum bench_clock clock)
{
	double start = bench_now(clock);

	kernel->run(kernel->opaque, kernel->count);
	return (bench_now(clock) - start) / (double)kernel->count;
}

void bench_measure(struct bench_kernel *kernels, size_t count, double seconds, enum bench_clock clock)
{
	size_t slices = (size_t)(seconds * 1e9 / SLICE_NS / BENCH_ROUNDS / (double)count) + 4;

	for (size_t i = 0; i < count; i++) {
		struct bench_kernel *kernel = &kernels[i];
		double ns;

		kernel->slices = calloc(slices, sizeof(double));
		kernel->count = 1000;
		for (unsigned warm = 0; warm < 20; warm++)
			ns = slice(kernel, clock);
		kernel->count = (size_t)(SLICE_NS / (ns > 0.1 ? ns : 0.1)) + 1;
	}
	for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
		for (size_t s = 0; s < slices; s++) {
			for (size_t i = 0; i < count; i++)
				kernels[i].slices[s] = slice(&kernels[i], clock);
		}
		for (size_t i = 0; i < count; i++)
			kernels[i].rounds[round] =
				bench_quantile(kernels[i].slices, slices, kernels[i].contended ? 0.5 : 0.25);
	}
	for (size_t i = 0; i < count; i++) {
		struct bench_kernel *kernel = &kernels[i];

		kernel->ns = bench_quantile(kernel->rounds, BENCH_ROUNDS, 0.5);
		kernel->low = kernel->rounds[0];
		kernel->high = kernel->rounds[BENCH_ROUNDS - 1];
		free(kernel->slices);
	}
}

static void print(const char *name, const char *unit, double value, double low, double high, double target)
{
	printf("{\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\"", name, value, unit);
	if (low < high)
		printf(", \"low\": %.3f, \"high\": %.3f", low, high);
	if (target > 0)
		printf(", \"target\": %g", target);
	puts("}");
	fflush(stdout);
}

void bench_print(const char *name, const char *unit, double value, double low, double high)
{
	print(name, unit, value, low, high, 0);
}

void bench_print_target(const char *name, const char *unit, double value, double low, double high,
			double target)
{
	print(name, unit, value, low, high, target);
}

void bench_print_ratio(const char *name, const char *of, double ratio, double target)
{
	char full[128];

	snprintf(full, sizeof(full), "ratio/%s", name);
	print(full, of, ratio, 0, 0, target);
}
