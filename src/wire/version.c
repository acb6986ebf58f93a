/* SPDX-License-Identifier: BSD-2-Clause */
/* The VERSION message: what each side can do, as JSON. */
#include "wire/version.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define DEPTH 8

static const struct bk__wire_version defaults = {
	.fds = 1,
	.data = BK__WIRE_DATA,
	.maps = BK__WIRE_MAPS,
	.pgsizes = BK__WIRE_PAGE,
};

/* A number in [0, most], or a line. */
static int take_number(json_object *o, const char *key, uint64_t most, uint64_t *value, bool *there,
		       struct bk_error *err)
{
	json_object *number;

	*there = json_object_object_get_ex(o, key, &number);
	if (!*there)
		return 0;
	if (!json_object_is_type(number, json_type_int) || json_object_get_int64(number) < 0 ||
	    json_object_get_uint64(number) > most)
		return bk_fail(err, EINVAL, "VERSION: %s is no number up to %" PRIu64, key, most);
	*value = json_object_get_uint64(number);
	return 0;
}

static int take_twin(json_object *o, struct bk__wire_version *version, struct bk_error *err)
{
	json_object *twin, *supported;
	uint64_t index = 0;
	bool there;
	int error;

	if (!json_object_object_get_ex(o, "twin_socket", &twin))
		return 0;
	if (!json_object_is_type(twin, json_type_object))
		return bk_fail(err, EINVAL, "VERSION: twin_socket is no object");
	if (json_object_object_get_ex(twin, "supported", &supported)) {
		if (!json_object_is_type(supported, json_type_boolean))
			return bk_fail(err, EINVAL, "VERSION: twin_socket.supported is no boolean");
		version->twin = json_object_get_boolean(supported);
	}
	error = take_number(twin, "fd_index", UINT32_MAX, &index, &there, err);
	version->twin_index = (uint32_t)index;
	version->has |= BK__WIRE_HAS_TWIN;
	return error;
}

static int take_multi(json_object *o, struct bk__wire_version *version, struct bk_error *err)
{
	json_object *multi;

	if (!json_object_object_get_ex(o, "write_multiple", &multi))
		return 0;
	if (!json_object_is_type(multi, json_type_boolean))
		return bk_fail(err, EINVAL, "VERSION: write_multiple is no boolean");
	version->multi = json_object_get_boolean(multi);
	version->has |= BK__WIRE_HAS_MULTI;
	return 0;
}

static int take_capabilities(json_object *o, struct bk__wire_version *version, struct bk_error *err)
{
	const struct {
		const char *key;
		unsigned has;
		uint64_t most, *value;
	} numbers[] = {
		{ "max_data_xfer_size", BK__WIRE_HAS_DATA, UINT32_MAX, &version->data },
		{ "max_dma_maps", BK__WIRE_HAS_MAPS, UINT32_MAX, &version->maps },
		{ "pgsizes", BK__WIRE_HAS_PGSIZES, UINT64_MAX, &version->pgsizes },
	};
	uint64_t fds = version->fds;
	bool there;
	int error = take_number(o, "max_msg_fds", UINT32_MAX, &fds, &there, err);

	version->fds = (uint32_t)fds;
	version->has |= there ? BK__WIRE_HAS_FDS : 0;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !error; i++) {
		error = take_number(o, numbers[i].key, numbers[i].most, numbers[i].value, &there, err);
		version->has |= there ? numbers[i].has : 0;
	}
	if (!error)
		error = take_twin(o, version, err);
	return error ? error : take_multi(o, version, err);
}

static int take_text(const char *text, size_t size, struct bk__wire_version *version, struct bk_error *err)
{
	json_tokener *tokener = json_tokener_new_ex(DEPTH);
	json_object *root, *capabilities;
	int error = 0;

	if (!tokener)
		return bk_fail(err, ENOMEM, "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	/* With the NUL, so that a text that is cut off is an error, too. */
	root = json_tokener_parse_ex(tokener, text, (int)size + 1);
	if (!json_object_is_type(root, json_type_object))
		error = bk_fail(err, EINVAL, "VERSION: the text is no JSON object");
	else if (json_object_object_get_ex(root, "capabilities", &capabilities))
		error = json_object_is_type(capabilities, json_type_object)
				? take_capabilities(capabilities, version, err)
				: bk_fail(err, EINVAL, "VERSION: capabilities is no object");
	json_object_put(root);
	json_tokener_free(tokener);
	return error;
}

int bk__wire_version_take(const void *payload, size_t size, struct bk__wire_version *version,
			  struct bk_error *err)
{
	struct bk__wire_version_header header;
	char text[BK__WIRE_VERSION_TEXT];

	*version = defaults;
	if (size < sizeof(header))
		return bk_fail(err, EINVAL, "VERSION: the message is too short");
	memcpy(&header, payload, sizeof(header));
	version->major = header.major;
	version->minor = header.minor;
	size -= sizeof(header);
	if (size > sizeof(text))
		return bk_fail(err, EINVAL, "VERSION: the text has more than %zu bytes", sizeof(text));
	memcpy(text, (const uint8_t *)payload + sizeof(header), size);
	if (size && !text[size - 1])
		size--;
	if (!size)
		return 0;
	if (size == sizeof(text) || memchr(text, 0, size))
		return bk_fail(err, EINVAL, "VERSION: the text does not end where the message does");
	text[size] = 0;
	return take_text(text, size, version, err);
}

int bk__wire_version_put(void *payload, size_t room, const struct bk__wire_version *version, bool reply)
{
	const struct bk__wire_version_header header = { (uint16_t)version->major, (uint16_t)version->minor };
	char text[512], *at = text;
	size_t left = sizeof(text), size;
	const char *comma = "";

#define PUT(...)                                               \
	do {                                                   \
		const int n = snprintf(at, left, __VA_ARGS__); \
		at += n;                                       \
		left -= (size_t)n;                             \
	} while (0)
	PUT("{\"capabilities\":{");
#define MEMBER(flag, format, ...)                             \
	do {                                                  \
		if (version->has & (flag)) {                  \
			PUT("%s" format, comma, __VA_ARGS__); \
			comma = ",";                          \
		}                                             \
	} while (0)
	MEMBER(BK__WIRE_HAS_FDS, "\"max_msg_fds\":%" PRIu32, version->fds);
	MEMBER(BK__WIRE_HAS_DATA, "\"max_data_xfer_size\":%" PRIu64, version->data);
	MEMBER(BK__WIRE_HAS_MAPS, "\"max_dma_maps\":%" PRIu64, version->maps);
	MEMBER(BK__WIRE_HAS_PGSIZES, "\"pgsizes\":%" PRIu64, version->pgsizes);
	MEMBER(BK__WIRE_HAS_MULTI, "\"write_multiple\":%s", version->multi ? "true" : "false");
	if (reply && version->twin)
		MEMBER(BK__WIRE_HAS_TWIN, "\"twin_socket\":{\"supported\":true,\"fd_index\":%" PRIu32 "}",
		       version->twin_index);
	else
		MEMBER(BK__WIRE_HAS_TWIN, "\"twin_socket\":{\"supported\":%s}",
		       version->twin ? "true" : "false");
	PUT("}}");
#undef MEMBER
#undef PUT
	size = (size_t)(at - text) + 1;
	if (size + sizeof(header) > room)
		return -ENOBUFS;
	memcpy(payload, &header, sizeof(header));
	memcpy((uint8_t *)payload + sizeof(header), text, size);
	return (int)(size + sizeof(header));
}
