/* SPDX-License-Identifier: BSD-2-Clause */
/* The contents of a sim's BAR: memory or a pattern, and above it registers, mirrors and the MSI-X
 * table. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ratelimit.h"
#include "device/sim_parts.h"

int bk__sim_bar_add(struct sim_bar *bar, const struct sim_span *span)
{
	if (bk__array_reserve(&bar->spans, 1))
		return -ENOMEM;
	bar->spans.at[bar->spans.count++] = *span;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct sim_span *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->node->line != y->node->line      ? (x->node->line < y->node->line ? -1 : 1)
	       : x->node->column < y->node->column ? -1
						   : x->node->column > y->node->column;
}

static int check_overlaps(const struct sim_bar *bar, const struct bk__yaml *yaml, struct bk_error *err)
{
	for (size_t i = 1; i < bar->spans.count; i++) {
		const struct sim_span *a = &bar->spans.at[i - 1], *b = &bar->spans.at[i], *swap;

		if (a->offset + a->size <= b->offset)
			continue;
		if (a->node->line > b->node->line ||
		    (a->node->line == b->node->line && a->node->column > b->node->column)) {
			swap = a;
			a = b;
			b = swap;
		}
		return bk__yaml_fail(yaml, b->node, err,
				     "%s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at 0x%" PRIx64
				     "-0x%" PRIx64 " (line %u); move one",
				     b->name, b->offset, b->offset + b->size - 1, a->name, a->offset,
				     a->offset + a->size - 1, a->node->line);
	}
	return 0;
}

/* Offers the whole pages that hold only memory. VFIO counts the MSI-X table as memory. */
static int find_areas(struct sim_bar *bar, const struct bk__yaml *yaml, struct bk_error *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = 0;

	bar->areas = calloc(bar->spans.count + 1, sizeof(*bar->areas));
	if (!bar->areas)
		return bk__yaml_no_memory(yaml, err);
	for (size_t i = 0; i <= bar->spans.count; i++) {
		const struct sim_span *span = i < bar->spans.count ? &bar->spans.at[i] : NULL;
		uint64_t end = span ? span->offset & ~(page - 1) : bar->size;

		if (span && span->kind != SIM_REGISTER && span->kind != SIM_MIRROR)
			continue;
		if (end > start) {
			bar->areas[bar->area_count++] = (struct bk_device_area){ start, end - start };
		}
		if (span)
			start = (span->offset + span->size + page - 1) & ~(page - 1);
	}
	return 0;
}

