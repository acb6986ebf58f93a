/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How threads become readers: without memory, with a liburcu that does not fit, on a system without
 * membarrier, and under owners who register them. What a process finds out once is looked at in children.
 */
#include "failing.h"
#include "space_kit.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "space/internal.h"
#include "space/urcu.h"

static __thread bool no_memory;

static bool fails(void)
{
	return no_memory;
}

/* What goes wrong in a child. */
static enum {
	NOTHING,
	KEY,               /* no key for data of threads */
	SETSPECIFIC,       /* no memory for it */
	NO_MEMBARRIER,     /* the system does not know it */
	LATER_MEMBARRIER,  /* it does, but refuses later */
	LOCK_DOES_NOTHING, /* in liburcu; the rest as well */
	LOCK_COUNTS_TWO,
	LOCK_IN_OTHER_PHASE,
	UNLOCK_DOES_NOTHING,
	NEVER_ONGOING,
	ALWAYS_ONGOING,
} wrong;

int __real_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
void __real_bk__space_urcu_lock(void);
void __wrap_bk__space_urcu_lock(void);
void __real_bk__space_urcu_unlock(void);
void __wrap_bk__space_urcu_unlock(void);
bool __real_bk__space_urcu_ongoing(void);
bool __wrap_bk__space_urcu_ongoing(void);

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	return wrong == KEY ? EAGAIN : __real_pthread_key_create(key, destructor);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return wrong == SETSPECIFIC ? ENOMEM : __real_pthread_setspecific(key, value);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
#ifdef __NR_membarrier
	if (number == __NR_membarrier &&
	    (wrong == NO_MEMBARRIER || (wrong == LATER_MEMBARRIER && a == 1 << 3)))
		return -1;
#endif
	return __real_syscall(number, a, b, c, d, e, f);
}

void __wrap_bk__space_urcu_lock(void)
{
	unsigned long *ctr = &URCU_TLS(urcu_memb_reader).ctr;

	if (wrong == LOCK_DOES_NOTHING)
		return;
	__real_bk__space_urcu_lock();
	*ctr += wrong == LOCK_COUNTS_TWO;
	*ctr ^= wrong == LOCK_IN_OTHER_PHASE ? URCU_GP_CTR_PHASE : 0;
}

void __wrap_bk__space_urcu_unlock(void)
{
	if (wrong != UNLOCK_DOES_NOTHING)
		__real_bk__space_urcu_unlock();
}

bool __wrap_bk__space_urcu_ongoing(void)
{
	return wrong == ALWAYS_ONGOING || (wrong != NEVER_ONGOING && __real_bk__space_urcu_ongoing());
}

static void count_line(void *opaque, enum bk_log_level level, const char *line)
{
	++*(unsigned *)opaque;
}

