/* SPDX-License-Identifier: BSD-2-Clause */
/* One client: its messages in their order, and what is left to do when it has gone. */
#include "serve/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pci_regs.h"
#include "base/ratelimit.h"

typedef int command_fn(struct bk__serve_session *session, struct bk__wire_message *message,
		       const struct bk__wire_request *request);

/* ---- Replies ----------------------------------------------------------- */

static int send_reply(struct bk__serve_session *session, const struct bk__wire_message *message, size_t size,
		      uint32_t error, uint32_t flags, const int *fds, unsigned fd_count)
{
	const struct bk__wire_header header = {
		.id = message->header.id,
		.command = message->header.command,
		.size = (uint32_t)(sizeof(header) + size),
		.flags = BK__WIRE_REPLY | flags,
		.error = error,
	};
	const struct iovec part = { session->out, header.size };

	memcpy(session->out, &header, sizeof(header));
	return bk__serve_channel_send(&session->channel, &part, 1, fds, fd_count);
}

int bk__serve_reply(struct bk__serve_session *session, const struct bk__wire_message *message, size_t size,
		    const int *fds, unsigned fd_count)
{
	if (message->header.flags & BK__WIRE_NO_REPLY)
		return 0;
	return send_reply(session, message, size, 0, 0, fds, fd_count);
}

int bk__serve_refuse(struct bk__serve_session *session, const struct bk__wire_message *message, int error,
		     const char *what)
{
	atomic_fetch_add_explicit(&session->serve->refused, 1, memory_order_relaxed);
	if (what)
		bk__log_limited(&session->serve->complaints, BK_LOG_WARNING, "%s: refused: %s",
				session->config->name, what);
	if (message->header.flags & BK__WIRE_NO_REPLY)
		return 0;
	return send_reply(session, message, 0, (uint32_t)-error, BK__WIRE_ERROR, NULL, 0);
}

/* ---- VERSION ----------------------------------------------------------- */

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What both sides can do, of what the client names. */
static void agree(struct bk__serve_session *session, struct bk__wire_version *version)
{
	version->minor = version->minor < BK__WIRE_MINOR ? version->minor : BK__WIRE_MINOR;
	session->fds_most = (unsigned)lower(version->fds, BK__WIRE_FDS);
	version->fds = BK__WIRE_FDS;
	version->data = lower(version->data, BK__WIRE_DATA);
	version->maps = lower(version->maps, session->maps_most);
	if (version->pgsizes & BK__WIRE_PAGE)
		version->pgsizes = BK__WIRE_PAGE;
	session->maps_most = (unsigned)version->maps;
	session->limits.minor = version->minor;
	session->limits.multi = version->multi;
	session->channel.data = version->data;
}

static int version(struct bk__serve_session *session, struct bk__wire_message *message)
{
	struct bk__wire_version version;
	struct bk_error err;
	int twin = -1, size, error;

	error = bk__wire_version_take(message->payload, message->size, &version, &err);
	if (!error && version.major != BK__WIRE_MAJOR)
		error = bk_fail(&err, EINVAL, "VERSION: a client of version %u.%u", version.major,
				version.minor);
	if (!error && !version.data)
		error = bk_fail(&err, EINVAL, "VERSION: max_data_xfer_size is 0");
	if (error) {
		bk__serve_refuse(session, message, error, err.text);
		return error;
	}
	agree(session, &version);
	if (version.twin && version.fds)
		version.twin = !bk__serve_channel_twin(&session->channel, &twin);
	version.twin_index = 0;
	size = bk__wire_version_put(BK__SERVE_PAYLOAD(session), BK__WIRE_MESSAGE, &version, true);
	error = size < 0 ? size : bk__serve_reply(session, message, (size_t)size, &twin, twin >= 0);
	if (twin >= 0)
		close(twin);
	session->versioned = !error;
	return error;
}

/* ---- Commands ---------------------------------------------------------- */

static command_fn *const commands[BK__WIRE_COMMANDS] = {
	[BK__WIRE_DMA_MAP] = bk__serve_dma_map,           [BK__WIRE_DMA_UNMAP] = bk__serve_dma_unmap,
	[BK__WIRE_DEVICE_INFO] = bk__serve_device_info,   [BK__WIRE_REGION_INFO] = bk__serve_region_info,
	[BK__WIRE_REGION_IO_FDS] = bk__serve_io_fds,      [BK__WIRE_IRQ_INFO] = bk__serve_irq_info,
	[BK__WIRE_SET_IRQS] = bk__serve_set_irqs,         [BK__WIRE_REGION_READ] = bk__serve_region_read,
	[BK__WIRE_REGION_WRITE] = bk__serve_region_write, [BK__WIRE_RESET] = bk__serve_reset,
	[BK__WIRE_WRITE_MULTI] = bk__serve_write_multi,
};

