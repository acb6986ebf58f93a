/* SPDX-License-Identifier: BSD-2-Clause */
/* Children of fork(): of a parent whose threads read, commit, come and go they have the thread that forked,
 * and can have domains of their own. */
#include "space_kit.h"

#include <pthread.h>
#include <stdio_ext.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space/internal.h"

enum { FORKS = 24, MOVES = 30 };

/* AddressSanitizer's allocator does not survive a fork while another thread allocates. */
#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOCATE 0
#endif
#endif
#ifndef ALLOCATE
#define ALLOCATE 1
#endif

static struct bk_domain *domain;
static struct bk_space *space;
static bool stop; /* atomic */

static int answer_id(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0x77;
	return 0;
}

static const struct bk_region_ops id_ops = { .read = answer_id };
static const struct bk_region_desc first = { .name = "first", .last = 0xff, .ops = &id_ops };

/* ---- What goes on in the parent ---- */

static void *read_on(void *opaque)
{
	uint64_t value;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		bk_space_read(space, 4, 4, &value);
	return NULL;
}

static void *read_once(void *opaque)
{
	uint64_t value;

	bk_space_read(space, 4, 4, &value);
	return NULL;
}

static void *come_and_go(void *opaque)
{
	while (ALLOCATE && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, read_once, NULL))
			pthread_join(thread, NULL);
	}
	return NULL;
}

static void *commit_on(void *opaque)
{
	const struct bk_region_desc desc = { .first = 0x1000, .last = 0x10ff, .rank = 2, .ops = &id_ops };

	while (ALLOCATE && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct bk_region *region;

		if (!bk_region_add(space, &desc, &region, NULL))
			bk_region_retire(region);
	}
	return NULL;
}

/* ---- What a child does ---- */

void __gcov_init(void *info) __attribute__((weak)); /* what is built for coverage has it */

/* What was counted in a child of a coverage build counts, too: it is written at an orderly end. */
static void leave(int status)
{
	if (!__gcov_init)
		_exit(status);
	__fpurge(stdout); /* the parent's */
	exit(status);
}

static void count_released(void *opaque)
{
	__atomic_fetch_add((unsigned *)opaque, 1, __ATOMIC_SEQ_CST);
}

static struct bk_space *child_space;

static void *read_in_child(void *opaque)
{
	uint64_t value = 0;

	do
		bk_space_read(child_space, 8, 4, &value);
	while (!__atomic_load_n((bool *)opaque, __ATOMIC_RELAXED));
	return value == 0x77 ? NULL : opaque;
}

/* 0 if all is well. A child that hangs is killed by its alarm. */
static int live(void)
{
	const struct bk_region_ops ops = { .read = answer_id, .released = count_released };
	unsigned released = 0;
	struct bk_region_desc desc = { .last = 0xff, .ops = &ops, .opaque = &released };
	struct bk_domain *own;
	bool enough = false;
	struct bk_region *stays;
	pthread_t threads[3];
	void *wrong;

#ifdef BK__TSAN
	/* It does not know threads of such a child: only what the parent does is looked at. */
	return 0;
#endif
	own = bk_domain_create();
	child_space = own ? bk_space_create(own, "child", UINT64_MAX) : NULL;
	if (!child_space || bk_region_add(child_space, &desc, &stays, NULL))
		return 1;
	for (unsigned i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, read_in_child, &enough))
			return 2;
	desc.first = 0x1000;
	desc.last = 0x1fff;
	desc.rank = 1;
	for (unsigned i = 0; i < MOVES; i++) {
		struct bk_region *region;

		if (bk_region_add(child_space, &desc, &region, NULL) || bk_region_retire(region))
			return 3;
		if (released != i + 1)
			return 4;
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++)
		if (pthread_join(threads[i], &wrong) || wrong)
			return 5;
	if (bk_space_destroy(child_space) || bk_domain_destroy(own))
		return 6;
	return released == MOVES + 1 ? 0 : 7;
}

static void assert_lives(pid_t child)
{
	int status;

	if (!child) {
		alarm(300);
		leave(live());
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- Tests ---- */

static void children_of_many_threads_have_domains_of_their_own(void **state)
{
	pthread_t threads[4];
	uint64_t value;

	domain = bk_domain_create();
	space = bk_space_create(domain, "parent", UINT64_MAX);
	assert_int_equal(bk_region_add(space, &first, NULL, NULL), 0);
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, NULL), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, come_and_go, NULL), 0);
	assert_int_equal(pthread_create(&threads[3], NULL, commit_on, NULL), 0);
	for (unsigned i = 0; i < FORKS; i++) {
		if (i == FORKS / 2) /* from here on, the thread that forks is a reader itself */
			assert_int_equal(bk_space_read(space, 4, 4, &value), 0);
		assert_lives(fork());
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

static pid_t forked;

static int fork_here(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	forked = fork();
	*value = 0;
	return 0;
}

/* The child is inside a read of its parent's, and leaves it. */
static void a_handler_may_fork(void **state)
{
	const struct bk_region_ops ops = { .read = fork_here };
	const struct bk_region_desc desc = { .first = 0x100, .last = 0x1ff, .rank = 1, .ops = &ops };
	pthread_t threads[2];
	uint64_t value;

	domain = bk_domain_create();
	space = bk_space_create(domain, "parent", UINT64_MAX);
	assert_int_equal(bk_region_add(space, &first, NULL, NULL), 0);
	assert_int_equal(bk_region_add(space, &desc, NULL, NULL), 0);
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	assert_int_equal(pthread_create(&threads[0], NULL, read_on, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, commit_on, NULL), 0);
	for (unsigned i = 0; i < FORKS / 4; i++) {
		assert_int_equal(bk_space_read(space, 0x100, 4, &value), 0);
		if (!forked &&
		    bk_space_read(space, 4, 1, &value)) /* what the parent had is there to be read */
			leave(8);
		assert_lives(forked);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

/* A child of a child, which had threads as well. */
static void children_have_children(void **state)
{
	pid_t child = fork();
	int status;

	if (!child) {
		alarm(300);
		if (live())
			leave(1);
		child = fork();
		if (!child)
			leave(live());
		leave(waitpid(child, &status, 0) != child || status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_of_many_threads_have_domains_of_their_own),
		cmocka_unit_test(a_handler_may_fork),
		cmocka_unit_test(children_have_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
