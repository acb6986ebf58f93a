/* SPDX-License-Identifier: BSD-2-Clause */
/* A recorded firmware trace (tests/traces/README.md), parsed into functions and events. */
#ifndef BARKEEP_FIRMWARE_TRACE_H
#define BARKEEP_FIRMWARE_TRACE_H

#include <barkeep/pci.h>

/* A file can say anything: more than this is an error. */
enum {
	BK__TRACE_FUNCTIONS = 1024,
	BK__TRACE_STEPS = 1 << 22,
	BK__TRACE_LINE = 255, /* bytes of a line */
	BK__TRACE_PATH = 127,
};

struct bk__firmware_trace_bar {
	enum bk_pci_bar_kind kind;
	bool prefetchable;
	uint64_t size;
};

struct bk__firmware_trace_function {
	char path[BK__TRACE_PATH + 1];
	uint32_t line;
	int parent; /* index of the bridge above it, -1: on bus 0 */
	uint8_t devfn;
	bool bridge;
	uint16_t vendor, device;
	struct bk__firmware_trace_bar bars[BK_PCI_ROM + 1];
};

enum bk__firmware_step_kind { BK__STEP_ECAM, BK__STEP_CF8, BK__STEP_CFC, BK__STEP_MAP, BK__STEP_UNMAP };

/* An access of the guest, or what became of a BAR because of the access before. */
struct bk__firmware_step {
	uint64_t address; /* of ECAM, a port, or the BAR's */
	uint64_t value;   /* of the access, or the BAR's length */
	uint32_t line;
	uint8_t kind;
	bool write;
	uint8_t width;           /* bytes accessed */
	uint8_t bus, devfn, bar; /* of a map or unmap */
};

struct bk__firmware_trace {
	struct bk__firmware_trace_function *functions;
	unsigned function_count;
	struct bk__firmware_step *steps;
	size_t step_count;
};

/* Zeroes and fills `trace`; free it in any case. An error's line begins with FILE:LINE or FILE. */
int bk__firmware_trace_load(const char *path, struct bk__firmware_trace *trace, struct bk_error *err);

/* The same of bytes in memory, plain or .xz; `name` is for the error. */
int bk__firmware_trace_parse(const char *name, const void *bytes, size_t size,
			     struct bk__firmware_trace *trace, struct bk_error *err);

void bk__firmware_trace_free(struct bk__firmware_trace *trace);

/* One more line, without its newline. */
int bk__firmware_trace_add_line(struct bk__firmware_trace *trace, const char *name, uint32_t number,
				const char *text, struct bk_error *err);

/* The step as the trace has it, without the device's name. */
void bk__firmware_step_text(const struct bk__firmware_step *step, char *text, size_t size);

static inline bool bk__firmware_step_is_access(const struct bk__firmware_step *step)
{
	return step->kind < BK__STEP_MAP;
}

#endif