/* Sealed, so that a process that maps the file cannot shrink it under us. */
static int open_memory(struct sim_bar *bar)
{
	void *memory;

	bar->fd = memfd_create("barkeep-sim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (bar->fd < 0 || ftruncate(bar->fd, (off_t)bar->size) < 0 ||
	    fcntl(bar->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	memory = mmap(NULL, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	bar->memory = memory;
	return 0;
}

int bk__sim_bar_open(struct sim_bar *bar, const struct bk__yaml *yaml, struct bk_error *err)
{
	int r;

	if (bar->spans.count)
		qsort(bar->spans.at, bar->spans.count, sizeof(*bar->spans.at), by_offset);
	r = check_overlaps(bar, yaml, err);
	if (!r && bar->mappable) {
		r = find_areas(bar, yaml, err);
		if (!r) {
			r = open_memory(bar);
			if (r)
				bk__yaml_fail(yaml, bar->node, err, "no memory for this mappable BAR: %s",
					      strerror(-r));
		}
	}
	for (size_t i = 0; !r && i < bar->spans.count; i++) {
		struct sim_span *span = &bar->spans.at[i];

		if (span->kind != SIM_MSIX_TABLE || bar->mappable)
			continue;
		span->table = calloc(1, span->size);
		if (!span->table)
			r = bk__yaml_no_memory(yaml, err);
	}
	return r;
}

void bk__sim_bar_close(struct sim_bar *bar)
{
	for (size_t i = 0; i < bar->spans.count; i++)
		free(bar->spans.at[i].table);
	free(bar->areas);
	free(bar->spans.at);
	if (bar->memory)
		munmap(bar->memory, bar->size);
	free(bar->shared_areas);
	if (bar->shared >= 0)
		close(bar->shared);
	if (bar->fd >= 0)
		close(bar->fd);
}

static uint8_t pattern(const struct sim_bar *bar, uint64_t offset)
{
	return (uint8_t)((bar->fill_address ? (uint32_t)(offset & ~3ull) : bar->fill) >> 8 * (offset & 3));
}

/* Empties a file; true if that worked or there is none. */
static bool empty(int fd, uint64_t size)
{
	return fd < 0 || !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
}

void bk__sim_bar_reset(struct sim_bar *bar)
{
	bool filled = bar->fill || bar->fill_address;

	if (bar->memory && !filled && (!empty(bar->fd, bar->size) || !empty(bar->shared, bar->size)))
		memset(bar->memory, 0, bar->size);
	for (uint64_t i = 0; bar->memory && filled && i < bar->size; i++)
		bar->memory[i] = pattern(bar, i);
	for (size_t i = 0; i < bar->spans.count; i++) {
		struct sim_span *span = &bar->spans.at[i];
		uint8_t *bytes = span->table ? span->table : bar->memory ? bar->memory + span->offset : NULL;

		span->value = span->reset;
		if (span->kind == SIM_MSIX_PBA && bar->memory)
			memset(bytes, 0, span->size);
		if (span->kind != SIM_MSIX_TABLE)
			continue;
		/* Every vector is masked after a reset (PCI 3.0 6.8.2.9). */
		memset(bytes, 0, span->size);
		for (uint64_t entry = 0; entry < span->size; entry += BK__PCI_MSIX_ENTRY)
			bytes[entry + 12] = 1;
	}
}

/* ---- Memory: one access is one load or store, as others may map it. ---- */

static void load(const uint8_t *memory, uint8_t *data, unsigned count)
{
	switch (count) {
	case 1:
		*data = __atomic_load_n(memory, __ATOMIC_RELAXED);
		break;
	case 2: {
		uint16_t value = __atomic_load_n((const uint16_t *)memory, __ATOMIC_RELAXED);
		memcpy(data, &value, sizeof(value));
		break;
	}
	case 4: {
		uint32_t value = __atomic_load_n((const uint32_t *)memory, __ATOMIC_RELAXED);
		memcpy(data, &value, sizeof(value));
		break;
	}
	default: {
		uint64_t value = __atomic_load_n((const uint64_t *)memory, __ATOMIC_RELAXED);
		memcpy(data, &value, sizeof(value));
	}
	}
}

static void store(uint8_t *memory, const uint8_t *data, unsigned count)
{
	switch (count) {
	case 1:
		__atomic_store_n(memory, *data, __ATOMIC_RELAXED);
		break;
	case 2: {
		uint16_t value;
		memcpy(&value, data, sizeof(value));
		__atomic_store_n((uint16_t *)memory, value, __ATOMIC_RELAXED);
		break;
	}
	case 4: {
		uint32_t value;
		memcpy(&value, data, sizeof(value));
		__atomic_store_n((uint32_t *)memory, value, __ATOMIC_RELAXED);
		break;
	}
	default: {
		uint64_t value;
		memcpy(&value, data, sizeof(value));
		__atomic_store_n((uint64_t *)memory, value, __ATOMIC_RELAXED);
	}
	}
}

/* ---- Registers ---- */

static void log_access(struct sim *sim, const struct sim_span *span, const char *how, uint64_t value)
{
	uint64_t missed;

	if (!bk__ratelimit_ok(&sim->log_limit, &missed))
		return;
	if (missed)
		bk_log(BK_LOG_INFO, "%s: %" PRIu64 " lines left out", sim->device.name, missed);
	bk_log(BK_LOG_INFO, "%s: %s %s 0x%" PRIx64, sim->device.name, span->name, how, value);
}

/* The value of a register; `touched` are the bits that the access reads or writes. */
static uint64_t read_register(struct sim *sim, struct sim_span *span, uint64_t touched)
{
	uint64_t value = span->value;

	switch (span->access) {
	case SIM_WO:
		return 0;
	case SIM_IRQ:
	case SIM_ACK:
	case SIM_STATUS:
		return sim->pending;
	case SIM_RC:
		span->value &= ~touched;
		return value;
	case SIM_LOG:
		log_access(sim, span, "reads", value & touched);
		return value;
	default:
		return value;
	}
}

static void write_register(struct sim *sim, struct sim_span *span, uint64_t value, uint64_t touched)
{
	uint64_t bits = span->mask & touched;
	unsigned vector = span->vector;

	switch (span->access) {
	case SIM_RO:
	case SIM_RC:
	case SIM_STATUS:
		break;
	case SIM_LOG:
		log_access(sim, span, "is written", value);
		/* fall through */
	case SIM_RW:
	case SIM_WO:
		span->value = (span->value & ~bits) | (value & bits);
		break;
	case SIM_W1C:
		span->value &= ~(value & bits);
		break;
	case SIM_IRQ:
		if (span->vector_bits)
			vector =
				(unsigned)((value & span->vector_bits) >> __builtin_ctzll(span->vector_bits));
		if (value & bits)
			bk__sim_irqs_raise(sim, value & bits, vector);
		break;
	case SIM_ACK:
		bk__sim_irqs_acknowledge(sim, value & bits);
		break;
	}
}

/* ---- Spans ---- */

/* The bits of a register in `count` bytes from byte `at` on. */
static uint64_t lanes(unsigned at, unsigned count)
{
	return ~0ull >> (64 - 8 * count) << 8 * at;
}

static void read_span(struct sim *sim, struct sim_span *span, unsigned at, uint8_t *data, unsigned count)
{
	uint64_t value;

	switch (span->kind) {
	case SIM_REGISTER:
		value = read_register(sim, span, lanes(at, count)) >> 8 * at;
		for (unsigned i = 0; i < count; i++)
			data[i] = (uint8_t)(value >> 8 * i);
		break;
	case SIM_MIRROR:
		bk__sim_config_read(sim, span->config + at, data, count, true);
		break;
	case SIM_MSIX_TABLE:
		if (span->table)
			memcpy(data, span->table + at, count);
		break;
	case SIM_MSIX_PBA:
		memset(data, 0, count);
		break;
	}
}

static bool write_span(struct sim *sim, struct sim_span *span, unsigned at, const uint8_t *data,
		       unsigned count)
{
	uint64_t value = 0;

	switch (span->kind) {
	case SIM_REGISTER:
		for (unsigned i = 0; i < count; i++)
			value |= (uint64_t)data[i] << 8 * (at + i);
		write_register(sim, span, value, lanes(at, count));
		break;
	case SIM_MIRROR:
		return span->writable && bk__sim_config_write(sim, span->config + at, data, count, true);
	case SIM_MSIX_TABLE:
		if (span->table)
			memcpy(span->table + at, data, count);
		break;
	case SIM_MSIX_PBA:
		break;
	}
	return false;
}

static int ends_before(const void *element, const void *key)
{
	const struct sim_span *span = element;

	return span->offset + span->size <= *(const uint64_t *)key;
}

/* The index of the first span that ends after `offset`. */
static size_t first_span(const struct sim_bar *bar, uint64_t offset)
{
	return bk__array_search(bar->spans.at, bar->spans.count, sizeof(*bar->spans.at), &offset,
				ends_before);
}

/* The part of an access that a span answers: [first, last) of its bytes. */
static unsigned part(const struct sim_span *span, uint64_t offset, unsigned count, unsigned *last)
{
	uint64_t end = span->offset + span->size;

	*last = end < offset + count ? (unsigned)(end - offset) : count;
	return span->offset > offset ? (unsigned)(span->offset - offset) : 0;
}

/* Memory, and not a span that hides it. */
static bool is_memory(const struct sim_bar *bar, const struct sim_span *span)
{
	return bar->memory && (span->kind == SIM_MSIX_TABLE || span->kind == SIM_MSIX_PBA);
}

void bk__sim_bar_read(struct sim *sim, struct sim_bar *bar, uint64_t offset, uint8_t *data, unsigned count)
{
	if (bar->memory)
		load(bar->memory + offset, data, count);
	else
		for (unsigned i = 0; i < count; i++)
			data[i] = pattern(bar, offset + i);
	for (size_t i = first_span(bar, offset); i < bar->spans.count; i++) {
		struct sim_span *span = &bar->spans.at[i];
		unsigned last, first;

		if (span->offset >= offset + count)
			break;
		first = part(span, offset, count, &last);
		if (!is_memory(bar, span))
			read_span(sim, span, (unsigned)(offset + first - span->offset), data + first,
				  last - first);
	}
}

bool bk__sim_bar_write(struct sim *sim, struct sim_bar *bar, uint64_t offset, const uint8_t *data,
		       unsigned count)
{
	unsigned hidden = 0; /* bytes that are not memory, one bit each */
	bool reset = false;

	for (size_t i = first_span(bar, offset); i < bar->spans.count; i++) {
		struct sim_span *span = &bar->spans.at[i];
		unsigned last, first;

		if (span->offset >= offset + count)
			break;
		first = part(span, offset, count, &last);
		if (is_memory(bar, span))
			continue;
		hidden |= ((1u << last) - 1) & ~((1u << first) - 1);
		reset |= write_span(sim, span, (unsigned)(offset + first - span->offset), data + first,
				    last - first);
	}
	if (bar->memory && !hidden)
		store(bar->memory + offset, data, count);
	for (unsigned i = 0; bar->memory && hidden && i < count; i++)
		if (!(hidden >> i & 1))
			store(bar->memory + offset + i, data + i, 1);
	return reset;
}
