/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of `barkeep serve`, each at its own socket. */
#ifndef BK_CLI_SERVED_H
#define BK_CLI_SERVED_H

#include <stdatomic.h>

#include "base/array.h"
#include "base/loop.h"
#include "cli/device_option.h"
#include "cli/socket.h"
#include "serve/serve.h"

struct run;

/* A device and where it is served. */
struct cli_served {
	struct run *run;
	char *text; /* for cli_device_parse, again when its quirks are loaded again */
	struct cli_device device;
	char *path;     /* of its socket, or NULL */
	int fd;         /* that was given instead, or -1 */
	bool connected; /* that one is a client */
	unsigned mode;  /* of the socket; 0: for its owner alone */
	char *group;    /* that it is given to, or NULL */
	struct bk__serve_config config;

	struct cli_shared *shared;
	struct bk_domain *domain;
	struct cli_socket socket;
	struct bk__serve *serve; /* NULL: it has ended */
	int events[2];           /* of the host: ERR and REQ, while there is no client; or -1 */
	atomic_bool gone;        /* a client has gone since the run looked */
	bool reload;             /* as soon as there is no client */
};

/* What devices of one IOMMU group share; any other device has it alone. */
struct cli_shared {
	struct bk_device_context *context;
	struct bk__serve_group *group; /* NULL: it is in no IOMMU group */
	int number;                    /* of that */
	unsigned uses;
};

struct run {
	BK__ARRAY(struct cli_served *) list;
	bool strict, stats, sandbox;
	const char *control, *log;
	struct bk__base_loop *loop;
	bool quit;
};

/* Takes `SPEC[,KEY=VALUE]...` apart; -EINVAL or -ENOMEM with a line. */
int cli_served_parse(struct run *run, const char *text, struct bk_error *err);

/* Opens the device and serves it. */
int cli_served_open(struct cli_served *served, struct bk_error *err);

/* A client may have gone, or the host wants the device back: does what is to be done then. */
void cli_served_tend(struct cli_served *served);

/* Finds or creates the context that the device shares with others, and releases it. (shared.c) */
int cli_shared_get(struct cli_served *served, struct bk_error *err);
void cli_shared_put(struct cli_served *served);

/* Its quirk files are read again, once no client is there. */
void cli_served_reload(struct cli_served *served);

/* Ends it; safe to do twice. */
void cli_served_stop(struct cli_served *served);
void cli_served_free(struct cli_served *served);

/* Tells systemd, if that has started us. `state` is such as READY=1. (notify.c) */
void cli_notify(const char *state);

/* How many sockets it has given, from descriptor 3 on. */
unsigned cli_notify_sockets(void);

#endif
