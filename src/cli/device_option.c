/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes `--device SPEC[,key=value]...` apart and opens what it names. */
#include "cli/device_option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/items.h"
#include "cli/comma_items.h"
#include "cli/device_kinds.h"
#include "device/options.h"
#include "pci/rom_image.h"

#define ROM_MAX (UINT64_C(16) << 20) /* the largest expansion ROM a function may have */

static int parse_text(const char *value, char **text, struct bk_error *err)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

static int parse_switch(const char *key, const char *value, bool *on, struct bk_error *err)
{
	*on = !strcmp(value, "on");
	return *on || !strcmp(value, "off") ? 0 : bk_fail(err, EINVAL, "%s=%s: on or off", key, value);
}

/* ---- The options ------------------------------------------------------- */

static int take_name(struct cli_device *device, const char *value, struct bk_error *err)
{
	return parse_text(value, &device->name, err);
}

static int take_bus(struct cli_device *device, const char *value, struct bk_error *err)
{
	return parse_text(value, &device->bus, err);
}

static int take_addr(struct cli_device *device, const char *value, struct bk_error *err)
{
	return cli_parse_addr(value, &device->slot, &device->function, err);
}

static int take_romfile(struct cli_device *device, const char *value, struct bk_error *err)
{
	return parse_text(value, &device->romfile, err);
}

static int take_rombar(struct cli_device *device, const char *value, struct bk_error *err)
{
	bool on;
	int r = parse_switch("rombar", value, &on, err);

	device->rom_off = !on;
	/* One that is asked for is shown even where a quirk would hide it. */
	return r || !on ? r : cli_quirks_set(&device->quirks, "rombar=1", err);
}

static int take_vga(struct cli_device *device, const char *value, struct bk_error *err)
{
	int r = parse_switch("vga", value, &device->vga, err);

	return r ? r : cli_quirks_set(&device->quirks, device->vga ? "vga=1" : "vga=0", err);
}

static int take_msix(struct cli_device *device, const char *value, struct bk_error *err)
{
	device->msix_move = !strncmp(value, "bar", 3) && value[3] >= '0' && value[3] <= '5' && !value[4];
	if (!device->msix_move)
		return bk_fail(err, EINVAL, "msix=%s: bar0 to bar5", value);
	device->msix_bar = (unsigned)(value[3] - '0');
	return 0;
}

static int take_share_page(struct cli_device *device, const char *value, struct bk_error *err)
{
	return parse_switch("share-page", value, &device->share_page, err);
}

static int take_mmap(struct cli_device *device, const char *value, struct bk_error *err)
{
	bool on;
	int r = parse_switch("mmap", value, &on, err);

	device->unmapped = !on;
	return r;
}

static int take_quirks(struct cli_device *device, const char *value, struct bk_error *err)
{
	return parse_text(value, &device->quirks.quirks, err);
}

static int take_set(struct cli_device *device, const char *value, struct bk_error *err)
{
	return cli_quirks_set(&device->quirks, value, err);
}

enum {
	OWN = 1 << CLI_FRONT_OWN,
	WRAP = 1 << CLI_FRONT_WRAP,
	SERVE = 1 << CLI_FRONT_SERVE,
	ALL = OWN | WRAP | SERVE
};

/* Every option that a device has whatever its kind, and the fronts that take it. */
static const struct {
	const char *key;
	unsigned fronts;
	int (*take)(struct cli_device *device, const char *value, struct bk_error *err);
} options[] = {
	{ "name", ALL, take_name },
	{ "bus", OWN, take_bus },
	{ "addr", OWN, take_addr },
	{ "romfile", ALL, take_romfile },
	{ "rombar", ALL, take_rombar },
	{ "trap", ALL, cli_traps_parse },
	{ "vga", ALL, take_vga },
	{ "msix", ALL, take_msix },
	{ "share-page", OWN, take_share_page },
	{ "mmap", WRAP, take_mmap },
	{ "quirks", ALL, take_quirks },
	{ "set", ALL, take_set },
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static int unknown_option(const struct cli_device *device, const char *key, struct bk_error *err)
{
	const char *const *keys = cli_kind_keys(device->spec), *words[OPTIONS + 1] = { NULL };
	char own[200] = "", list[200] = "";
	size_t count = 0;

	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].fronts >> device->front & 1)
			words[count++] = options[i].key;
	bk__device_list(own, sizeof(own), words);
	bk__device_list(list, sizeof(list), keys);
	return bk_fail(err, EINVAL, "there is no device option `%s`; there are %s%s%s", key, own,
		       *list ? ", and of this kind of device " : "", list);
}

static int parse_option(char *item, struct cli_device *device, struct bk_error *err)
{
	static const char *const others[] = {
		[CLI_FRONT_WRAP] = "the wrapped program", [CLI_FRONT_SERVE] = "the client"
	};
	char *value = strchr(item, '=');
	size_t i = 0;

	if (!value)
		return bk_fail(err, EINVAL,
			       "`%s` is not of the form key=value (double a comma that belongs to a name)",
			       item);
	*value++ = 0;
	while (i < OPTIONS && strcmp(options[i].key, item))
		i++;
	if (i < OPTIONS && options[i].fronts >> device->front & 1)
		return options[i].take(device, value, err);
	if (i < OPTIONS && options[i].fronts & OWN)
		return bk_fail(err, EINVAL, "%s is up to %s", item, others[device->front]);
	return unknown_option(device, item, err);
}

