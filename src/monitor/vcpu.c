/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's CPUs: a thread each, which runs the guest and serves its exits.
 *
 * Keeping vCPUs out of KVM_RUN: a thread says that it is `running` and then
 * looks at `holds`; whoever holds vCPUs raises `holds` and then looks who is running.
 * One of the two sees the other. A vCPU inside KVM_RUN is sent out of it by
 * `immediate_exit` and a signal, in this order, so that the signal may as well
 * arrive just before KVM_RUN. A leftover `immediate_exit` costs one turn.
 */
#include "monitor/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "monitor/arch.h"

#define KICK (SIGRTMIN + 1) /* sends a vCPU out of KVM_RUN */

static void on_kick(int number)
{
}

static int create_vcpu(struct bk__monitor_vcpu *vcpu, struct bk_error *err)
{
	const struct bk__monitor_vcpus_config *config = &vcpu->all->config;

	vcpu->fd = ioctl(config->vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->id);
	if (vcpu->fd < 0)
		return bk_fail(err, errno, "kvm: no vCPU %u: %s", vcpu->id, strerror(errno));
	vcpu->all->fds[vcpu->id] = vcpu->fd;
	vcpu->run = mmap(NULL, config->vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return bk_fail(err, errno, "kvm: no page of vCPU %u: %s", vcpu->id, strerror(errno));
	}
	return bk__monitor_arch_vcpu_create(vcpu, err);
}

int bk__monitor_vcpus_create(const struct bk__monitor_vcpus_config *config, struct bk__monitor_vcpus **out,
			     struct bk_error *err)
{
	struct bk__monitor_vcpus *all = calloc(1, sizeof(*all) + config->count * sizeof(all->vcpus[0]));
	int error = 0;

	if (!all)
		return bk_fail(err, ENOMEM, "vCPUs: out of memory");
	all->config = *config;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	pthread_cond_init(&all->go, NULL);
	for (unsigned i = 0; i < config->count; i++) {
		all->vcpus[i].all = all;
		all->vcpus[i].id = i;
		all->vcpus[i].fd = -1;
	}
	for (unsigned i = 0; i < config->count && !error; i++)
		error = create_vcpu(&all->vcpus[i], err);
	if (error) {
		bk__monitor_vcpus_destroy(all);
		return error;
	}
	*out = all;
	return 0;
}

const int *bk__monitor_vcpus_fds(const struct bk__monitor_vcpus *all)
{
	return all->fds;
}

/* ---- The thread of one ------------------------------------------------- */

/* KVM reads it too, after the signal or before it enters the guest. */
static void set_immediate_exit(struct bk__monitor_vcpu *vcpu, uint8_t value)
{
	__atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_RELAXED);
}

static void stop(struct bk__monitor_vcpu *vcpu, const char *error)
{
	vcpu->stopped = true;
	vcpu->all->config.ops->stopped(vcpu->all->config.opaque, vcpu->id, error);
}

/* Handles an error of KVM_RUN. */
static void run_failed(struct bk__monitor_vcpu *vcpu, int error)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	char line[128];

	if (error == EINTR || error == EAGAIN)
		return;
	/* The host cannot back a page at this moment, for instance while it resets the device. */
	if (error == EFAULT && vcpu->faults++ < BK__FAULT_TRIES) {
		nanosleep(&pause, NULL);
		return;
	}
	if (error == EFAULT && bk__monitor_exit_unbacked(vcpu)) {
		vcpu->faults = 0;
		return;
	}
	snprintf(line, sizeof(line), "KVM_RUN: %s", strerror(error));
	stop(vcpu, line);
}

static void turn(struct bk__monitor_vcpu *vcpu)
{
	const struct bk__monitor_vcpus_ops *ops = vcpu->all->config.ops;
	char line[256];
	const int result = ioctl(vcpu->fd, KVM_RUN, 0);
	const int error = errno;

	set_immediate_exit(vcpu, 0);
	atomic_store(&vcpu->running, false);
	if (atomic_load(&vcpu->all->holds)) {
		pthread_mutex_lock(&vcpu->all->lock);
		pthread_cond_broadcast(&vcpu->all->changed);
		pthread_mutex_unlock(&vcpu->all->lock);
	}
	if (result < 0) {
		run_failed(vcpu, error);
		return;
	}
	vcpu->faults = 0;
	switch (bk__monitor_exit_serve(vcpu, line, sizeof(line))) {
	case BK__EXIT_SERVED:
		break;
	case BK__EXIT_POWEROFF:
		vcpu->stopped = true;
		ops->poweroff(vcpu->all->config.opaque);
		break;
	case BK__EXIT_RESET:
		vcpu->stopped = true;
		ops->reset(vcpu->all->config.opaque);
		break;
	case BK__EXIT_CRASHED:
		stop(vcpu, NULL);
		break;
	case BK__EXIT_FAILED:
		stop(vcpu, line);
		break;
	}
}

/* KVM finishes the last access on the next KVM_RUN, and may ask for more of it. */
static void complete_access(struct bk__monitor_vcpu *vcpu)
{
	char line[256];

	while (vcpu->incomplete) {
		vcpu->incomplete = false;
		set_immediate_exit(vcpu, 1);
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0)
			bk__monitor_exit_serve(vcpu, line, sizeof(line));
		set_immediate_exit(vcpu, 0);
	}
}

/* Waits while vCPUs are held or this one is stopped. Locked. */
static void wait_for_go(struct bk__monitor_vcpu *vcpu)
{
	struct bk__monitor_vcpus *all = vcpu->all;

	while (!all->quit && (atomic_load(&all->holds) || vcpu->stopped)) {
		if (all->parking && vcpu->incomplete) {
			pthread_mutex_unlock(&all->lock);
			complete_access(vcpu);
			pthread_mutex_lock(&all->lock);
			continue;
		}
		vcpu->parked = true;
		pthread_cond_broadcast(&all->changed);
		pthread_cond_wait(&all->go, &all->lock);
		vcpu->parked = false;
	}
}

