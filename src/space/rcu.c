/* SPDX-License-Identifier: BSD-2-Clause */
/* Registration of reader threads: on first use, until the thread ends. */
#include "rcu.h"

#include <errno.h>
#include <pthread.h>

static unsigned long not_ready = 1;

__thread enum bk__reader_state bk__reader_state = BK__READER_NEW;
__thread unsigned long *bk__reader_ctr = &not_ready;

void bk__reader_set(enum bk__reader_state state)
{
	bk__reader_state = state;
	bk__reader_ctr = state == BK__READER_READY ? &URCU_TLS(urcu_memb_reader).ctr : &not_ready;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

/* A later destructor that reads again registers again, and this one runs again. */
static void thread_ends(void *unused)
{
	(void)unused;
	urcu_memb_unregister_thread();
	bk__reader_set(BK__READER_NEW);
}

static void make_key(void)
{
	key_error = pthread_key_create(&key, thread_ends);
}

int bk__reader_init(void)
{
	pthread_once(&once, make_key);
	return -key_error;
}

int bk__reader_register(void)
{
	if (!URCU_TLS(urcu_memb_reader).registered) {
		if (pthread_setspecific(key, &key))
			return -ENOMEM;
		urcu_memb_register_thread();
	}
	bk__reader_set(urcu_memb_has_sys_membarrier ? BK__READER_READY : BK__READER_HEAVY);
	return 0;
}

void bk__reader_wake(void)
{
	__atomic_store_n(&urcu_memb_gp.futex, 0, __ATOMIC_SEQ_CST);
	futex_async(&urcu_memb_gp.futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}
