/* SPDX-License-Identifier: BSD-2-Clause */
/* Mediators on mediators: a trap that comes or goes below is known above before the call returns. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

/* The fixture's mediator is the lowest; `top` is one or two above it. */
struct stack {
	struct fixture *f;
	struct fixture top;
};

static struct bk_mediator *over(struct fixture *f, struct bk_mediator *below)
{
	struct bk_mediator *m;
	struct bk_error err;

	if (bk_mediator_create(f->domain, bk_mediator_device(below), NULL, &m, &err))
		fail_msg("%s", err.text);
	return m;
}

static int begin(void **state)
{
	struct stack *s = calloc(1, sizeof(*s));
	void *fixture;

	if (setup(&fixture))
		return -1;
	s->f = fixture;
	s->top.domain = s->f->domain;
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct stack *s = *state;
	void *fixture = s->f;

	if (s->top.mediate) { /* closes those below it */
		assert_int_equal(bk_mediator_destroy(s->top.mediate), 0);
		s->f->mediate = NULL;
	}
	free(s);
	return teardown(&fixture);
}

static bool maps(struct stack *s, uint64_t page)
{
	return page_is_mapped(&s->top, 1, page);
}

static void F30_a_trap_below_is_not_passed_by(void **state)
{
	struct stack *s = *state;
	static struct recorder r;
	struct bk_trap *trap;

	s->top.mediate = over(s->f, s->f->mediate);
	assert_true(maps(s, 0x2000));
	r = (struct recorder){ .bytes = { 0xad, 0xde } };
	trap = add(s->f, &r, 1, 0x2000, 4, 0);
	assert_true(maps(s, 0x1000));
	assert_false(maps(s, 0x2000));
	assert_true(maps(s, 0x3000));
	assert_int_equal(rd(&s->top, 1, 0x2000, 4), 0xdead);
	assert_int_equal(rd(&s->top, 1, 0x2004, 4), fake_pattern(0x2004, 4));
	bk_trap_remove(trap);
	assert_true(maps(s, 0x2000));
	assert_int_equal(rd(&s->top, 1, 0x2000, 4), fake_pattern(0x2000, 4));
}

static void a_trap_that_was_there_before_is_known_too(void **state)
{
	struct stack *s = *state;
	static struct recorder r;
	struct bk_trap *trap = add(s->f, &r, 1, 0x2ffc, 8, 0);

	s->top.mediate = over(s->f, s->f->mediate);
	assert_false(maps(s, 0x2000));
	assert_false(maps(s, 0x3000));
	assert_true(maps(s, 0x4000));
	bk_trap_remove(trap);
	assert_true(maps(s, 0x2000));
	assert_true(maps(s, 0x3000));
}

static void two_floors_up_it_is_the_same(void **state)
{
	struct stack *s = *state;
	static struct recorder r;
	struct bk_trap *trap;

	s->top.mediate = over(s->f, over(s->f, s->f->mediate));
	assert_true(maps(s, 0x2000));
	trap = add(s->f, &r, 1, 0x2000, 4, 0);
	assert_false(maps(s, 0x2000));
	assert_true(maps(s, 0x3000));
	bk_trap_remove(trap);
	assert_true(maps(s, 0x2000));
}

static void pages_that_traps_share_come_back_with_the_last(void **state)
{
	struct stack *s = *state;
	static struct recorder r[3];
	struct bk_trap *large, *small, *other;

	s->top.mediate = over(s->f, s->f->mediate);
	large = add(s->f, &r[0], 1, 0x1000, 0x3000, 0);
	small = add(s->f, &r[1], 1, 0x2008, 4, 1);
	other = add(s->f, &r[2], 1, 0x4000, 4, 0);
	for (uint64_t page = 0x1000; page < 0x5000; page += 0x1000)
		assert_false(maps(s, page));
	bk_trap_remove(large);
	assert_true(maps(s, 0x1000));
	assert_false(maps(s, 0x2000));
	assert_true(maps(s, 0x3000));
	assert_false(maps(s, 0x4000));
	bk_trap_remove(small);
	assert_true(maps(s, 0x2000));
	bk_trap_remove(other);
	assert_true(maps(s, 0x4000));
}

