/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restricts the threads of a run once they serve a guest: no capabilities, few system calls.
 *
 * Each kind of thread has a list of sets of calls, which the tables below say. A call that is in none of them
 * ends the process with a line that names it. docs/sandbox.md says what is left to who breaks out of a guest.
 */
#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/thread.h"

/* ---- Sets of calls ----------------------------------------------------- */

/* A call, for all arguments or only where one of them, masked, is a value. */
struct call {
	int number;
	bool limited;
	struct scmp_arg_cmp argument;
};

#define ALL(name)                      \
	{                              \
		SCMP_SYS(name), false, \
		{                      \
			0              \
		}                      \
	}
#define ONLY(name, index, value)                                              \
	{                                                                     \
		SCMP_SYS(name), true,                                         \
		{                                                             \
			.arg = (index), .op = SCMP_CMP_EQ, .datum_a = (value) \
		}                                                             \
	}
#define MASKED(name, index, mask, value)                                                                \
	{                                                                                               \
		SCMP_SYS(name), true,                                                                   \
		{                                                                                       \
			.arg = (index), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), .datum_b = (value) \
		}                                                                                       \
	}
#define END                \
	{                  \
		-1, false, \
		{          \
			0  \
		}          \
	}

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* Threads, memory that is not executable, time, log lines, giving the terminal back, and the end. */
static const struct call every_thread[] = {
	ALL(futex),
	ALL(membarrier),
	ALL(sched_yield),
	ALL(sched_getaffinity),
	ALL(getpid),
	ALL(gettid),
	ALL(getpgrp),
	ALL(rseq),
	ALL(set_robust_list),
	ALL(restart_syscall),
	ALL(rt_sigaction),
	ALL(rt_sigprocmask),
	ALL(rt_sigreturn),
	ALL(sigaltstack),
	ALL(exit),
	ALL(exit_group),
	MASKED(mmap, 2, PROT_EXEC, 0),
	MASKED(mprotect, 2, PROT_EXEC, 0),
	ALL(mremap),
	ALL(munmap),
	ALL(madvise),
	ALL(brk),
	ALL(clock_gettime),
	ALL(clock_nanosleep),
	ALL(nanosleep),
	ALL(gettimeofday),
	ALL(getrandom),
	ALL(poll),
	ALL(ppoll),
	ALL(write),
	ALL(close),
	ONLY(sendto, 4, 0), /* without an address */
	ONLY(ioctl, 1, TCGETS),
	ONLY(ioctl, 1, TCSETS),
	ONLY(ioctl, 1, TCSETSW),
	ONLY(ioctl, 1, TCSETSF),
	ONLY(ioctl, 1, TIOCGPGRP),
	END,
};

static const struct call reads[] = { ALL(read), ALL(readv), ALL(preadv2), END };

/* A client of the console's socket; the serial port's interrupt, when the console has something for it. */
static const struct call serial_port[] = {
	ALL(accept4),
	ONLY(fcntl, 1, F_DUPFD_CLOEXEC),
	ONLY(ioctl, 1, KVM_IRQ_LINE),
	END,
};

