/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings of `barkeep wrap`. */
#include "cli/wrapped.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* DDDD:BB:SS.F as the kernel writes it, from what people write; what is none (a UUID) stays as it is. */
static char *normal_address(const char *text)
{
	unsigned domain = 0, bus, slot, function;
	char address[32];
	int end = 0;

	if (!strncmp(text, "vfio:", 5))
		text += 5;
	if ((sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 || text[end]) &&
	    (domain = 0, sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end]))
		return strdup(text);
	snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return strdup(address);
}

int cli_wrap_parse(const char *text, struct cli_device *device, struct bk_error *err)
{
	char *address;
	bool named;
	int error = cli_device_parse(text, CLI_FRONT_WRAP, device, err);

	if (error)
		return error;
	named = strcmp(device->name, device->spec);
	address = normal_address(device->spec);
	if (!address) {
		error = bk_fail(err, ENOMEM, "out of memory");
	} else if (strpbrk(address, " /\n") || !*address) {
		error = bk_fail(err, EINVAL, "%s: give the device's address, as 0000:01:00.0", text);
	} else {
		free(device->spec);
		device->spec = address;
		address = NULL;
		device->filter = true;
		if (!named) {
			free(device->name);
			device->name = strdup(device->spec);
			error = device->name ? 0 : bk_fail(err, ENOMEM, "out of memory");
		}
	}
	free(address);
	if (error)
		cli_device_close(device);
	return error;
}

static int add_device(struct cli_wrap_settings *settings, const char *text, struct bk_error *err)
{
	struct cli_wrap_device *device;
	int error;

	if (bk__array_reserve(&settings->devices, 1))
		return bk_fail(err, ENOMEM, "out of memory");
	device = &settings->devices.at[settings->devices.count];
	error = cli_wrap_parse(text, &device->parsed, err);
	if (error)
		return error;
	device->text = strdup(text);
	if (!device->text || cli_wrap_find(settings, device->parsed.spec)) {
		error = device->text ? bk_fail(err, EINVAL, "%s: this device was given before", text)
				     : bk_fail(err, ENOMEM, "out of memory");
		free(device->text);
		cli_device_close(&device->parsed);
		return error;
	}
	settings->devices.count++;
	return 0;
}

static int set_text(char **text, const char *value, struct bk_error *err)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

int cli_wrap_set(struct cli_wrap_settings *settings, const char *key, const char *value, struct bk_error *err)
{
	if (strchr(value, '\n'))
		return bk_fail(err, EINVAL, "%s: a line break in `%s`", key, value);
	if (!strcmp(key, "device"))
		return add_device(settings, value, err);
	if (!strcmp(key, "control"))
		return set_text(&settings->control, value, err);
	if (!strcmp(key, "log"))
		return set_text(&settings->log, value, err);
	if (strcmp(key, "stats"))
		return bk_fail(err, EINVAL, "%s: there is no setting `%s`", CLI_WRAP_VARIABLE, key);
	settings->stats = true;
	return 0;
}

int cli_wrap_load(struct cli_wrap_settings *settings, const char *lines, struct bk_error *err)
{
	char *copy = strdup(lines ? lines : ""), *rest = copy, *line;
	int error = copy ? 0 : bk_fail(err, ENOMEM, "out of memory");

	while (!error && (line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '=');

		if (!*line)
			continue;
		if (value)
			*value++ = 0;
		error = value ? cli_wrap_set(settings, line, value, err)
			      : bk_fail(err, EINVAL, "%s: `%s` is not KEY=VALUE", CLI_WRAP_VARIABLE, line);
	}
	free(copy);
	return error;
}

char *cli_wrap_save(const struct cli_wrap_settings *settings)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < settings->devices.count; i++)
		fprintf(out, "device=%s\n", settings->devices.at[i].text);
	if (settings->stats)
		fputs("stats=\n", out);
	if (settings->control)
		fprintf(out, "control=%s\n", settings->control);
	if (settings->log)
		fprintf(out, "log=%s\n", settings->log);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

int cli_wrap_prepare(struct cli_wrap_settings *settings, struct bk_error *err)
{
	const struct cli_quirk_options any = { .quirks = NULL };
	int error = cli_quirks_keep(&any, err);

	for (size_t i = 0; i < settings->devices.count && !error; i++)
		error = cli_device_prepare(&settings->devices.at[i].parsed, err);
	return error;
}

const struct cli_wrap_device *cli_wrap_find(const struct cli_wrap_settings *settings, const char *address)
{
	char *normal = normal_address(address);
	const struct cli_wrap_device *found = NULL;

	for (size_t i = 0; normal && i < settings->devices.count && !found; i++)
		if (!strcasecmp(settings->devices.at[i].parsed.spec, normal))
			found = &settings->devices.at[i];
	free(normal);
	return found;
}