static void a_trap_that_is_replaced_elsewhere_moves_its_page(void **state)
{
	struct stack *s = *state;
	static struct recorder r, other;
	const struct bk_trap_desc desc = {
		.region = 2, .offset = 0x5000, .length = 4, .ops = &recorder_ops, .opaque = &other
	};
	struct bk_trap *trap, *next;

	other = (struct recorder){ .base = 0x5000, .region = 2 };
	s->top.mediate = over(s->f, s->f->mediate);
	trap = add(s->f, &r, 1, 0x2000, 4, 0);
	assert_int_equal(bk_trap_replace(trap, &desc, &next, NULL), 0);
	assert_true(maps(s, 0x2000));
	assert_false(page_is_mapped(&s->top, 2, 0x5000));
	bk_trap_remove(next);
	assert_true(page_is_mapped(&s->top, 2, 0x5000));
}

static void a_trap_that_is_refused_leaves_all_mapped(void **state)
{
	struct stack *s = *state;
	static struct recorder r;
	struct bk_trap_desc desc = {
		.region = 1, .offset = 0x2000, .length = 4, .ops = &recorder_ops, .opaque = &r
	};
	struct bk_trap *trap, *same;

	s->top.mediate = over(s->f, s->f->mediate);
	trap = add(s->f, &r, 1, 0x2000, 4, 0);
	assert_int_equal(bk_trap_add(s->f->mediate, &desc, &same, NULL), -EEXIST);
	assert_false(maps(s, 0x2000));
	desc.length = 0x2000; /* its second page is only in this one */
	assert_int_equal(bk_trap_add(s->f->mediate, &desc, &same, NULL), -EEXIST);
	assert_true(maps(s, 0x3000));
	bk_trap_remove(trap);
	assert_true(maps(s, 0x2000));
}

/* What stands above has a function of its own, and maps no page that the one below keeps for itself. */
static void each_has_a_pba_of_its_own(void **state)
{
	struct stack *s = *state;

	s->top.mediate = over(s->f, s->f->mediate);
	assert_int_equal(bk_mediator_trap_pba(s->top.mediate, false), 0);
	assert_false(page_is_mapped(&s->top, 0, PBA));
	assert_int_equal(rd(&s->top, 0, PBA, 8), 0);
	assert_int_equal(bk_mediator_trap_pba(s->f->mediate, false), 0);
	assert_true(page_is_mapped(&s->top, 0, PBA));
	assert_int_equal(bk_mediator_trap_pba(s->top.mediate, true), 0);
	assert_false(page_is_mapped(&s->top, 0, PBA));
	assert_int_equal(rd(&s->top, 0, PBA, 8), 0);
	assert_int_equal(bk_mediator_trap_pba(s->top.mediate, false), 0);
	assert_true(page_is_mapped(&s->top, 0, PBA));
	assert_int_equal(bk_mediator_trap_pba(s->f->mediate, true), 0);
	assert_false(page_is_mapped(&s->top, 0, PBA));
	assert_int_equal(rd(&s->top, 0, PBA, 8), 0);
}

static void a_bar_of_two_areas_has_holes_in_both(void **state)
{
	static struct recorder r[2];
	struct fixture f = { .domain = bk_domain_create() }, top = { .domain = f.domain };

	fake_init(&f.fake);
	fake_bar(&f.fake, 1, 0, 0x10000, true);
	f.fake.areas[1].count = 2;
	f.fake.areas[1].at[0].size = 0x4000;
	f.fake.areas[1].at[1] = (struct bk_device_area){ 0x8000, 0x8000 };
	assert_int_equal(bk_mediator_create(f.domain, &f.fake.device, NULL, &f.mediate, NULL), 0);
	top.mediate = over(&f, f.mediate);
	add(&f, &r[0], 1, 0x1000, 4, 0);
	add(&f, &r[1], 1, 0x9000, 4, 0);
	for (uint64_t page = 0; page < 0x10000; page += 0x1000)
		assert_int_equal(page_is_mapped(&top, 1, page),
				 page != 0x1000 && page != 0x9000 && (page < 0x4000 || page >= 0x8000));
	assert_int_equal(bk_mediator_destroy(top.mediate), 0);
	assert_int_equal(bk_domain_destroy(f.domain), 0);
	fake_done(&f.fake);
}

/* ---- Another who stands above ------------------------------------------- */

struct watching {
	unsigned lost, changed;
	uint64_t first, last;
	int error;
};

static int lose(void *opaque, unsigned region, uint64_t first, uint64_t last)
{
	struct watching *w = opaque;

	assert_int_equal(region, 1);
	w->lost++;
	w->first = first;
	w->last = last;
	return w->error;
}

static void change(void *opaque, unsigned region)
{
	((struct watching *)opaque)->changed++;
}

static const struct bk_device_watcher watcher = { .lose = lose, .change = change };

static void count_area(void *opaque, const struct bk_device_area *area)
{
	*(uint64_t *)opaque += area->size;
}