static int handle(struct bk__serve_session *session, struct bk__wire_message *message)
{
	const unsigned command = message->header.command;
	struct bk__wire_request request;
	struct bk_error err;
	int error = bk__wire_check(message, &session->limits, &request, &err);

	if (error)
		return bk__serve_refuse(session, message, error, err.text);
	if (commands[command])
		return commands[command](session, message, &request);
	/* Features and migration are not there, DMA goes the other way. */
	return bk__serve_refuse(session, message, command == BK__WIRE_VERSION ? -EINVAL : -ENOTSUP, NULL);
}

/* Nothing is served before VERSION. */
static int handle_first(struct bk__serve_session *session, struct bk__wire_message *message)
{
	struct bk__wire_request request;
	struct bk_error err;
	int error = message->header.command == BK__WIRE_VERSION
			    ? bk__wire_check(message, &session->limits, &request, &err)
			    : bk_fail(&err, EINVAL, "%s before VERSION",
				      bk__wire_command_name(message->header.command));

	if (!error)
		return version(session, message);
	bk__serve_refuse(session, message, error, err.text);
	return error;
}

static void count_message(struct bk__serve *serve, unsigned command)
{
	atomic_fetch_add_explicit(&serve->commands[command < BK__SERVE_COMMANDS ? command : 0], 1,
				  memory_order_relaxed);
}

static void serve(struct bk__serve_session *session)
{
	struct bk__wire_message message;
	int error = 0;

	while (!error) {
		error = bk__serve_channel_next(&session->channel, &message);
		if (error)
			break;
		count_message(session->serve, message.header.command);
		error = session->versioned ? handle(session, &message) : handle_first(session, &message);
		bk__wire_drop_fds(&message);
	}
	if (error != -EPIPE && error != -ECONNRESET && !bk__serve_stopping(session->serve))
		bk__log_limited(&session->serve->complaints, BK_LOG_WARNING,
				"%s: the connection to the client ends: %s", session->config->name,
				error == -EPROTO ? "a message of an impossible size" : strerror(-error));
	bk__serve_channel_break(&session->channel, error);
}

/* ---- Start and end ----------------------------------------------------- */

/* DMA first: from then on nothing reaches memory that is not ours any more. */
static void give_back(struct bk__serve_session *session)
{
	const uint8_t off[2] = { 0, 0 };

	bk__serve_unmap_all(session);
	bk__serve_irqs_close(session);
	bk__serve_doorbells_close(session);
	bk_device_write(session->device, BK_DEVICE_CONFIG, BK__PCI_COMMAND, off, sizeof(off));
	bk_device_reset(session->device);
	bk__serve_share_close(session);
}

/* To who stops the server. */
static void show_channel(struct bk__serve *serve_, struct bk__serve_channel *channel)
{
	pthread_mutex_lock(&serve_->lock);
	serve_->channel = channel;
	if (channel && bk__serve_stopping(serve_))
		bk__serve_channel_break(channel, -ECANCELED);
	pthread_mutex_unlock(&serve_->lock);
}

static void free_session(struct bk__serve_session *session)
{
	bk__serve_channel_close(&session->channel);
	bk__serve_files_done(&session->own);
	free(session->maps.at);
	free(session->out);
	free(session);
}

int bk__serve_session_settle(struct bk__serve *serve_)
{
	const int error = serve_->stuck ? bk__serve_unmap_all(serve_->stuck) : 0;

	if (!error && serve_->stuck) {
		free_session(serve_->stuck);
		serve_->stuck = NULL;
	}
	return error;
}

void bk__serve_session_run(struct bk__serve *serve_, int fd)
{
	struct bk__serve_session *session = calloc(1, sizeof(*session));
	int error = session ? 0 : -ENOMEM;

	if (!error)
		error = bk__serve_channel_open(&session->channel, fd);
	if (error) {
		bk_log(BK_LOG_ERROR, "%s: a client is not served: %s", serve_->config.name, strerror(-error));
		free(session);
		return;
	}
	session->serve = serve_;
	session->config = &serve_->config;
	session->device = serve_->config.device;
	session->channel.spin = serve_->config.spin;
	session->limits = (struct bk__wire_limits){ .data = BK__WIRE_DATA, .strict = serve_->config.strict };
	session->maps_most = serve_->config.maps ? serve_->config.maps : BK__WIRE_MAPS;
	bk__serve_files_init(&session->own);
	session->files = session->config->group ? &session->config->group->files : &session->own;
	session->out = malloc(BK__WIRE_MESSAGE);
	bk__serve_irqs_open(session);
	bk__serve_share_open(session);
	show_channel(serve_, &session->channel);
	if (session->out)
		serve(session);
	give_back(session);
	show_channel(serve_, NULL);
	/* The device may use the memory, or ask the client for it, as long as it has a map of it. */
	serve_->stuck = session;
	bk__serve_session_settle(serve_);
}
