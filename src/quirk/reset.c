/* SPDX-License-Identifier: BSD-2-Clause */
/* A reset in steps, on the device itself. How long it may wait in all was bounded when it was loaded. */
#include "base/clock.h"
#include "base/ratelimit.h"
#include "quirk/stack.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static int64_t now(void)
{
	return (int64_t)(bk__base_now() / 1000);
}

static void sleep_for(uint64_t us)
{
	struct timespec left = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static int poll(const struct bk__quirk_step *step, struct bk__quirk_run *run)
{
	const int64_t end = now() + (int64_t)step->wait;

	while (!bk__quirk_item_number(step->test, run) && !run->error) {
		const int64_t left = end - now();

		if (left <= 0)
			return step->go_on ? 0 : -ETIMEDOUT;
		sleep_for(step->every < (uint64_t)left ? step->every : (uint64_t)left);
	}
	return run->error;
}

static int do_step(const struct bk__quirk_step *step, struct bk__quirk_run *run)
{
	if (step->when && !bk__quirk_item_number(step->when, run))
		return run->error;
	switch (step->kind) {
	case BK__STEP_DO:
		bk__quirk_items_read(&step->what, run);
		return run->error;
	case BK__STEP_REQUIRE:
		return bk__quirk_item_number(step->test, run) ? run->error : -EIO;
	case BK__STEP_DELAY:
		sleep_for(step->wait);
		return 0;
	case BK__STEP_POLL:
		return poll(step, run);
	}
	return 0;
}

int bk__quirk_reset_steps(struct bk__quirk_bound *bound)
{
	const struct bk_quirk *quirk = bound->quirk;
	uint64_t variables[BK__VARIABLES];
	struct bk__quirk_run run = {
		.width = 4,
		.variables = variables,
		.options = bound->options,
		.caps = bound->host_caps,
		.sizes = bound->stack->sizes,
		.read = bk__quirk_device_place_read,
		.write = bk__quirk_device_place_write,
		.opaque = bound->stack->below,
	};
	static struct bk__ratelimit limit;

	memcpy(variables, bound->start, sizeof(variables));
	for (unsigned i = 0; i < quirk->step_count; i++) {
		const int r = do_step(&quirk->steps[i], &run);

		if (!r)
			continue;
		bk__log_limited(&limit, BK_LOG_WARNING, "%s: the reset of the quirk %s stopped (%s:%u): %s",
				bound->stack->below->name, quirk->name, quirk->file, quirk->steps[i].line,
				strerror(-r));
		return r;
	}
	return 0;
}
