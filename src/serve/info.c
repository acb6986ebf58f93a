/* SPDX-License-Identifier: BSD-2-Clause */
/* What the device, its regions and its interrupts are. */
#include <errno.h>
#include <string.h>

#include "serve/session.h"

int bk__serve_device_info(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request)
{
	struct bk_device_info info = { .struct_size = sizeof(info) };
	const int error = bk_device_info(session->device, &info);
	const struct bk__wire_device_info reply = {
		.argsz = sizeof(reply),
		.flags =
			BK__WIRE_DEVICE_PCI | (info.flags & BK_DEVICE_CAN_RESET ? BK__WIRE_DEVICE_RESETS : 0),
		.regions = info.regions < BK_DEVICE_REGIONS ? BK_DEVICE_REGIONS : info.regions,
		.irqs = BK_DEVICE_IRQS,
	};

	(void)request;
	if (error)
		return bk__serve_refuse(session, message, error, "the device says nothing of itself");
	memcpy(BK__SERVE_PAYLOAD(session), &reply, sizeof(reply));
	return bk__serve_reply(session, message, sizeof(reply), NULL, 0);
}

int bk__serve_region_of(struct bk__serve_session *session, unsigned index, struct bk_device_region *region)
{
	struct bk_device_info info = { .struct_size = sizeof(info) };
	int error = bk_device_info(session->device, &info);

	*region = (struct bk_device_region){ .struct_size = sizeof(*region), .fd = -1 };
	if (error)
		return error;
	if (index >= info.regions)
		return index < BK_DEVICE_REGIONS ? 0 : -EINVAL;
	return bk_device_region(session->device, index, region);
}

int bk__serve_region_info(struct bk__serve_session *session, struct bk__wire_message *message,
			  const struct bk__wire_request *request)
{
	const uint32_t argsz = request->region_info.argsz;
	const size_t room = argsz < BK__WIRE_DATA ? argsz : BK__WIRE_DATA;
	struct bk__serve_share *share = NULL;
	struct bk_device_region region;
	struct bk__wire_region_info info = { .index = request->region_info.index };
	const int error = bk__serve_region_of(session, info.index, &region);
	bool whole;
	size_t size;

	if (error)
		return bk__serve_refuse(session, message, error, NULL);
	info.size = region.size;
	if (region.size)
		info.flags = region.flags & (BK__WIRE_REGION_READS | BK__WIRE_REGION_WRITES);
	bk__serve_share_get(session, info.index, &region, &share);
	whole = !share || (share->areas.count == 1 && !share->areas.at[0].offset &&
			   share->areas.at[0].size == region.size);
	if (share) {
		info.flags |= BK__WIRE_REGION_MMAPS;
		info.offset = share->offset;
	}
	size = bk__wire_region_info_put(BK__SERVE_PAYLOAD(session), room, &info,
					whole ? NULL : share->areas.at, whole ? 0 : share->areas.count);
	if (!share || size < info.argsz) /* it asks again, and gets the file then */
		return bk__serve_reply(session, message, size, NULL, 0);
	return bk__serve_reply(session, message, size, &share->fd, 1);
}

int bk__serve_irq_info(struct bk__serve_session *session, struct bk__wire_message *message,
		       const struct bk__wire_request *request)
{
	struct bk__wire_irq_info reply = { .argsz = sizeof(reply), .index = request->irq_info.index };
	const struct bk_device_irq *irq;

	if (reply.index >= BK_DEVICE_IRQS)
		return bk__serve_refuse(session, message, -EINVAL, NULL);
	irq = &session->irqs[reply.index].info;
	reply.count = irq->count;
	/* Vectors can be set one by one, whatever the host can. */
	reply.flags = irq->count ? BK__WIRE_IRQ_EVENTFD |
					   (irq->flags & (BK__WIRE_IRQ_MASKABLE | BK__WIRE_IRQ_AUTOMASKED))
				 : 0;
	memcpy(BK__SERVE_PAYLOAD(session), &reply, sizeof(reply));
	return bk__serve_reply(session, message, sizeof(reply), NULL, 0);
}