/* Appends an option of the device's kind to what bk_device_open gets. */
static int pass_on(struct cli_device *device, const char *text, size_t length, struct bk_error *err)
{
	size_t used = strlen(device->spec);
	char *spec = realloc(device->spec, used + length + 2);

	if (!spec)
		return bk_fail(err, ENOMEM, "out of memory");
	device->spec = spec;
	spec[used] = ',';
	memcpy(spec + used + 1, text, length);
	spec[used + 1 + length] = 0;
	return 0;
}

/* The bytes of the first item as it stands, with doubled commas. */
static size_t raw_length(const char *text)
{
	size_t length = 0;

	while (text[length] && (text[length] != ',' || text[length + 1] == ','))
		length += text[length] == ',' ? 2 : 1;
	return length;
}

/* Takes one option off the text. */
static int next_option(const char **text, struct cli_device *device, struct bk_error *err)
{
	const char *from = *text, *const *keys = cli_kind_keys(device->spec);
	char *item = bk__base_next_item(text);
	size_t key = strcspn(from, "=,");
	int r;

	if (!item)
		return bk_fail(err, ENOMEM, "out of memory");
	while (*keys && (strlen(*keys) != key || strncmp(*keys, from, key)))
		keys++;
	r = *keys ? pass_on(device, from, raw_length(from), err) : parse_option(item, device, err);
	free(item);
	return r;
}

int cli_device_parse(const char *text, enum cli_front front, struct cli_device *device, struct bk_error *err)
{
	struct bk_error inner = { { 0 } };
	const char *rest = text;
	int r = 0;

	memset(device, 0, sizeof(*device));
	device->front = front;
	device->slot = -1;
	device->name = bk__base_next_item(&rest);
	/* As it stands: commas stay doubled, and options of its kind are added. */
	device->spec = strndup(text, raw_length(text));
	if (!device->spec || !device->name)
		r = bk_fail(&inner, ENOMEM, "out of memory");
	while (!r && *rest)
		r = next_option(&rest, device, &inner);
	if (!r && device->romfile && device->rom_off)
		r = bk_fail(&inner, EINVAL, "romfile and rombar=off exclude each other");
	if (r) {
		bk_fail(err, -r, "%s: %s", text, inner.text);
		cli_device_close(device);
	}
	return r;
}

static int load_rom(const char *path, char **image, size_t *size, struct bk_error *err)
{
	struct bk_error inner, why;
	int r = bk__base_file_read(path, ROM_MAX, image, size, &inner);

	if (!r && !*size)
		r = bk_fail(&inner, EINVAL, "%s: the file is empty", path);
	if (!r && bk__pci_rom_check(*image, *size, &why))
		r = bk_fail(&inner, EINVAL, "%s: %s", path, why.text);
	return r ? bk_fail(err, -r, "romfile=%s", inner.text) : 0;
}

/* A ROM of another device may be what the user wants: its own, with other ids. */
static void compare_ids(const struct cli_device *device, struct bk_device *below)
{
	uint16_t vendor, id;
	uint8_t ids[4];

	if (!device->rom || bk_device_read(below, BK_DEVICE_CONFIG, 0, ids, sizeof(ids)))
		return;
	vendor = (uint16_t)bk__load(ids, 2);
	id = (uint16_t)bk__load(ids + 2, 2);
	if (!bk__pci_rom_is_for(device->rom, device->rom_size, &vendor, &id))
		bk_log(BK_LOG_WARNING,
		       "%s: romfile=%s: this ROM is for %04x:%04x, and the device is %04x:%04x; its code may "
		       "not find the device",
		       device->name, device->romfile, vendor, id, (unsigned)bk__load(ids, 2),
		       (unsigned)bk__load(ids + 2, 2));
}

static int read_rom(struct cli_device *device, struct bk_error *err)
{
	return device->romfile && !device->rom
		       ? load_rom(device->romfile, &device->rom, &device->rom_size, err)
		       : 0;
}

int cli_device_prepare(struct cli_device *device, struct bk_error *err)
{
	int r = read_rom(device, err);

	return r ? r : cli_quirks_keep(&device->quirks, err);
}

int cli_device_mediate(struct cli_device *device, struct bk_device *below, struct bk_domain *domain,
		       struct bk_error *err)
{
	struct bk_mediator_options options = { .rom_off = device->rom_off,
					       .below_port = device->below_port,
					       .vga = device->vga,
					       .msix_move = device->msix_move,
					       .msix_bar = device->msix_bar,
					       .share_page = device->share_page,
					       .filter = device->filter };
	int r = read_rom(device, err);

	if (r) {
		bk_device_close(below);
		return r;
	}
	compare_ids(device, below);
	options.rom_image = device->rom;
	options.rom_size = device->rom_size;
	r = cli_quirks_stack(&device->quirks, &below, &device->chosen, err);
	if (!r)
		r = bk_mediator_create(domain, below, &options, &device->mediate, err);
	if (!r && device->chosen.count)
		r = bk_quirk_attach(device->mediate, err);
	if (!r)
		r = cli_traps_open(device, err);
	return r;
}

int cli_device_open(struct cli_device *device, struct bk_device_context *context, struct bk_domain *domain,
		    struct bk_error *err)
{
	struct bk_device *below;
	int r = read_rom(device, err);

	if (!r)
		r = bk_device_open(context, device->spec, &below, err);
	return r ? r : cli_device_mediate(device, below, domain, err);
}

void cli_device_close(struct cli_device *device)
{
	if (device->mediate && !device->attached)
		bk_mediator_destroy(device->mediate);
	free(device->spec);
	free(device->name);
	free(device->bus);
	free(device->romfile);
	free(device->rom);
	free(device->traps.at);
	cli_quirk_options_free(&device->quirks);
	cli_quirks_free(&device->chosen);
	memset(device, 0, sizeof(*device));
}