/* The file behind a disk, which is open. */
static const struct call disk[] = {
	ALL(io_uring_enter),
	ALL(pread64),
	ALL(preadv),
	ALL(pwrite64),
	ALL(pwritev),
	ALL(fdatasync),
	ONLY(fallocate, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	ONLY(fallocate, 1, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE),
	END,
};

/* A network card on the host's network: IPv4 sockets. */
static const struct call network[] = {
	ONLY(socket, 0, AF_INET),
	ALL(bind),
	ALL(listen),
	ALL(connect),
	ALL(accept),
	ALL(accept4),
	ALL(shutdown),
	ALL(getsockname),
	ALL(getpeername),
	ALL(getsockopt),
	ALL(setsockopt),
	ALL(sendto),
	ALL(sendmsg),
	ALL(recvfrom),
	ALL(recvmsg),
	ALL(fcntl),
	ONLY(ioctl, 1, FIONREAD),
	END,
};

/* A device of another process: its server's socket, and one that comes back; its pages in the guest. */
static const struct call server[] = {
	ONLY(socket, 0, AF_UNIX),
	ALL(connect),
	ALL(setsockopt),
	ALL(sendmsg),
	ALL(recvmsg),
	ONLY(fcntl, 1, F_DUPFD_CLOEXEC),
	ALL(fstat),
	ALL(newfstatat),                  /* fstat of some C libraries */
	MASKED(ioctl, 1, 0xff00, 0xae00), /* KVM's */
	END,
};

/* The registers of devices and KVM, their interrupts, files that are open; and more threads. */
static const struct call devices[] = {
	ALL(read),
	ALL(readv),
	ALL(pread64),
	ALL(preadv),
	ALL(preadv2),
	ALL(writev),
	ALL(pwrite64),
	ALL(pwritev),
	ALL(lseek),
	ALL(fdatasync),
	ALL(fsync),
	ONLY(fallocate, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), /* memory of a sim that is reset */
	ALL(eventfd2),
	ALL(epoll_ctl), /* masked vectors */
	ALL(fcntl),
	ALL(sendmsg),
	ALL(recvmsg),
	ALL(shutdown), /* of a device's server */
	ONLY(recvfrom, 4, 0),
	MASKED(ioctl, 1, 0xff00, 0xae00), /* KVM's */
	MASKED(ioctl, 1, 0xff00, 0x3b00), /* VFIO's */
	ONLY(prlimit64, 2, 0),            /* asks, and sets nothing */
	MASKED(clone, 0, THREAD, THREAD),
	ALL(seccomp),
	ALL(capget),
	ALL(capset),
	ONLY(prctl, 0, PR_SET_NAME),
	ONLY(prctl, 0, PR_SET_NO_NEW_PRIVS),
	ONLY(prctl, 0, PR_SET_SECCOMP),
	ONLY(prctl, 0, PR_CAP_AMBIENT),
	END,
};

/* A client of vfio-user, and the files that its memory is in. */
static const struct call clients[] = {
	ALL(accept4), ALL(fstat),        ALL(newfstatat), /* fstat of some C libraries */
	ALL(fstatfs), ALL(getsockopt),   ALL(shutdown),   ONLY(socketpair, 0, AF_UNIX),
	ALL(geteuid), ALL(memfd_create), ALL(ftruncate),  END,
};

/* The end of a run: the keeper of the terminal, the files of sockets and of the process number. */
static const struct call ending[] = {
	ALL(wait4),   ALL(epoll_wait),   ALL(epoll_pwait), ALL(newfstatat),
	ALL(fstat),   ALL(unlinkat),     ALL(getuid),      ALL(geteuid),
	ALL(munlock), ALL(memfd_create), ALL(ftruncate),   ALL(fallocate),
	ALL(dup),     ALL(dup2),         ALL(dup3),        ALL(unlink),
	END,
};

/* Clients of the control socket, and devices that they put in. */
static const struct call plugging[] = {
	ALL(accept4),
	ALL(accept),
	ALL(epoll_create1),
	ALL(recvfrom),
	ALL(openat),
	ALL(open),
	ALL(stat),
	ALL(lstat),
	ALL(statx),
	ALL(readlink),
	ALL(readlinkat),
	ALL(getdents64),
	ALL(access),
	ALL(faccessat),
	ALL(faccessat2),
	ALL(getcwd),
	ALL(uname),
	ALL(timerfd_create),
	ALL(timerfd_settime),
	ALL(getsockopt),
	ALL(setsockopt),
	ALL(shutdown),
	ALL(connect),
	ALL(flock),
	ALL(statfs),
	ALL(fstatfs),
	ALL(io_uring_setup),
	ALL(io_uring_register),
	ONLY(socket, 0, AF_UNIX),
	ONLY(ioctl, 1, BLKGETSIZE64),
	ONLY(ioctl, 1, TUNSETIFF),
	END,
};

/* These fail, as they do where there is nothing to be found: what asks has another way. */
static const struct {
	int number, error;
} refused[] = {
	{ SCMP_SYS(clone3), ENOSYS }, /* its flags are in memory; clone's are not */
	{ SCMP_SYS(openat), EACCES },
	{ SCMP_SYS(open), EACCES },
	{ SCMP_SYS(readlink), EACCES },
};

#define SETS 6

static const struct kind {
	const char *name;
	const struct call *sets[SETS]; /* NULL ends them */
} kinds[] = {
	{ "log", { every_thread } },
	{ "space", { every_thread } },
	{ "console", { every_thread, reads, serial_port } },
	{ "device", { every_thread, reads } },
	{ "serve", { every_thread, devices, clients } },
	{ "user", { every_thread, reads, server } },
	{ "disk", { every_thread, reads, disk } },
	{ "network", { every_thread, reads, network } },
	{ "vcpu", { every_thread, devices } },
	{ "control", { every_thread, devices, ending } },
	{ "plugging", { every_thread, devices, ending, plugging, network } }, /* instead of the one before */
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- A call that is in no set ------------------------------------------ */

#define NAMES 512

static char call_names[NAMES][24];
static __thread const char *thread_kind = "?";

static void fill_names(void)
{
	for (int i = 0; i < NAMES; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);

		snprintf(call_names[i], sizeof(call_names[i]), "%s", name ? name : "?");
		free(name);
	}
}

static char *append(char *at, const char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	return at;
}

/* Only what may be called in a handler, on a thread that may be anywhere. */
static void on_forbidden(int number, siginfo_t *info, void *context)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[200], digits[12], *at = line, *digit = digits + sizeof(digits) - 1;
	const char *end = line + sizeof(line);
	unsigned call = (unsigned)info->si_syscall;

	(void)context;
	at = append(at, end, "barkeep: the sandbox ends the run: a thread of kind ");
	at = append(at, end, thread_kind);
	at = append(at, end, " made the system call ");
	if (call < NAMES)
		at = append(at, end, call_names[call]);
	*digit = 0;
	do
		*--digit = (char)('0' + call % 10);
	while (call /= 10);
	at = append(at, end, " (");
	at = append(at, end, digit);
	/* A terminal may be in raw mode. */
	at = append(at, end,
		    isatty(STDERR_FILENO) ? "); --sandbox off lets it\r\n" : "); --sandbox off lets it\n");
	if (poll(&fd, 1, 0) > 0 && write(STDERR_FILENO, line, (size_t)(at - line)) < 0)
		call = 0;
	signal(number, SIG_DFL);
	raise(number); /* blocked here: comes when this handler returns */
}

