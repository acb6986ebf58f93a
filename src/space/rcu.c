/* SPDX-License-Identifier: BSD-2-Clause */
/* Registration of reader threads, on first use until the thread ends, and what they read now. */
#include "space/rcu.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <barkeep/base.h>

#include "space/urcu.h"

/* The inline forms store to these as liburcu's own do. */
_Static_assert(sizeof(urcu_memb_gp.ctr) == sizeof(unsigned long) &&
		       sizeof(urcu_memb_gp.futex) == sizeof(int32_t) &&
		       sizeof(((struct urcu_reader *)NULL)->ctr) == sizeof(unsigned long),
	       "this version of liburcu is another one inside");

static unsigned long not_ready = 1;
static const char no_view;

__thread struct bk__space_reader bk__space_reader = { .ctr = &not_ready,
						      .view = &no_view,
						      .state = BK__READER_NEW };
bool bk__space_fences;

void bk__space_reader_set(enum bk__space_reader_state state)
{
	bk__space_reader.state = state;
	bk__space_reader.ctr = state == BK__READER_READY ? &URCU_TLS(urcu_memb_reader).ctr : &not_ready;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int init_error;

/* Within the commit lock, and held while this file has liburcu register a thread or forget one. A fork holds
 * it, so that both lists are whole in the child. */
static pthread_mutex_t records_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bk__space_record *records;

/* A later destructor that reads again registers again, and this one runs again. */
static void thread_ends(void *opaque)
{
	struct bk__space_record *record = opaque;

	pthread_mutex_lock(&records_lock);
	if (record->ours && URCU_TLS(urcu_memb_reader).registered)
		urcu_memb_unregister_thread();
	*record->link = record->next;
	if (record->next)
		record->next->link = record->link;
	pthread_mutex_unlock(&records_lock);
	free(record);
	bk__space_reader.record = NULL;
	bk__space_reader_set(BK__READER_NEW);
}

/* Makes every thread's memory accesses before this visible, and orders those after it. */
enum { MEMBARRIER_EXPEDITED = 1 << 3, MEMBARRIER_REGISTER_EXPEDITED = 1 << 4 }; /* of Linux */

static int membarrier(int command)
{
#ifdef __NR_membarrier
	return (int)syscall(__NR_membarrier, command, 0, 0);
#else
	(void)command;
	return -1;
#endif
}

static int force_barrier(void)
{
	if (!bk__space_fences)
		return membarrier(MEMBARRIER_EXPEDITED) ? -EAGAIN : 0;
	cmm_smp_mb();
	return 0;
}

/* Does the library that is loaded read and write what the inline forms do? On a registered thread, outside.
 */
static bool fits(void)
{
	unsigned long *ctr = &URCU_TLS(urcu_memb_reader).ctr;
	bool fits;

	bk__space_urcu_lock();
	fits = (*ctr & URCU_GP_CTR_NEST_MASK) == URCU_GP_COUNT && *ctr == urcu_memb_gp.ctr;
	bk__space_urcu_unlock();
	fits = fits && !(*ctr & URCU_GP_CTR_NEST_MASK);
	*ctr = urcu_memb_gp.ctr;
	fits = fits && bk__space_urcu_ongoing();
	*ctr = 0;
	return fits && !bk__space_urcu_ongoing();
}

static void init(void)
{
	bool registered = URCU_TLS(urcu_memb_reader).registered;

	init_error = pthread_key_create(&key, thread_ends);
	bk__space_fences = !urcu_memb_has_sys_membarrier || membarrier(MEMBARRIER_REGISTER_EXPEDITED);
	pthread_mutex_lock(&records_lock);
	if (!registered)
		bk__space_urcu_register();
	if (!bk__space_read_ongoing() && !fits()) {
		bk_log(BK_LOG_ERROR,
		       "the liburcu that is loaded is another one inside than the one that barkeep "
		       "was built with; build barkeep again");
		init_error = ENOSYS;
	}
	if (!registered)
		bk__space_urcu_unregister();
	pthread_mutex_unlock(&records_lock);
}

int bk__space_reader_init(void)
{
	pthread_once(&once, init);
	return -init_error;
}

/* What others see of this thread. 0 or -ENOMEM. */
static int make_record(void)
{
	struct bk__space_record *record = calloc(1, sizeof(*record));

	if (!record || pthread_setspecific(key, record)) {
		free(record);
		return -ENOMEM;
	}
	record->reader = &bk__space_reader;
	record->urcu = &URCU_TLS(urcu_memb_reader);
	bk__space_reader.record = record;
	pthread_mutex_lock(&records_lock);
	record->next = records;
	record->link = &records;
	if (record->next)
		record->next->link = &record->next;
	records = record;
	pthread_mutex_unlock(&records_lock);
	return 0;
}

int bk__space_reader_register(void)
{
	struct bk__space_record *record;

	if (!bk__space_reader.record && make_record())
		return -ENOMEM;
	record = bk__space_reader.record;
	if (!URCU_TLS(urcu_memb_reader).registered) {
		pthread_mutex_lock(&records_lock);
		urcu_memb_register_thread();
		record->ours = true;
		pthread_mutex_unlock(&records_lock);
	}
	if (!record->ours)
		bk__space_reader_set(BK__READER_FOREIGN);
	else
		bk__space_reader_set(bk__space_fences ? BK__READER_HEAVY : BK__READER_READY);
	return 0;
}

enum { MOMENT = 500 }; /* loads; a thread that runs has chosen its view long before */

static int look_at(const void *const *place, int (*visit)(void *opaque, const void *view), void *opaque)
{
	const void *view = __atomic_load_n(place, __ATOMIC_RELAXED);

	for (unsigned i = 0; !view && i < MOMENT; i++)
		view = __atomic_load_n(place, __ATOMIC_RELAXED);
	return view ? visit(opaque, view) : -EAGAIN;
}

/* The views of one thread that is inside. */
static int look_at_reader(const struct bk__space_record *record, int (*visit)(void *opaque, const void *view),
			  void *opaque)
{
	unsigned depth = __atomic_load_n(&record->depth, __ATOMIC_ACQUIRE);
	int error = look_at(&record->reader->view, visit, opaque);

	if (depth > BK__SPACE_NESTED_MOST)
		return -EAGAIN;
	for (unsigned i = 0; i < depth && !error; i++)
		error = look_at(&record->nested[i], visit, opaque);
	return error;
}

/* liburcu's stores to it are volatile ones, which ThreadSanitizer takes for plain. */
#ifdef BK__TSAN
__attribute__((noinline, no_sanitize_thread))
#endif
static bool
is_inside(const struct bk__space_record *record)
{
	return CMM_LOAD_SHARED(record->urcu->ctr) & URCU_GP_CTR_NEST_MASK;
}

int bk__space_readers(int (*visit)(void *opaque, const void *view), void *opaque)
{
	int error = force_barrier();

	pthread_mutex_lock(&records_lock);
	for (const struct bk__space_record *record = records; record && !error; record = record->next) {
		if (is_inside(record))
			error = look_at_reader(record, visit, opaque);
	}
	pthread_mutex_unlock(&records_lock);
	if (!error)
		error = force_barrier(); /* behind what they read before they left */
	bk__space_tsan_acquire();
	return error;
}

void bk__space_reader_wake(void)
{
	__atomic_store_n(&urcu_memb_gp.futex, 0, __ATOMIC_SEQ_CST);
	futex_async(&urcu_memb_gp.futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* ---- Forks ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&records_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&records_lock);
}

/*
 * Only the thread that forked is in the child. The others are taken off both
 * lists: liburcu would wait for those that were inside, and new threads get
 * their memory.
 */
static void in_child(void)
{
	struct bk__space_record *own = bk__space_reader.record, *next;

	for (struct bk__space_record *record = records; record; record = next) {
		next = record->next;
		if (record == own)
			continue;
		if (record->urcu->registered)
			cds_list_del(&record->urcu->node);
		free(record);
	}
	records = own;
	if (own) {
		own->next = NULL;
		own->link = &records;
	}
	pthread_mutex_unlock(&records_lock);
	if (!init_error && !bk__space_fences)
		membarrier(MEMBARRIER_REGISTER_EXPEDITED);
}

/* Before all others that register such handlers: these run last before a fork, so that a thread that has a
 * lock which others wait for may still register. */
__attribute__((constructor(101))) static void start(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}
