/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers, read and written by messages, and reset. */
#include <errno.h>
#include <string.h>

#include "serve/session.h"

/*
 * An access that reaches nothing. Some clients wait for as many bytes as they have asked for, whatever the
 * reply says of an error, and for ever: unless it is strict, they get all ones.
 */
static bool must_answer(const struct bk__serve_session *session)
{
	return !session->limits.strict;
}

int bk__serve_region_read(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request)
{
	const struct bk__wire_region_access *access = &request->access;
	uint8_t *out = BK__SERVE_PAYLOAD(session);
	const int error = bk_device_read(session->device, access->region, access->offset,
					 out + sizeof(*access), access->count);

	if (error < 0) {
		if (!must_answer(session))
			return bk__serve_refuse(session, message, error, NULL);
		memset(out + sizeof(*access), 0xff, access->count);
	}
	memcpy(out, access, sizeof(*access));
	return bk__serve_reply(session, message, sizeof(*access) + access->count, NULL, 0);
}

int bk__serve_region_write(struct bk__serve_session *session, struct bk__wire_message *message,
			   const struct bk__wire_request *request)
{
	const struct bk__wire_region_access *access = &request->access;
	const int error = bk_device_write(session->device, access->region, access->offset, request->data,
					  access->count);

	if (error < 0 && !must_answer(session))
		return bk__serve_refuse(session, message, error, NULL);
	memcpy(BK__SERVE_PAYLOAD(session), access, sizeof(*access));
	return bk__serve_reply(session, message, sizeof(*access), NULL, 0);
}

int bk__serve_write_multi(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request)
{
	struct bk__wire_write_multi reply = { 0 };

	for (int error = 0; reply.count < request->multi.count; reply.count++) {
		const struct bk__wire_write write = bk__wire_multi_write(request, reply.count);

		error = bk_device_write(session->device, write.region, write.offset, write.data, write.count);
		if (error < 0 && !must_answer(session))
			break;
	}
	memcpy(BK__SERVE_PAYLOAD(session), &reply, sizeof(reply));
	return bk__serve_reply(session, message, sizeof(reply), NULL, 0);
}

/* Some clients ask just those devices for it that say that they cannot. */
int bk__serve_reset(struct bk__serve_session *session, struct bk__wire_message *message,
		    const struct bk__wire_request *request)
{
	const int error = bk_device_reset(session->device);

	(void)request;
	if (error && !(error == -EOPNOTSUPP && must_answer(session)))
		return bk__serve_refuse(session, message, error, "DEVICE_RESET failed");
	return bk__serve_reply(session, message, 0, NULL, 0);
}
