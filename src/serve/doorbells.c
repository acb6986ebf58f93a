/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers that the client reaches by an eventfd: a write that only wakes the device is no message then, and
 * the client may have its host's kernel make it.
 *
 * Such a write passes by the traps, so only registers are offered in whose pages there is none. From then on
 * the page is the client's: a trap that comes later is refused, as in a page that the client has mapped.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/pci_regs.h"
#include "serve/session.h"

#define PAGE_MASK ((uint64_t)sysconf(_SC_PAGESIZE) - 1)

/* ---- Which there are --------------------------------------------------- */

struct search {
	struct bk__serve_session *session;
	struct bk__serve_doorbells *found;
	unsigned region;
	const struct bk_region *plain; /* what answers where there is no trap */
	bool bare;
};

static bool visit_flat(void *opaque, const struct bk_flat *flat)
{
	struct search *search = opaque;

	search->bare = flat->region == search->plain;
	return search->bare;
}

static bool is_bare(struct search *search, uint64_t offset)
{
	struct bk_mediator *mediate = search->session->config->mediate;
	struct bk_space *space;

	if (!mediate)
		return true; /* otherwise no trap could be added */
	space = bk_mediator_space(mediate, search->region);
	search->plain = bk_mediator_registers(mediate, search->region);
	search->bare = false;
	if (space && search->plain)
		bk_space_visit(space, offset & ~PAGE_MASK, offset | PAGE_MASK, visit_flat, search);
	return search->bare;
}

static void on_doorbell(void *opaque, const struct bk_device_doorbell *doorbell)
{
	struct search *search = opaque;
	struct bk__serve_doorbells *found = search->found;

	/* One that has an eventfd is another server's: there it is written by messages. */
	if (!doorbell->has_fd && doorbell->region == search->region &&
	    found->count < search->session->fds_most && is_bare(search, doorbell->offset))
		found->at[found->count++] = *doorbell;
}

/* Of the device itself: its face has none, for the traps' sake. */
static struct bk_device *device_of(const struct bk__serve_session *session)
{
	return session->config->mediate ? bk_mediator_below(session->config->mediate) : session->device;
}

static void look(struct bk__serve_session *session, unsigned region, struct bk__serve_doorbells *found)
{
	struct search search = { .session = session, .found = found, .region = region };

	found->count = 0;
	bk_device_doorbells(device_of(session), on_doorbell, &search);
}

/* ---- Handing them out -------------------------------------------------- */

static int bind(struct bk__serve_session *session, const struct bk_device_doorbell *doorbell, int fd)
{
	return bk_device_ioeventfd(device_of(session), doorbell->region, doorbell->offset, doorbell->width,
				   doorbell->value, fd);
}

/* Those that the device does not take are left out. */
static void bind_all(struct bk__serve_session *session, struct bk__serve_doorbells *doorbells)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < doorbells->count; i++) {
		const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0 || bind(session, &doorbells->at[i], fd)) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		doorbells->at[kept] = doorbells->at[i];
		doorbells->fds[kept++] = fd;
	}
	doorbells->count = kept;
}

static void hand_out(struct bk__serve_session *session, unsigned region)
{
	struct bk__serve_doorbells *doorbells = &session->doorbells[region], mine = { .told = true };
	bool first;

	pthread_mutex_lock(&session->share_lock);
	first = !doorbells->told && !session->shares[region].losing;
	if (first) {
		look(session, region, &mine);
		*doorbells = mine;
	}
	pthread_mutex_unlock(&session->share_lock);
	if (!first)
		return;
	bind_all(session, &mine); /* without the lock: the device may have to wait for a transfer */
	pthread_mutex_lock(&session->share_lock);
	*doorbells = mine;
	pthread_mutex_unlock(&session->share_lock);
}

bool bk__serve_doorbells_held(const struct bk__serve_session *session, unsigned region, uint64_t first,
			      uint64_t last)
{
	const struct bk__serve_doorbells *doorbells =
		region < BK_DEVICE_ROM ? &session->doorbells[region] : NULL;

	for (unsigned i = 0; doorbells && doorbells->told && i < doorbells->count; i++)
		if ((doorbells->at[i].offset & ~PAGE_MASK) <= last &&
		    (doorbells->at[i].offset | PAGE_MASK) >= first)
			return true;
	return false;
}

void bk__serve_doorbells_close(struct bk__serve_session *session)
{
	for (unsigned region = 0; region < BK_DEVICE_ROM; region++) {
		struct bk__serve_doorbells *doorbells = &session->doorbells[region];

		for (unsigned i = 0; i < doorbells->count; i++) {
			bind(session, &doorbells->at[i], -1);
			close(doorbells->fds[i]);
		}
	}
}

/* ---- The message ------------------------------------------------------- */

static bool is_ports(struct bk__serve_session *session, unsigned region)
{
	uint8_t bar = 0;

	return bk_device_read(session->device, BK_DEVICE_CONFIG, BK__PCI_BAR0 + 4 * (uint64_t)region, &bar,
			      1) >= 0 &&
	       bar & BK__PCI_BAR_IO;
}

static void put(uint8_t *to, const struct bk_device_doorbell *doorbell, unsigned i, bool ports)
{
	const struct bk__wire_io_fd entry = {
		.offset = doorbell->offset,
		.size = doorbell->width,
		.fd_index = i,
		.type = BK__WIRE_IOEVENTFD,
		.flags = BK__WIRE_IOEVENTFD_DATAMATCH | (ports ? BK__WIRE_IOEVENTFD_PIO : 0),
		.datamatch = doorbell->value,
	};

	memcpy(to + i * sizeof(entry), &entry, sizeof(entry));
}

static size_t size_of(unsigned count)
{
	return sizeof(struct bk__wire_io_fds) + count * sizeof(struct bk__wire_io_fd);
}

/* How many there will be, before any is handed out. */
static unsigned count_of(struct bk__serve_session *session, unsigned region)
{
	struct bk__serve_doorbells found;

	if (session->doorbells[region].told)
		return session->doorbells[region].count;
	look(session, region, &found);
	return found.count;
}

int bk__serve_io_fds(struct bk__serve_session *session, struct bk__wire_message *message,
		     const struct bk__wire_request *request)
{
	struct bk__wire_io_fds reply = { .index = request->io_fds.index };
	const bool is_bar = reply.index < BK_DEVICE_ROM;
	const struct bk__serve_doorbells *doorbells = is_bar ? &session->doorbells[reply.index] : NULL;
	uint8_t *payload = BK__SERVE_PAYLOAD(session);
	struct bk_device_region region;
	const int error = bk__serve_region_of(session, reply.index, &region);
	bool whole, ports;

	if (error || request->io_fds.flags || request->io_fds.count)
		return bk__serve_refuse(session, message, error ? error : -EINVAL, NULL);
	reply.count = is_bar ? count_of(session, reply.index) : 0;
	whole = reply.count && size_of(reply.count) <= request->io_fds.argsz;
	if (whole) {
		hand_out(session, reply.index);
		reply.count = doorbells->count;
	}
	ports = whole && is_ports(session, reply.index);
	for (unsigned i = 0; whole && i < reply.count; i++)
		put(payload + sizeof(reply), &doorbells->at[i], i, ports);
	reply.argsz = (uint32_t)size_of(reply.count);
	memcpy(payload, &reply, sizeof(reply));
	return bk__serve_reply(session, message, whole ? reply.argsz : sizeof(reply),
			       whole ? doorbells->fds : NULL, whole ? reply.count : 0);
}
