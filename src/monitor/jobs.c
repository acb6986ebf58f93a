/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs that may take minutes, such as resets: they run in parallel, each in its own thread, while the
 * owner continues. */
#include "monitor/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

struct bk__monitor_job {
	struct bk__monitor_job *next;
	struct bk__monitor_jobs *jobs;
	void (*work)(void *opaque);
	void *opaque;
	pthread_t thread;
};

void bk__monitor_jobs_begin(struct bk__monitor_jobs *jobs, int done)
{
	*jobs = (struct bk__monitor_jobs){ .left = 1, .done = done };
}

static void leave(struct bk__monitor_jobs *jobs)
{
	const uint64_t one = 1;

	if (atomic_fetch_sub(&jobs->left, 1) == 1 && write(jobs->done, &one, sizeof(one)) < 0) {
		/* its counter is full, so its owner wakes up anyway */
	}
}

static void *thread(void *opaque)
{
	struct bk__monitor_job *job = opaque;

	job->work(job->opaque);
	leave(job->jobs);
	return NULL;
}

void bk__monitor_jobs_add(struct bk__monitor_jobs *jobs, void (*work)(void *opaque), void *opaque)
{
	struct bk__monitor_job *job = calloc(1, sizeof(*job));

	if (job) {
		*job = (struct bk__monitor_job){
			.next = jobs->list, .jobs = jobs, .work = work, .opaque = opaque
		};
		atomic_fetch_add(&jobs->left, 1);
		if (!bk__base_thread_start(&job->thread, thread, job, NULL)) {
			jobs->list = job;
			return;
		}
		atomic_fetch_sub(&jobs->left, 1);
		free(job);
	}
	work(opaque);
}

void bk__monitor_jobs_seal(struct bk__monitor_jobs *jobs)
{
	leave(jobs);
}

void bk__monitor_jobs_end(struct bk__monitor_jobs *jobs)
{
	while (jobs->list) {
		struct bk__monitor_job *job = jobs->list;

		pthread_join(job->thread, NULL);
		jobs->list = job->next;
		free(job);
	}
}
