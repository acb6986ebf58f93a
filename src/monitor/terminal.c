/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw mode and job control; what the signal handlers share is lock-free, and they call only what POSIX lets
 * them. */
#include "monitor/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/keeper.h"

/* Signals that end a process by default, whether sent or raised by a fault. */
static const int ending_signals[] = { SIGPIPE, SIGHUP,  SIGINT,    SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,
				      SIGBUS,  SIGFPE,  SIGUSR1,   SIGSEGV, SIGUSR2, SIGALRM, SIGTERM,
				      SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGSYS,  SIGIO };
#define ENDING (sizeof(ending_signals) / sizeof(ending_signals[0]))

/* How many turns to wait for a thread inside bk__monitor_terminal_take. */
#define PATIENCE 100000

static struct {
	bool open; /* set only by the console's owner */
	pid_t owner;
	int fd, event;
	bool saved; /* `original` is what the terminal goes back to */
	struct termios original;
	/* Atomic. */
	bool held;    /* the terminal is in raw mode */
	bool busy;    /* bk__monitor_terminal_take is changing it */
	bool refused; /* it must not be taken: the process stops or ends */
} terminal;

static bool get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

/* A terminal that does not control this process has no foreground. */
static bool foreground(void)
{
	pid_t group = tcgetpgrp(terminal.fd);

	return group < 0 || group == getpgrp();
}

static void give_back(void)
{
	for (unsigned turn = 0; get(&terminal.busy) && turn < PATIENCE; turn++)
		sched_yield();
	/* In the background, or in a child of fork(), it is someone else's, and tcsetattr would stop us. */
	if (get(&terminal.held) && getpid() == terminal.owner && foreground())
		tcsetattr(terminal.fd, TCSANOW, &terminal.original);
	set(&terminal.held, false);
	bk__monitor_keeper_note(NULL);
}

/* ---- Signals ----------------------------------------------------------- */

static void on_end(int number)
{
	set(&terminal.refused, true);
	give_back();
	signal(number, SIG_DFL);
	raise(number); /* blocked here: comes when this handler returns */
}

static void wake(void)
{
	const uint64_t one = 1;
	ssize_t ignored = write(terminal.event, &one, sizeof(one));

	(void)ignored;
}

/* After a stop, perhaps without warning (SIGSTOP): others may have changed the terminal. */
static void on_continue(int number)
{
	int saved = errno;

	set(&terminal.held, false);
	wake();
	errno = saved;
}

static void on_stop(int number)
{
	int saved = errno;
	struct sigaction action = { .sa_handler = SIG_DFL }, old;
	sigset_t set_of_one;

	set(&terminal.refused, true);
	give_back();
	sigaction(number, &action, &old);
	sigemptyset(&set_of_one);
	sigaddset(&set_of_one, number);
	raise(number);
	pthread_sigmask(SIG_UNBLOCK, &set_of_one, NULL); /* stops here */
	pthread_sigmask(SIG_BLOCK, &set_of_one, NULL);
	sigaction(number, &old, NULL);
	set(&terminal.refused, false);
	wake();
	errno = saved;
}

static void at_exit(void)
{
	set(&terminal.refused, true);
	give_back();
}

/* Handles a signal if it has its default action. */
static void catch (int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK }, old;

	if (!sigaction(number, NULL, &old) && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

static void release(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = SIG_DFL }, old;

	if (!sigaction(number, NULL, &old) && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == handler)
		sigaction(number, &action, NULL);
}

/* ---- Calls ------------------------------------------------------------- */

bool bk__monitor_terminal_is(int fd)
{
	unsigned number;

	return isatty(fd) && ioctl(fd, TIOCGPTN, &number) < 0;
}

int bk__monitor_terminal_open(int fd, int event, struct bk_error *err)
{
	static bool registered;

	if (terminal.open)
		return bk_fail(err, EBUSY, "this process already has a console on a terminal");
	if (!registered && atexit(at_exit))
		return bk_fail(err, ENOMEM, "console: out of memory");
	registered = true;
	terminal.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (terminal.fd < 0)
		return bk_fail(err, errno, "console: %s", strerror(errno));
	terminal.open = true;
	terminal.owner = getpid();
	terminal.event = event;
	terminal.saved = false;
	set(&terminal.held, false);
	set(&terminal.refused, false);
	for (size_t i = 0; i < ENDING; i++)
		catch (ending_signals[i], on_end);
	catch (SIGTSTP, on_stop);
	catch (SIGCONT, on_continue);
	return 0;
}

/* Call with the signals blocked whose handlers call give_back. */
static bool take(void)
{
	struct termios raw;

	if (get(&terminal.refused))
		return false;
	if (get(&terminal.held))
		return true;
	if (!terminal.saved && tcgetattr(terminal.fd, &terminal.original))
		return true; /* hung up: the reader will see it */
	terminal.saved = true;
	raw = terminal.original;
	cfmakeraw(&raw);
	bk__monitor_keeper_note(&terminal.original);
	if (!tcsetattr(terminal.fd, TCSANOW, &raw))
		set(&terminal.held, true);
	return true;
}

bool bk__monitor_terminal_take(void)
{
	sigset_t all, old;
	bool ours;

	/* In the background, one of these two stops us; the shell then continues us. */
	sigfillset(&all);
	sigdelset(&all, SIGTTIN);
	sigdelset(&all, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	set(&terminal.busy, true);
	ours = foreground();
	if (ours)
		ours = take();
	else
		set(&terminal.held, false); /* others may set it from now on */
	set(&terminal.busy, false);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ours;
}

void bk__monitor_terminal_close(void)
{
	give_back();
	for (size_t i = 0; i < ENDING; i++)
		release(ending_signals[i], on_end);
	release(SIGTSTP, on_stop);
	release(SIGCONT, on_continue);
	close(terminal.fd);
	terminal.open = false;
}
