/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptions, as lines for people or as JSON. */
#include "base/printer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int bk__printer_begin(struct bk__printer *printer, bool json)
{
	*printer = (struct bk__printer){ .json = json };
	printer->out = open_memstream(&printer->text, &printer->size);
	return printer->out ? 0 : -ENOMEM;
}

int bk_sink_file(void *file, const char *text, size_t size)
{
	return fwrite(text, 1, size, file) < size || fflush(file) ? -EIO : 0;
}

int bk__printer_end(struct bk__printer *printer, bk_sink_fn *sink, void *opaque)
{
	bool failed = ferror(printer->out);

	if ((fclose(printer->out) || failed) && !printer->error)
		printer->error = -ENOMEM;
	if (!printer->error)
		printer->error = sink(opaque, printer->text, printer->size);
	free(printer->text);
	return printer->error;
}

void bk__put_text(struct bk__printer *printer, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (printer->json && (*s == '"' || *s == '\\'))
			fprintf(printer->out, "\\%c", *s);
		else if (printer->json && *s < 0x20)
			fprintf(printer->out, "\\u%04x", *s);
		else
			putc(*s, printer->out);
	}
}

void bk__put_next(struct bk__printer *printer)
{
	if (printer->json)
		fputs(printer->first ? "\n" : ",\n", printer->out);
	printer->first = false;
	fprintf(printer->out, "%*s", (int)printer->depth * 2, "");
}

void bk__put_range(struct bk__printer *printer, uint64_t first, uint64_t last)
{
	fprintf(printer->out,
		printer->json ? "\"first\": \"0x%" PRIx64 "\", \"last\": \"0x%" PRIx64 "\""
			      : "0x%08" PRIx64 "-0x%08" PRIx64,
		first, last);
}

void bk__put_list(struct bk__printer *printer, const char *key)
{
	if (printer->json)
		fprintf(printer->out, "\"%s\": [", key);
	printer->first = true;
	printer->depth++;
}

void bk__put_list_end(struct bk__printer *printer)
{
	printer->depth--;
	if (printer->json)
		fputs("]", printer->out);
	printer->first = false;
}
