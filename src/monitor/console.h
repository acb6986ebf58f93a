/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The person's side of the serial console: a terminal in raw mode with an
 * escape key, or any other pair of file descriptors.
 *
 * The terminal is given back on close, on exit(), and on the signals that
 * end a process. Input that ends, or is no terminal, never makes it spin.
 */
#ifndef BK_MONITOR_CONSOLE_H
#define BK_MONITOR_CONSOLE_H

#include <barkeep/base.h>

struct bk__monitor_console;

/* Called from the console's own thread. */
struct bk__monitor_console_ops {
	size_t (*room)(
		void *opaque); /* how many bytes `input` takes now; the console asks again when poked */
	void (*input)(void *opaque, const uint8_t *bytes, size_t count);
	void (*escape)(void *opaque); /* Ctrl-A x: end the run. Ctrl-A Ctrl-A sends a Ctrl-A */
};

/*
 * in, out: -1 for none. Without them `listen` (-1: none) may be a Unix socket that listens, without
 * blocking. A client that connects has both ends until it hangs up, one client at a time. Output of the
 * guest while no client is connected is lost.
 */
int bk__monitor_console_open(int in, int out, int listen, const struct bk__monitor_console_ops *ops,
			     void *opaque, struct bk__monitor_console **console, struct bk_error *err);

/* There is room again. Any thread. */
void bk__monitor_console_poke(struct bk__monitor_console *console);

/* To the terminal; bounded wait, output to a closed descriptor is dropped. Any thread. */
void bk__monitor_console_output(struct bk__monitor_console *console, uint8_t byte);

/* Flushes, gives the terminal back, ends the thread. */
void bk__monitor_console_close(struct bk__monitor_console *console);

#endif