static void *thread(void *opaque)
{
	struct bk__monitor_vcpu *vcpu = opaque;
	struct bk__monitor_vcpus *all = vcpu->all;

	bk__base_thread_enter("vcpu");
	for (;;) {
		atomic_store(&vcpu->running, true);
		if (!atomic_load(&all->holds) && !vcpu->stopped) {
			turn(vcpu);
			continue;
		}
		atomic_store(&vcpu->running, false);
		pthread_mutex_lock(&all->lock);
		pthread_cond_broadcast(&all->changed);
		wait_for_go(vcpu);
		if (all->quit)
			break;
		pthread_mutex_unlock(&all->lock);
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* ---- All of them ------------------------------------------------------- */

int bk__monitor_vcpus_start(struct bk__monitor_vcpus *all, struct bk_error *err)
{
	const struct sigaction action = { .sa_handler = on_kick };
	const int open[] = { KICK, 0 };
	int error = 0;

	sigaction(KICK, &action, NULL);
	atomic_fetch_add(&all->holds, 1);
	while (all->started < all->config.count && !error) {
		struct bk__monitor_vcpu *vcpu = &all->vcpus[all->started];
		char name[16];

		error = bk__base_thread_start(&vcpu->thread, thread, vcpu, open);
		if (!error) {
			snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
			pthread_setname_np(vcpu->thread, name);
			all->started++;
		}
	}
	if (error)
		return bk_fail(err, -error, "vCPU %u: no thread: %s", all->started, strerror(-error));
	return 0;
}

static void kick(struct bk__monitor_vcpus *all)
{
	for (unsigned i = 0; i < all->started; i++) {
		struct bk__monitor_vcpu *vcpu = &all->vcpus[i];

		if (atomic_load(&vcpu->running)) {
			set_immediate_exit(vcpu, 1);
			atomic_thread_fence(memory_order_seq_cst);
			pthread_kill(vcpu->thread, KICK);
		}
	}
}

static bool any_running(struct bk__monitor_vcpus *all)
{
	for (unsigned i = 0; i < all->started; i++) {
		if (atomic_load(&all->vcpus[i].running))
			return true;
	}
	return false;
}

void bk__monitor_vcpus_hold(struct bk__monitor_vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	atomic_fetch_add(&all->holds, 1);
	kick(all);
	while (any_running(all))
		pthread_cond_wait(&all->changed, &all->lock);
	pthread_mutex_unlock(&all->lock);
}

void bk__monitor_vcpus_release(struct bk__monitor_vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	if (atomic_fetch_sub(&all->holds, 1) == 1)
		pthread_cond_broadcast(&all->go);
	pthread_mutex_unlock(&all->lock);
}

static bool all_parked(const struct bk__monitor_vcpus *all)
{
	for (unsigned i = 0; i < all->started; i++) {
		if (!all->vcpus[i].parked || all->vcpus[i].incomplete)
			return false;
	}
	return true;
}

void bk__monitor_vcpus_park(struct bk__monitor_vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	all->parking = true;
	atomic_fetch_add(&all->holds, 1);
	kick(all);
	pthread_cond_broadcast(&all->go); /* wakes those that a commit holds right now */
	while (!all_parked(all))
		pthread_cond_wait(&all->changed, &all->lock);
	all->parking = false;
	pthread_mutex_unlock(&all->lock);
}

void bk__monitor_vcpus_revive(struct bk__monitor_vcpus *all)
{
	pthread_mutex_lock(&all->lock);
	for (unsigned i = 0; i < all->config.count; i++) {
		all->vcpus[i].stopped = false;
		all->vcpus[i].faults = 0;
	}
	pthread_cond_broadcast(&all->go);
	pthread_mutex_unlock(&all->lock);
}

void bk__monitor_vcpus_stats(const struct bk__monitor_vcpus *all, struct bk__monitor_vcpus_stats *stats)
{
	*stats = (struct bk__monitor_vcpus_stats){ 0 };
	for (unsigned i = 0; i < all->config.count; i++) {
		const struct bk__monitor_vcpu *vcpu = &all->vcpus[i];

		stats->mmio_exits += atomic_load_explicit(&vcpu->mmio_exits, memory_order_relaxed);
		stats->io_exits += atomic_load_explicit(&vcpu->io_exits, memory_order_relaxed);
		stats->mapped_exits += atomic_load_explicit(&vcpu->mapped_exits, memory_order_relaxed);
	}
}

void bk__monitor_vcpus_stop(struct bk__monitor_vcpus *all)
{
	if (!all->started)
		return;
	bk__monitor_vcpus_hold(all);
	pthread_mutex_lock(&all->lock);
	all->quit = true;
	pthread_cond_broadcast(&all->go);
	pthread_mutex_unlock(&all->lock);
	for (unsigned i = 0; i < all->started; i++)
		pthread_join(all->vcpus[i].thread, NULL);
	all->started = 0;
}

void bk__monitor_vcpus_destroy(struct bk__monitor_vcpus *all)
{
	if (!all)
		return;
	bk__monitor_vcpus_stop(all);
	for (unsigned i = 0; i < all->config.count; i++) {
		bk__monitor_arch_vcpu_destroy(&all->vcpus[i]);
		if (all->vcpus[i].run)
			munmap(all->vcpus[i].run, all->config.vm->run_bytes);
		if (all->vcpus[i].fd >= 0)
			close(all->vcpus[i].fd);
	}
	pthread_cond_destroy(&all->go);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
