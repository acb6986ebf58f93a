/* SPDX-License-Identifier: BSD-2-Clause */
/* A PL031 clock: the host's time, plus the offset that the guest sets. */
#ifndef BK_MONITOR_ARM64_RTC_H
#define BK_MONITOR_ARM64_RTC_H

#include <barkeep/space.h>

struct bk__monitor_rtc;

int bk__monitor_rtc_create(struct bk_space *memory, uint64_t first, struct bk__monitor_rtc **rtc);
void bk__monitor_rtc_reset(struct bk__monitor_rtc *rtc);

/* Never from a handler. NULL is fine. */
void bk__monitor_rtc_destroy(struct bk__monitor_rtc *rtc);

#endif
