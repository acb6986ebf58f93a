/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vCPUs: the first does what it reads from FAKEKVM_IN, a line an access, and
 * writes a line for each to FAKEKVM_OUT; the others repeat the accesses that
 * it was told with `loop`.
 */
#include "fakekvm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOP_MAX 256
#define KICK     (SIGRTMIN + 1) /* what the monitor sends a vCPU out of KVM_RUN with */

struct access {
	bool port, write;
	uint64_t at, value;
	unsigned width;
};

static int in = -1, out = -1; /* -1: there are no more lines */
static char buffer[4096];
static size_t buffered;

static pthread_mutex_t loop_lock = PTHREAD_MUTEX_INITIALIZER;
static int loop_event = -1; /* readable while there are some */
static struct access loop[LOOP_MAX];
static unsigned loop_count;

__attribute__((format(printf, 1, 2))) static void answer(const char *format, ...)
{
	char line[256];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[length++] = '\n';
	if (out >= 0 && write(out, line, (size_t)length) < 0)
		perror("fakekvm: FAKEKVM_OUT");
}

/* ---- Accesses ---------------------------------------------------------- */

/* Fills the exit; true: it was done through a slot and there is none. */
static bool start(struct fake_vcpu *vcpu, struct access *access)
{
	struct kvm_run *run = vcpu->run;

	if (access->port) {
		run->exit_reason = KVM_EXIT_IO;
		run->io.direction = access->write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
		run->io.port = (uint16_t)access->at;
		run->io.size = (uint8_t)access->width;
		run->io.count = 1;
		run->io.data_offset = FAKE_DATA;
		memcpy((char *)run + FAKE_DATA, &access->value, 8);
		return false;
	}
	if (fake_slot_access(access->at, access->width, access->write, &access->value))
		return true;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = access->at;
	run->mmio.len = access->width;
	run->mmio.is_write = access->write;
	memcpy(run->mmio.data, &access->value, 8);
	return false;
}

/* The access that exited was served. */
static void finish(struct fake_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t value = 0;

	if (!vcpu->asked)
		return;
	vcpu->asked = false;
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memcpy(&value, (const char *)run + FAKE_DATA, run->io.size);
	else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memcpy(&value, run->mmio.data, run->mmio.len);
	else {
		answer("exit");
		return;
	}
	answer("exit 0x%llx", (unsigned long long)value);
}

static bool parse_access(const char *line, struct access *access)
{
	unsigned long long at, value = 0;
	char what[8];
	const int n = sscanf(line, "%7s %llx %u %llx", what, &at, &access->width, &value);

	access->at = at;
	access->value = value;
	access->port = !strcmp(what, "in") || !strcmp(what, "out");
	access->write = !strcmp(what, "w") || !strcmp(what, "out");
	return n >= 3 && access->width >= 1 && access->width <= 8 && (access->write ? n == 4 : n == 3) &&
	       (access->port || access->write || !strcmp(what, "r"));
}

/* ---- Registers --------------------------------------------------------- */

static _Atomic uint64_t rip, rax; /* 0: nothing is known of them */

void fake_registers(struct kvm_regs *regs)
{
	*regs = (struct kvm_regs){ .rip = rip, .rax = rax };
}

void fake_special_registers(struct kvm_sregs *sregs)
{
	*sregs = (struct kvm_sregs){ .cs = { .db = 1 } };
}

bool fake_translate(struct kvm_translation *translation)
{
	translation->physical_address = translation->linear_address;
	return rip != 0;
}

/* ---- Lines ------------------------------------------------------------- */

