/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated devices, as kinds that a context opens. */
#include "virtio/virtio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/items.h"
#include "virtio/blk.h"
#include "virtio/net.h"

enum { FORWARDS = 64 };

static const char *const blk_keys[] = { "readonly", "serial", NULL };
static const char *const net_keys[] = { "mac", "hostfwd", NULL };

const char *const *bk__virtio_keys(const char *spec)
{
	static const char *const none[] = { NULL };

	return !strncmp(spec, "virtio-blk:", 11)   ? blk_keys
	       : !strncmp(spec, "virtio-net:", 11) ? net_keys
						   : none;
}

/* What is behind `KEY=` in an item; NULL: it is another one. */
static const char *value_of(const char *item, const char *key)
{
	const size_t length = strlen(key);

	return !strncmp(item, key, length) && item[length] == '=' ? item + length + 1 : NULL;
}

/* Calls `take` for what follows the name, which the caller frees. */
static int parse(const char *text, char **name,
		 int (*take)(void *opaque, const char *item, struct bk_error *err), void *opaque,
		 struct bk_error *err)
{
	const char *rest = text;
	int error = 0;

	*name = bk__base_next_item(&rest);
	if (!*name)
		return bk_fail(err, ENOMEM, "out of memory");
	while (!error && *rest) {
		char *item = bk__base_next_item(&rest);

		error = item ? take(opaque, item, err) : bk_fail(err, ENOMEM, "out of memory");
		free(item);
	}
	return error;
}

/* ---- virtio-blk -------------------------------------------------------- */

struct blk_options {
	bool readonly;
	char serial[BK__VIRTIO_BLK_SERIAL + 1];
};

static int take_blk(void *opaque, const char *item, struct bk_error *err)
{
	struct blk_options *options = opaque;
	const char *serial = value_of(item, "serial");

	if (!strcmp(item, "readonly") || !strcmp(item, "readonly=on")) {
		options->readonly = true;
		return 0;
	}
	if (!strcmp(item, "readonly=off")) {
		options->readonly = false;
		return 0;
	}
	if (!serial)
		return bk_fail(err, EINVAL, "a disk has no option `%s`; it has readonly and serial=TEXT",
			       item);
	if (strlen(serial) > BK__VIRTIO_BLK_SERIAL)
		return bk_fail(err, EINVAL, "serial=%s: %d characters at most", serial,
			       BK__VIRTIO_BLK_SERIAL);
	strcpy(options->serial, serial);
	return 0;
}

static int open_disk(const char *text, const char *spec, struct bk__virtio **virtio, struct bk_error *err)
{
	struct blk_options options = { .readonly = false };
	struct bk__virtio_disk *disk = NULL;
	char *name;
	int error = parse(text, &name, take_blk, &options, err);

	if (!error && !*name)
		error = bk_fail(err, EINVAL, "a file is missing, as in virtio-blk:disk.img");
	if (!error)
		error = bk__virtio_disk_open(name, options.readonly, &disk, err);
	free(name);
	if (error)
		return error;
	error = bk__virtio_blk_create(spec, disk, options.readonly, options.serial, true, virtio, err);
	if (error)
		bk__virtio_disk_close(disk);
	return error;
}

/* ---- virtio-net -------------------------------------------------------- */

struct net_options {
	bool has_mac;
	uint8_t mac[BK__VIRTIO_MAC];
	char *forwards[FORWARDS];
	unsigned count;
};

static bool parse_mac(const char *text, uint8_t *mac)
{
	for (unsigned i = 0; i < BK__VIRTIO_MAC; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *high = *text ? strchr(digits, text[0] | 0x20) : NULL;
		const char *low = high && text[1] ? strchr(digits, text[1] | 0x20) : NULL;

		if (!low || text[2] != (i < BK__VIRTIO_MAC - 1 ? ':' : 0))
			return false;
		mac[i] = (uint8_t)((high - digits) << 4 | (low - digits));
		text += 3;
	}
	return !(mac[0] & 1);
}

static int take_net(void *opaque, const char *item, struct bk_error *err)
{
	struct net_options *options = opaque;
	const char *mac = value_of(item, "mac"), *forward = value_of(item, "hostfwd");

	if (mac) {
		options->has_mac = parse_mac(mac, options->mac);
		return options->has_mac
			       ? 0
			       : bk_fail(err, EINVAL,
					 "mac=%s: an address of one card, such as 52:54:00:12:34:56", mac);
	}
	if (!forward)
		return bk_fail(err, EINVAL,
			       "a network card has no option `%s`; it has mac=ADDRESS and hostfwd=RULE",
			       item);
	if (options->count == FORWARDS)
		return bk_fail(err, EINVAL, "hostfwd: %d at most", FORWARDS);
	options->forwards[options->count] = strdup(forward);
	if (!options->forwards[options->count])
		return bk_fail(err, ENOMEM, "out of memory");
	options->count++;
	return 0;
}

/* Each card of this process has a different address. */
static void choose_mac(uint8_t *mac)
{
	static atomic_uint cards;
	const unsigned n = 0x123456 + atomic_fetch_add(&cards, 1);
	const uint8_t bytes[BK__VIRTIO_MAC] = { 0x52,      0x54, 0x00, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
						(uint8_t)n };

	memcpy(mac, bytes, sizeof(bytes));
}

static int open_end(const char *name, const struct net_options *options, struct bk__virtio_net_end *end,
		    struct bk_error *err)
{
	const char *tap = value_of(name, "tap");

	if (!strcmp(name, "user"))
		return bk__virtio_net_user((const char *const *)options->forwards, options->count, end, err);
	if (!tap)
		return bk_fail(err, EINVAL, "`%s`: user or tap=NAME", name);
	if (options->count)
		return bk_fail(err, EINVAL, "hostfwd is for user; a tap interface forwards nothing");
	return bk__virtio_net_tap(tap, end, err);
}

static int open_card(const char *text, const char *spec, struct bk__virtio **virtio, struct bk_error *err)
{
	struct net_options options = { .has_mac = false };
	struct bk__virtio_net_end end;
	char *name;
	int error = parse(text, &name, take_net, &options, err);

	if (!error)
		error = open_end(name, &options, &end, err);
	free(name);
	for (unsigned i = 0; i < options.count; i++)
		free(options.forwards[i]);
	if (error)
		return error;
	if (!options.has_mac)
		choose_mac(options.mac);
	error = bk__virtio_net_create(spec, end.ops, end.opaque, options.mac, true, end.net, virtio, err);
	if (error)
		end.ops->close(end.opaque);
	return error;
}

/* ---- Kinds ------------------------------------------------------------- */

static int open_kind(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		     struct bk_device **device, struct bk_error *err)
{
	const bool disk = opaque == blk_keys;
	struct bk__virtio *virtio;
	struct bk_error inner;
	const int error = (disk ? open_disk : open_card)(text, spec, &virtio, &inner);

	*device = NULL;
	if (error)
		return bk_fail(err, -error, "%s: %s", spec, inner.text);
	*device = &virtio->device;
	return 0;
}

int bk__virtio_add_kinds(struct bk_device_context *context)
{
	int error = bk_device_context_add_kind(context, "virtio-blk", open_kind, (void *)blk_keys);

	return error ? error : bk_device_context_add_kind(context, "virtio-net", open_kind, (void *)net_keys);
}
