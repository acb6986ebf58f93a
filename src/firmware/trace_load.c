/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes of a trace: from a file or memory, plain or .xz, cut into lines. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lzma.h>

#include "firmware/trace.h"

enum { XZ_MEMORY = 128 << 20, BLOCK = 1 << 16 };

/* Unpacked; a line that says something has 16 bytes at least. */
#define MOST_BYTES ((uint64_t)BK__TRACE_STEPS * 64)

struct source {
	struct bk__firmware_trace *trace;
	const char *name;
	uint32_t line; /* that is being collected */
	uint64_t bytes;
	size_t length;
	char text[BK__TRACE_LINE + 2];
	bool begun, packed;
	lzma_stream xz;
	lzma_ret status;
	struct bk_error *err;
};

static int end_line(struct source *source)
{
	source->text[source->length] = 0;
	source->length = 0;
	return bk__firmware_trace_add_line(source->trace, source->name, source->line++, source->text,
					   source->err);
}

static int take_text(struct source *source, const uint8_t *bytes, size_t size)
{
	int error = 0;

	source->bytes += size;
	if (source->bytes > MOST_BYTES)
		return bk_fail(source->err, E2BIG, "%s: more than %" PRIu64 " bytes", source->name,
			       MOST_BYTES);
	for (size_t i = 0; i < size && !error; i++) {
		if (bytes[i] == '\n')
			error = end_line(source);
		else if (!bytes[i])
			error = bk_fail(source->err, EINVAL, "%s:%" PRIu32 ": byte 0 is no text",
					source->name, source->line);
		else if (source->length > BK__TRACE_LINE)
			error = end_line(source); /* it says that the line is too long */
		else
			source->text[source->length++] = (char)bytes[i];
	}
	return error;
}

static const char *xz_problem(lzma_ret status)
{
	switch (status) {
	case LZMA_MEM_ERROR:
		return "out of memory";
	case LZMA_MEMLIMIT_ERROR:
		return "needs more than 128 MiB to unpack";
	case LZMA_OPTIONS_ERROR:
		return "uses features of .xz that this liblzma does not know";
	case LZMA_BUF_ERROR:
		return "the .xz data ends too early";
	default:
		return "the .xz data is damaged";
	}
}

static int take_packed(struct source *source, const uint8_t *bytes, size_t size, lzma_action action)
{
	uint8_t *out = malloc(BLOCK);
	int error = out ? 0 : bk_fail(source->err, ENOMEM, "%s: out of memory", source->name);

	source->xz.next_in = bytes;
	source->xz.avail_in = size;
	do {
		if (error)
			break;
		source->xz.next_out = out;
		source->xz.avail_out = BLOCK;
		source->status = lzma_code(&source->xz, action);
		error = take_text(source, out, BLOCK - source->xz.avail_out);
		if (!error && source->status != LZMA_OK && source->status != LZMA_STREAM_END)
			error = bk_fail(source->err, EINVAL, "%s: line %" PRIu32 " and on: %s", source->name,
					source->line, xz_problem(source->status));
	} while (source->status == LZMA_OK && (!source->xz.avail_out || action == LZMA_FINISH));
	free(out);
	return error;
}

/* The first six bytes identify the format, unless the file is shorter. */
static int take(struct source *source, const uint8_t *bytes, size_t size)
{
	static const uint8_t magic[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

	if (!source->begun) {
		source->begun = true;
		source->packed = size >= sizeof(magic) && !memcmp(bytes, magic, sizeof(magic));
		if (source->packed &&
		    lzma_stream_decoder(&source->xz, XZ_MEMORY, LZMA_CONCATENATED) != LZMA_OK)
			return bk_fail(source->err, ENOMEM, "%s: out of memory", source->name);
	}
	return source->packed ? take_packed(source, bytes, size, LZMA_RUN) : take_text(source, bytes, size);
}

static int finish(struct source *source, int error)
{
	if (!error && source->packed)
		error = take_packed(source, NULL, 0, LZMA_FINISH);
	if (!error && source->length)
		error = end_line(source);
	if (!error && !source->trace->function_count)
		error = bk_fail(source->err, EINVAL, "%s: not a firmware trace: it has no `dev` line",
				source->name);
	lzma_end(&source->xz);
	return error;
}

static struct source start(const char *name, struct bk__firmware_trace *trace, struct bk_error *err)
{
	*trace = (struct bk__firmware_trace){ 0 };
	return (struct source){ .trace = trace, .name = name, .line = 1, .err = err, .xz = LZMA_STREAM_INIT };
}

int bk__firmware_trace_parse(const char *name, const void *bytes, size_t size,
			     struct bk__firmware_trace *trace, struct bk_error *err)
{
	struct source source = start(name, trace, err);

	return finish(&source, take(&source, bytes, size));
}

int bk__firmware_trace_load(const char *path, struct bk__firmware_trace *trace, struct bk_error *err)
{
	struct source source = start(path, trace, err);
	FILE *file = fopen(path, "rb");
	uint8_t *block;
	int error = 0;
	size_t size;

	if (!file)
		return bk_fail(err, errno, "%s: %s", path, strerror(errno));
	block = malloc(BLOCK);
	if (!block)
		error = bk_fail(err, ENOMEM, "%s: out of memory", path);
	while (!error && (size = fread(block, 1, BLOCK, file)))
		error = take(&source, block, size);
	if (!error && ferror(file))
		error = bk_fail(err, EIO, "%s: cannot be read: %s", path, strerror(errno));
	free(block);
	fclose(file);
	return finish(&source, error);
}
