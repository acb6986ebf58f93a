/* SPDX-License-Identifier: BSD-2-Clause */
/* A PL031 clock (Arm DDI 0224) that counts seconds; its alarm never rings. */
#include "monitor/arm64/rtc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "monitor/arm64/primecell.h"

#define PART 0x00041031

enum { DR = 0x00, MR = 0x04, LR = 0x08, CR = 0x0c, IMSC = 0x10 };

struct bk__monitor_rtc {
	struct bk_region *region;
	_Atomic uint32_t offset; /* of the guest's seconds from the host's */
	_Atomic uint32_t match, load, mask;
};

static uint32_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (uint32_t)time.tv_sec;
}

static int rtc_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk__monitor_rtc *rtc = opaque;

	switch (offset) {
	case DR:
		*value = now() + atomic_load(&rtc->offset);
		break;
	case MR:
		*value = atomic_load(&rtc->match);
		break;
	case LR:
		*value = atomic_load(&rtc->load);
		break;
	case CR:
		*value = 1; /* it always counts */
		break;
	case IMSC:
		*value = atomic_load(&rtc->mask);
		break;
	default:
		*value = offset >= BK__PRIMECELL_ID ? bk__monitor_primecell_id(PART, offset) : 0;
	}
	*value = (uint32_t)*value;
	return 0;
}

static int rtc_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_rtc *rtc = opaque;

	switch (offset) {
	case MR:
		atomic_store(&rtc->match, (uint32_t)value);
		break;
	case LR:
		atomic_store(&rtc->load, (uint32_t)value);
		atomic_store(&rtc->offset, (uint32_t)value - now());
		break;
	case IMSC:
		atomic_store(&rtc->mask, value & 1);
		break;
	default:
		break;
	}
	return 0;
}

static const struct bk_region_ops region_ops = { .read = rtc_read,
						 .write = rtc_write,
						 .widths = BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4 };

void bk__monitor_rtc_reset(struct bk__monitor_rtc *rtc)
{
	atomic_store(&rtc->offset, 0);
	atomic_store(&rtc->match, 0);
	atomic_store(&rtc->load, 0);
	atomic_store(&rtc->mask, 0);
}

int bk__monitor_rtc_create(struct bk_space *memory, uint64_t first, struct bk__monitor_rtc **out)
{
	struct bk__monitor_rtc *rtc = calloc(1, sizeof(*rtc));
	const struct bk_region_desc desc = { .name = "rtc",
					     .first = first,
					     .last = first + BK__PRIMECELL_SIZE - 1,
					     .rank = first,
					     .ops = &region_ops,
					     .opaque = rtc };
	int error;

	if (!rtc)
		return -ENOMEM;
	error = bk_region_add(memory, &desc, &rtc->region, NULL);
	if (error) {
		free(rtc);
		return error;
	}
	*out = rtc;
	return 0;
}

void bk__monitor_rtc_destroy(struct bk__monitor_rtc *rtc)
{
	if (!rtc)
		return;
	bk_region_retire(rtc->region);
	free(rtc);
}