static void a_watcher_is_asked_before_and_told_after(void **state)
{
	struct stack *s = *state;
	struct bk_device *device = bk_mediator_device(s->f->mediate);
	struct watching w = { 0 }, other = { 0 };
	static struct recorder r;
	struct bk_trap_desc desc = {
		.region = 1, .offset = 0x2ffc, .length = 8, .ops = &recorder_ops, .opaque = &r
	};
	struct bk_trap *trap;
	uint64_t now = 0, ever = 0;

	assert_int_equal(bk_device_watch(device, &watcher, &w), 0);
	assert_int_equal(bk_device_watch(device, &watcher, &other), -EBUSY);
	w.error = -ENOMEM; /* it cannot: the trap is not there, since it would be passed by */
	assert_int_equal(bk_trap_add(s->f->mediate, &desc, &trap, NULL), -ENOMEM);
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.first, 0x2000);
	assert_int_equal(w.last, 0x3fff);
	assert_int_equal(w.changed, 1);
	assert_true(page_is_mapped(s->f, 1, 0x2000));
	w.error = 0;
	trap = add(s->f, &r, 1, 0x2ffc, 8, 0);
	assert_int_equal(w.lost, 2);
	assert_int_equal(w.changed, 2);
	assert_int_equal(bk_device_areas(device, 1, false, count_area, &now), 0);
	assert_int_equal(bk_device_areas(device, 1, true, count_area, &ever), 0);
	assert_int_equal(ever, 0x400000);
	assert_int_equal(now, ever - 0x2000);
	bk_trap_remove(trap);
	assert_int_equal(w.lost, 2);
	assert_int_equal(w.changed, 3);
	assert_int_equal(bk_device_watch(device, NULL, NULL), 0);
	bk_trap_remove(add(s->f, &r, 1, 0x2ffc, 8, 0));
	assert_int_equal(w.changed, 3);
	assert_int_equal(bk_device_watch(device, &watcher, &other), 0);
	assert_int_equal(bk_device_watch(device, NULL, NULL), 0);
}

static void a_watcher_two_floors_up_may_refuse_a_trap(void **state)
{
	struct stack *s = *state;
	struct watching w = { .error = -ENOMEM };
	static struct recorder r;
	const struct bk_trap_desc desc = {
		.region = 1, .offset = 0x2000, .length = 4, .ops = &recorder_ops, .opaque = &r
	};
	struct bk_trap *trap;

	s->top.mediate = over(s->f, s->f->mediate);
	assert_int_equal(bk_device_watch(bk_mediator_device(s->top.mediate), &watcher, &w), 0);
	assert_int_equal(bk_trap_add(s->f->mediate, &desc, &trap, NULL), -ENOMEM);
	assert_int_equal(w.lost, 1);
	assert_true(page_is_mapped(s->f, 1, 0x2000));
	assert_true(maps(s, 0x2000));
	w.error = 0;
	add(s->f, &r, 1, 0x2000, 4, 0);
	assert_int_equal(w.lost, 2);
	assert_false(maps(s, 0x2000));
	assert_int_equal(bk_device_watch(bk_mediator_device(s->top.mediate), NULL, NULL), 0);
}

/* One that closes itself, but not what is below, is told nothing any more. */
static void closing_ends_the_watch(void **state)
{
	struct stack *s = *state;
	struct bk_listener *listener;
	static const struct bk_listener_ops nothing;
	static struct recorder r;
	struct bk_mediator *m = over(s->f, s->f->mediate);

	assert_int_equal(bk_listener_add(bk_mediator_space(m, 1), &nothing, NULL, &listener), 0);
	assert_int_equal(bk_mediator_destroy(m), -EBUSY); /* and so still is told */
	s->top.mediate = m;
	bk_trap_remove(add(s->f, &r, 1, 0x2000, 4, 0));
	add(s->f, &r, 1, 0x2000, 4, 0);
	assert_false(maps(s, 0x2000));
	bk_listener_remove(listener);
}

#define STACK(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STACK(F30_a_trap_below_is_not_passed_by),
		STACK(a_trap_that_was_there_before_is_known_too),
		STACK(two_floors_up_it_is_the_same),
		STACK(pages_that_traps_share_come_back_with_the_last),
		STACK(a_trap_that_is_replaced_elsewhere_moves_its_page),
		STACK(a_trap_that_is_refused_leaves_all_mapped),
		STACK(each_has_a_pba_of_its_own),
		cmocka_unit_test(a_bar_of_two_areas_has_holes_in_both),
		STACK(a_watcher_is_asked_before_and_told_after),
		STACK(a_watcher_two_floors_up_may_refuse_a_trap),
		STACK(closing_ends_the_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