/* ---- Restricting a thread ---------------------------------------------- */

static int add_set(scmp_filter_ctx filter, const struct call *set)
{
	int error = 0;

	for (; set->number != -1 && !error; set++) {
		if (set->limited)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, set->number, 1, set->argument);
		else
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, set->number, 0);
	}
	return error;
}

static bool has(const struct kind *kind, int number)
{
	for (unsigned i = 0; i < SETS && kind->sets[i]; i++)
		for (const struct call *call = kind->sets[i]; call->number != -1; call++)
			if (call->number == number)
				return true;
	return false;
}

static int restrict_calls(const struct kind *kind)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int error = filter ? 0 : -ENOMEM;

	for (unsigned i = 0; i < SETS && kind->sets[i] && !error; i++)
		error = add_set(filter, kind->sets[i]);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]) && !error; i++)
		if (!has(kind, refused[i].number))
			error = seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)refused[i].error),
						 refused[i].number, 0);
	/* No thread sends signals but to its own process. */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					 (struct scmp_arg_cmp){ .arg = 0,
								.op = SCMP_CMP_EQ,
								.datum_a = (scmp_datum_t)getpid() });
	if (!error)
		error = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return error;
}

static bool may_plug;

/* The memory limit does not hold for a device that is put in; nor who owns its files and nodes. */
static void restrict_capabilities(bool keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	const uint32_t kept = keep ? 1u << CAP_IPC_LOCK | 1u << CAP_DAC_OVERRIDE : 0;

	if (syscall(SYS_capget, &header, now))
		return;
	now[0].effective &= kept;
	now[0].permitted &= kept;
	now[0].inheritable = now[1].effective = now[1].permitted = now[1].inheritable = 0;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, now))
		bk_log(BK_LOG_WARNING, "sandbox: a thread keeps its capabilities: %s", strerror(errno));
}

static void on_thread(const char *name)
{
	const bool control = !strcmp(name, "control");
	const char *wanted = control && may_plug ? "plugging" : name;
	sigset_t forbidden;
	int error = -ENOENT;

	thread_kind = name;
	sigemptyset(&forbidden);
	sigaddset(&forbidden, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &forbidden, NULL);
	restrict_capabilities(control && may_plug);
	for (unsigned i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i].name, wanted))
			error = restrict_calls(&kinds[i]);
	if (error)
		bk_log(BK_LOG_ERROR, "sandbox: a thread of kind %s runs without a filter: %s", name,
		       strerror(-error));
}

int cli_sandbox_start(bool plug, struct bk_error *err)
{
	const struct sigaction action = { .sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO };
	const uint32_t trap = SECCOMP_RET_TRAP;

#ifdef BK_NO_SANDBOX
	return 0;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &trap))
		return bk_fail(
			err, errno,
			"sandbox: this kernel cannot filter system calls (%s); --sandbox off does without",
			strerror(errno));
	fill_names();
	may_plug = plug;
	sigaction(SIGSYS, &action, NULL);
	bk__base_thread_set_hook(on_thread);
	return 0;
}