/* In a child, which has no reader yet. */
static void in_child(int (*test)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (!pid)
		exit(test());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A child of the child has nothing to do for it to be well. */
static bool has_a_child(void)
{
	const pid_t pid = fork();
	int status;

	if (!pid)
		exit(0);
	return waitpid(pid, &status, 0) == pid && !status;
}

static int no_domain(void)
{
	unsigned lines = 0;

	bk_log_set(count_line, &lines);
	return bk_domain_create() || lines != (wrong != KEY) || !has_a_child();
}

static void there_is_no_domain_where_liburcu_does_not_fit(void **state)
{
	for (wrong = LOCK_DOES_NOTHING; wrong <= ALWAYS_ONGOING; wrong++)
		in_child(no_domain);
	wrong = KEY;
	in_child(no_domain);
	wrong = NOTHING;
}

/* A first read, one in a handler, and one of several pieces; moves beside them. */
static struct bk_space *inner;

static int read_inner(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return bk_space_read(inner, offset, width, value);
}

static int write_inner(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return bk_space_write(inner, offset, width, value);
}

static int all_goes_well(void)
{
	static const struct bk_region_ops through = { .read = read_inner, .write = write_inner };
	static struct device d = { .id = 1 };
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = domain ? bk_space_create(domain, "s", UINT64_MAX) : NULL;
	struct bk_region_desc desc = { .last = 0xff, .ops = &through };
	struct bk_region *r, *moves;
	uint64_t value = 0;

	if (!space)
		return 1;
	inner = bk_space_create(domain, "i", 0xffff);
	moves = add(inner, &d, 0, 0xff, 0, 0);
	if (try_add(space, &desc, &r))
		return 2;
	for (unsigned i = 0; i < 1500; i++) {
		if (bk_space_read(space, i % 64 * 2, 2, &value) || value != (i % 64 * 2 + 1) * 0x101u + 0x100)
			return 3;
		if (bk_space_write(space, 3, 8, 1))
			return 4;
		move(moves, domain, 0x100, 0x1ff);
		move(moves, domain, 0, 0xff);
	}
	if (wrong != LATER_MEMBARRIER && domain->retired_count > 1024)
		return 5;
	if (bk__space_fences != (wrong == NO_MEMBARRIER || !urcu_memb_has_sys_membarrier))
		return 6;
	drop(r, domain);
	/* The fork finds the reclaim thread idle: what that thread holds is lost in the child. */
	if (bk_domain_synchronize(domain) || !has_a_child())
		return 8;
	return bk_space_destroy(space) || bk_space_destroy(inner) || bk_domain_destroy(domain) ? 7 : 0;
}

static int without_liburcus_membarrier(void)
{
	urcu_memb_has_sys_membarrier = 0;
	return all_goes_well();
}

/* What cannot be found out is kept. */
static int membarrier_fails_later(void)
{
	static struct device d = { .id = 1 };
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", UINT64_MAX);
	struct bk_region *r = add(space, &d, 0, 0xff, 0, 0);

	for (unsigned i = 0; i < 300; i++)
		move(r, domain, i % 2 * 0x100, i % 2 * 0x100 + 0xff);
	if (domain->retired_count != 301)
		return 1;
	wrong = NOTHING;
	if (bk_domain_synchronize(domain) || domain->retired)
		return 2;
	return bk_space_destroy(space) || bk_domain_destroy(domain) ? 3 : 0;
}

static void systems_without_membarrier_have_readers_that_fence(void **state)
{
	wrong = NOTHING;
	in_child(all_goes_well);
	in_child(without_liburcus_membarrier);
	wrong = NO_MEMBARRIER;
	in_child(all_goes_well);
	wrong = LATER_MEMBARRIER;
	in_child(membarrier_fails_later);
	wrong = NOTHING;
}

/* The first read of a thread without memory. */
static struct bk_space *space;

static bool any(void *opaque, const struct bk_flat *flat)
{
	++*(unsigned *)opaque;
	return true;
}

static void *read_without_memory(void *opaque)
{
	unsigned *bad = opaque, ranges = 0;
	uint64_t value = 0;
	uint8_t bytes[4] = { 0 };

	no_memory = wrong != SETSPECIFIC;
	*bad += bk_space_read(space, 0, 4, &value) != -ENOMEM || value != UINT32_MAX;
	*bad += bk_space_write(space, 0, 4, 0) != -ENOMEM;
	*bad += bk_space_read_bytes(space, 0, bytes, 4) != -ENOMEM || memcmp(bytes, "\xff\xff\xff\xff", 4);
	*bad += bk_space_write_bytes(space, 0, bytes, 4) != -ENOMEM;
	memset(bytes, 0, sizeof(bytes));
	*bad += bk_space_read_bytes(space, 0, bytes, 3) != -ENOMEM || memcmp(bytes, "\xff\xff\xff", 3);
	*bad += bk_space_write_bytes(space, 0, bytes, 3) != -ENOMEM;
	*bad += bk_space_visit(space, 0, UINT64_MAX, any, &ranges) != -ENOMEM || ranges;
	no_memory = false;
	return NULL;
}

static void *read_registered_by_owner(void *opaque)
{
	unsigned *bad = opaque;
	uint64_t value = 0;

	urcu_memb_register_thread();
	*bad += bk_space_read(space, 0, 1, &value) || value != 1;
	urcu_memb_unregister_thread();
	return NULL;
}

/* Against the rules, and not the end of the process. */
static void *unregister_what_is_ours(void *opaque)
{
	unsigned *bad = opaque;
	uint64_t value = 0;

	*bad += bk_space_read(space, 0, 1, &value) || value != 1;
	urcu_memb_unregister_thread();
	return NULL;
}

/* A commit inside a section of the owner's, of a thread that has not read yet, and then a read there. */
static void *commit_before_reading(void *opaque)
{
	static struct device d = { .id = 7 };
	unsigned *bad = opaque;
	uint64_t value = 0;

	urcu_memb_register_thread();
	urcu_memb_read_lock();
	drop(add(space, &d, 0x100, 0x1ff, 0, 1), bk_space_domain(space));
	*bad += bk_space_read(space, 0, 1, &value) || value != 1;
	urcu_memb_read_unlock();
	*bad += bk_space_read(space, 1, 1, &value) || value != 2;
	urcu_memb_unregister_thread();
	return NULL;
}

static int many_kinds_of_threads(void)
{
	static void *(*const kinds[])(void *) = { read_without_memory, read_registered_by_owner,
						  unregister_what_is_ours, commit_before_reading };
	static struct device d = { .id = 1 };
	struct bk_domain *domain;
	unsigned bad = 0;

	urcu_memb_register_thread(); /* the first domain may be made by one that is */
	domain = bk_domain_create();
	urcu_memb_unregister_thread();
	space = bk_space_create(domain, "s", UINT64_MAX);
	add(space, &d, 0, 0xff, 0, 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_t thread;

		if (wrong == SETSPECIFIC && i)
			break;
		if (pthread_create(&thread, NULL, kinds[i], &bad))
			return 1;
		pthread_join(thread, NULL);
	}
	if (bad)
		return 2;
	return bk_space_destroy(space) || bk_domain_destroy(domain) ? 3 : 0;
}

static int the_first_domain_in_a_section(void)
{
	struct bk_domain *domain;

	urcu_memb_register_thread();
	urcu_memb_read_lock();
	domain = bk_domain_create();
	urcu_memb_read_unlock();
	urcu_memb_unregister_thread();
	return !domain || bk_domain_destroy(domain);
}

static void threads_of_any_kind_read_or_say_why_not(void **state)
{
	wrong = NOTHING;
	in_child(many_kinds_of_threads);
	in_child(the_first_domain_in_a_section);
	wrong = SETSPECIFIC;
	in_child(many_kinds_of_threads);
	wrong = NOTHING;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_no_domain_where_liburcu_does_not_fit),
		cmocka_unit_test(systems_without_membarrier_have_readers_that_fence),
		cmocka_unit_test(threads_of_any_kind_read_or_say_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
