/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes `--device SPEC[,key=value]...` apart and opens what it names. */
#include "cli/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/items.h"

#define ROM_MAX (UINT64_C(16) << 20) /* the largest expansion ROM a function may have */

static int parse_text(const char *value, char **text, struct bk_error *err)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

static int parse_switch(const char *item, const char *value, bool *on, struct bk_error *err)
{
	*on = !strcmp(value, "on");
	return *on || !strcmp(value, "off") ? 0 : bk_fail(err, EINVAL, "%s=%s: on or off", item, value);
}

static int parse_option(char *item, struct cli_device *device, struct bk_error *err)
{
	char *value = strchr(item, '=');
	bool on;
	int r;

	if (!value)
		return bk_fail(err, EINVAL,
			       "`%s` is not of the form key=value (double a comma that belongs to a name)",
			       item);
	*value++ = 0;
	if (!strcmp(item, "addr"))
		return cli_parse_addr(value, &device->slot, &device->function, err);
	if (!strcmp(item, "bus"))
		return parse_text(value, &device->bus, err);
	if (!strcmp(item, "name"))
		return parse_text(value, &device->name, err);
	if (!strcmp(item, "trap"))
		return cli_traps_parse(device, value, err);
	if (!strcmp(item, "romfile"))
		return parse_text(value, &device->romfile, err);
	if (!strcmp(item, "rombar")) {
		r = parse_switch(item, value, &on, err);
		device->rom_off = !on;
		/* One that is asked for is shown even where a quirk would hide it. */
		return r || !on ? r : cli_quirks_set(&device->quirks, "rombar=1", err);
	}
	if (!strcmp(item, "vga")) {
		r = parse_switch(item, value, &device->vga, err);
		return r ? r : cli_quirks_set(&device->quirks, device->vga ? "vga=1" : "vga=0", err);
	}
	if (!strcmp(item, "share-page"))
		return parse_switch(item, value, &device->share_page, err);
	if (!strcmp(item, "mmap")) {
		r = parse_switch(item, value, &on, err);
		device->unmapped = !on;
		return r;
	}
	if (!strcmp(item, "quirks"))
		return parse_text(value, &device->quirks.quirks, err);
	if (!strcmp(item, "set"))
		return cli_quirks_set(&device->quirks, value, err);
	if (!strcmp(item, "msix")) {
		device->msix_move =
			!strncmp(value, "bar", 3) && value[3] >= '0' && value[3] <= '5' && !value[4];
		if (!device->msix_move)
			return bk_fail(err, EINVAL, "msix=%s: bar0 to bar5", value);
		device->msix_bar = (unsigned)(value[3] - '0');
		return 0;
	}
	return bk_fail(
		err, EINVAL,
		"there is no device option `%s`; there are name, bus, addr, romfile, rombar, trap, vga, "
		"msix, share-page, quirks and set",
		item);
}

int cli_device_parse(const char *text, struct cli_device *device, struct bk_error *err)
{
	struct bk_error inner = { { 0 } };
	const char *rest = text;
	char *item;
	int r = 0;

	memset(device, 0, sizeof(*device));
	device->slot = -1;
	device->spec = cli_next_item(&rest);
	if (!device->spec)
		return bk_fail(err, ENOMEM, "out of memory");
	while (!r && *rest) {
		item = cli_next_item(&rest);
		r = item ? parse_option(item, device, &inner) : bk_fail(&inner, ENOMEM, "out of memory");
		free(item);
	}
	if (!r && !device->name && !(device->name = strdup(device->spec)))
		r = bk_fail(&inner, ENOMEM, "out of memory");
	if (!r && device->romfile && device->rom_off)
		r = bk_fail(&inner, EINVAL, "romfile and rombar=off exclude each other");
	if (r) {
		bk_fail(err, -r, "%s: %s", text, inner.text);
		cli_device_close(device);
	}
	return r;
}

/* The whole file, at most ROM_MAX bytes. */
static int load_rom(const char *path, void **image, size_t *size, struct bk_error *err)
{
	/* O_NONBLOCK: a FIFO must not keep us waiting before it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n = 0;
	int r = 0;

	*image = NULL;
	*size = 0;
	if (fd < 0 || fstat(fd, &st)) {
		r = bk_fail(err, errno, "romfile=%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size < 1 || (uint64_t)st.st_size > ROM_MAX) {
		r = bk_fail(err, EINVAL, "romfile=%s: not a file of 1 byte to 16 MiB", path);
	} else if (!(*image = malloc((size_t)st.st_size))) {
		r = bk_fail(err, ENOMEM, "romfile=%s: out of memory", path);
	} else {
		for (; *size < (size_t)st.st_size; *size += (size_t)n) {
			n = read(fd, (char *)*image + *size, (size_t)st.st_size - *size);
			if (n <= 0) {
				r = bk_fail(err, n ? errno : EIO, "romfile=%s: %s", path,
					    n ? strerror(errno) : "it became shorter while it was read");
				break;
			}
		}
	}
	if (fd >= 0)
		close(fd);
	return r;
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
	struct bk_mediate_options options = { .rom_off = device->rom_off,
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
	options.rom_image = device->rom;
	options.rom_size = device->rom_size;
	r = cli_quirks_stack(&device->quirks, &below, &device->chosen, err);
	if (!r)
		r = bk_mediate_create(domain, below, &options, &device->mediate, err);
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
		bk_mediate_close(device->mediate);
	free(device->spec);
	free(device->name);
	free(device->bus);
	free(device->romfile);
	free(device->rom);
	free(device->traps);
	cli_quirk_options_free(&device->quirks);
	cli_quirks_free(&device->chosen);
	memset(device, 0, sizeof(*device));
}

const char *cli_region_name(unsigned region)
{
	static const char *const names[] = { "bar0", "bar1", "bar2",   "bar3", "bar4",
					     "bar5", "rom",  "config", "vga" };

	return region < sizeof(names) / sizeof(names[0]) ? names[region] : "region";
}