void fake_open_files(void)
{
	const char *in_path = getenv("FAKEKVM_IN"), *out_path = getenv("FAKEKVM_OUT");

	in = in_path ? open(in_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	out = out_path ? open(out_path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if ((in_path && in < 0) || (out_path && out < 0))
		perror("fakekvm: FAKEKVM_IN or FAKEKVM_OUT");
}

/* Takes a line if a whole one is there. */
static bool next_line(char *line, size_t room)
{
	char *end = memchr(buffer, '\n', buffered);
	size_t length;

	if (!end && in >= 0) {
		const ssize_t n = read(in, buffer + buffered, sizeof(buffer) - 8 - buffered);

		if (n == 0)
			in = -1; /* halted from here on */
		buffered += n > 0 ? (size_t)n : 0;
		end = memchr(buffer, '\n', buffered);
	}
	if (!end)
		return false;
	length = (size_t)(end - buffer);
	snprintf(line, room, "%.*s", (int)length, buffer);
	buffered -= length + 1;
	memmove(buffer, end + 1, buffered);
	return true;
}

/* Text for the serial port, all of it in one exit. */
static void say(struct fake_vcpu *vcpu, const char *text)
{
	struct kvm_run *run = vcpu->run;
	char *data = (char *)run + FAKE_DATA;
	const size_t length = strlen(text);

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = 0x3f8;
	run->io.size = 1;
	run->io.count = (uint32_t)length + 1;
	run->io.data_offset = FAKE_DATA;
	memcpy(data, text, length);
	data[length] = '\n';
}

static void loop_add(const char *line)
{
	struct access access;

	pthread_mutex_lock(&loop_lock);
	if (!*line) {
		loop_count = 0;
		read(loop_event, &(uint64_t){ 0 }, 8);
	} else if (loop_count < LOOP_MAX && parse_access(line, &access)) {
		loop[loop_count++] = access;
		write(loop_event, &(uint64_t){ 1 }, 8);
	} else {
		pthread_mutex_unlock(&loop_lock);
		answer("what is `loop %s`?", line);
		return;
	}
	pthread_mutex_unlock(&loop_lock);
	answer("ok");
}

enum outcome { DONE, EXITS, FAILS };

static enum outcome irq(char *line)
{
	while (!fake_irq_take(line, 64))
		if (!fake_wait(-1, true)) {
			/* asked again, with the same line, when the vCPU comes back */
			memmove(buffer + 4, buffer, buffered);
			memcpy(buffer, "irq\n", 4);
			buffered += 4;
			errno = EINTR;
			return FAILS;
		}
	answer("%s", line);
	return DONE;
}

static enum outcome execute(struct fake_vcpu *vcpu, char *line)
{
	struct access access;
	unsigned long long at, value;
	unsigned number, second;
	char name[32];

	if (parse_access(line, &access)) {
		if (!start(vcpu, &access)) {
			vcpu->asked = true;
			return EXITS;
		}
		answer(access.write ? "mapped" : "mapped 0x%llx", (unsigned long long)access.value);
	} else if (!strncmp(line, "say ", 4)) {
		say(vcpu, line + 4);
		vcpu->asked = true;
		return EXITS;
	} else if (sscanf(line, "exit %u %u", &number, &second) == 2) {
		vcpu->run->exit_reason = number;
		vcpu->run->internal.suberror = second;
		vcpu->asked = true;
		return EXITS;
	} else if (sscanf(line, "regs %llx %llx", &at, &value) == 2) {
		rip = at;
		rax = value;
		answer("ok");
	} else if (sscanf(line, "call %u", &number) == 1) {
		/* Bad pointers, and no flags and numbers that do anything. */
		if (syscall(number, -1, -1, -1, -1, -1, -1) < 0)
			answer("error %d", errno);
		else
			answer("ok");
	} else if (sscanf(line, "error %u", &number) == 1) {
		answer("ok");
		errno = (int)number;
		return FAILS;
	} else if (!strcmp(line, "loop") || !strncmp(line, "loop ", 5)) {
		loop_add(line[4] ? line + 5 : "");
	} else if (sscanf(line, "fail %31s %u", name, &number) == 2 && fake_fail(name, number)) {
		answer("ok");
	} else if (!strcmp(line, "irq")) {
		return irq(line);
	} else if (!strcmp(line, "irqs")) {
		answer("%s", fake_irq_take(line, 64) ? line : "none");
	} else if (sscanf(line, "eoi %u", &number) == 1) {
		fake_eoi(number);
		answer("ok");
	} else if (!strcmp(line, "irqfds")) {
		answer("%u", fake_irqfds());
	} else if (!strcmp(line, "routes")) {
		answer("%u", fake_route_count());
	} else if (!strcmp(line, "slots")) {
		answer("%u", fake_slots());
	} else if (sscanf(line, "slot %llx", &at) == 1) {
		answer("0x%llx", (unsigned long long)fake_slot_host(at));
	} else {
		answer("what is `%s`?", line);
	}
	return DONE;
}

/* ---- KVM_RUN ----------------------------------------------------------- */

static int run_first(struct fake_vcpu *vcpu)
{
	char line[512];

	for (;;) {
		while (next_line(line, sizeof(line))) {
			const enum outcome outcome = execute(vcpu, line);

			if (outcome != DONE)
				return outcome == EXITS ? 0 : -1;
		}
		if (!fake_wait(in, false)) { /* without more lines it is halted */
			errno = EINTR;
			return -1;
		}
	}
}

static int run_other(struct fake_vcpu *vcpu)
{
	for (;;) {
		struct access access;

		pthread_mutex_lock(&loop_lock);
		if (!loop_count) {
			pthread_mutex_unlock(&loop_lock);
			if (!fake_wait(loop_event, false)) {
				errno = EINTR;
				return -1;
			}
			continue;
		}
		access = loop[vcpu->next++ % loop_count];
		pthread_mutex_unlock(&loop_lock);
		if (!start(vcpu, &access))
			return 0;
		if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST)) {
			errno = EINTR;
			return -1;
		}
	}
}

__attribute__((constructor)) static void prepare(void)
{
	const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	/* A test may have closed a standard descriptor, which is not for us. */
	loop_event = fcntl(event, F_DUPFD_CLOEXEC, 3);
	close(event);
}

int fake_run(struct fake_vcpu *vcpu)
{
	sigset_t kick, before;
	int result, error;

	sigemptyset(&kick);
	sigaddset(&kick, KICK);
	pthread_sigmask(SIG_BLOCK, &kick, &before);
	finish(vcpu);
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST)) {
		errno = EINTR;
		result = -1;
	} else {
		result = vcpu->id ? run_other(vcpu) : run_first(vcpu);
	}
	error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return result;
}
