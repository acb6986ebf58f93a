/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of vfio-user, checked and taken apart.
 *
 * Nothing here reads or writes a socket (see stream.h). All calls may be made on any thread.
 */
#ifndef BK_WIRE_MESSAGE_H
#define BK_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <barkeep/base.h>

#include "wire/protocol.h"

/* A message as it came. Whoever has it closes the fds that are left (>= 0). */
struct bk__wire_message {
	struct bk__wire_header header;
	const uint8_t *payload; /* header.size - 16 bytes, aligned to nothing */
	size_t size;            /* of the payload */
	int *fds;
	unsigned fd_count;
};

/*
 * The header at the start of `bytes`. 0 when the whole message is there, -EAGAIN when more bytes have to come
 * (the header is set if it is there), -EPROTO for a size that no message of at most `most` bytes can have:
 * nothing after it can be made sense of.
 */
int bk__wire_frame(const void *bytes, size_t size, size_t most, struct bk__wire_header *header);

/* How many fds a whole message may bring, at most: a command or a reply, whose payload may be anything. */
unsigned bk__wire_fds_most(const struct bk__wire_header *header, const uint8_t *payload);

/* Closes the fds that are left, and marks them closed. */
void bk__wire_drop_fds(struct bk__wire_message *message);

/* Takes a fd out of the message: it is the caller's. */
int bk__wire_take_fd(struct bk__wire_message *message, unsigned index);

/* What two sides have agreed on. */
struct bk__wire_limits {
	uint64_t data;  /* bytes of a transfer */
	unsigned minor; /* of the version */
	bool multi;     /* WRITE_MULTI is allowed */
	bool strict;    /* reserved fields are 0, unknown flags and bytes too many are errors */
};

/* A request that is valid: `data` are the bytes behind its fixed part. */
struct bk__wire_request {
	union {
		struct bk__wire_version_header version;
		struct bk__wire_dma_map map;
		struct bk__wire_dma_unmap unmap;
		struct bk__wire_device_info device_info;
		struct bk__wire_region_info region_info;
		struct bk__wire_io_fds io_fds;
		struct bk__wire_irq_info irq_info;
		struct bk__wire_set_irqs set_irqs;
		struct bk__wire_region_access access;
		struct bk__wire_dma_access dma;
		struct bk__wire_write_multi multi;
		struct bk__wire_feature feature;
		struct bk__wire_mig_data mig_data;
	};
	const uint8_t *data;
	size_t size;
};

/*
 * Checks a command: its header's flags, the length of its payload, every count in it, flags, and how many fds
 * it has. What depends on the device (indexes, sizes of regions) is not known here. 0; -EINVAL; -ENOTSUP for
 * a command or a form that was not agreed on; -EOPNOTSUPP is not told apart. On failure `err` has a line
 * for the log; it may be NULL.
 */
int bk__wire_check(const struct bk__wire_message *message, const struct bk__wire_limits *limits,
		   struct bk__wire_request *request, struct bk_error *err);

/*
 * Checks the reply to a request of `command`: that it is one, and that its fixed part is there, which is
 * copied to `fixed` (`fixed_size` bytes); the rest is `*data`. 0, the negative errno of an error reply (-EIO
 * for one without), -EPROTO for what is no reply to that command.
 */
int bk__wire_check_reply(const struct bk__wire_message *message, unsigned command, void *fixed,
			 size_t fixed_size, const uint8_t **data, size_t *size);

/* The i-th write of a WRITE_MULTI that was checked. */
struct bk__wire_write bk__wire_multi_write(const struct bk__wire_request *request, uint64_t i);

/* ---- Region info ------------------------------------------------------- */

/*
 * Writes the reply's payload: `info` and a list of mappable areas (none: no capability). At most `room`
 * bytes: where all does not fit, the fixed part alone, with argsz as it would have to be. Returns the number
 * of bytes. Sets argsz, cap_offset and the CAPS flag.
 */
size_t bk__wire_region_info_put(void *payload, size_t room, struct bk__wire_region_info *info,
				const struct bk__wire_area *areas, uint32_t count);

/*
 * Takes a payload apart that is whole (argsz is not above `size`). Calls `area` for each area of the sparse
 * capability and sets *sparse if there is one. -EPROTO for a chain that leaves the payload or loops, for
 * areas that are not inside the region.
 */
int bk__wire_region_info_take(const void *payload, size_t size, struct bk__wire_region_info *info,
			      bool *sparse, void (*area)(void *opaque, const struct bk__wire_area *area),
			      void *opaque);

/* ---- Sub-regions of REGION_IO_FDS -------------------------------------- */

/*
 * The i-th sub-region of a reply's data. Takes entries of 40 bytes, as the text has them, and of 48, as
 * libvfio-user sends them (with `count` of them the size tells). -EPROTO for any other size.
 */
int bk__wire_io_fd_take(const void *data, size_t size, uint32_t count, uint32_t i,
			struct bk__wire_io_fd *out);

/* Is it an eventfd, or something else without a name? What is a file of any other kind must not be written to
 * for one. */
bool bk__wire_is_event(int fd);

/* The name of a command, for lines; "command" for one that does not exist. */
const char *bk__wire_command_name(unsigned command);

#endif
