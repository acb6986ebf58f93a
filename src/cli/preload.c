/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library that `barkeep wrap` preloads, above the front in wrap/: its
 * settings, the devices that it mediates, and its ends.
 *
 * Settings and files are read when the library is loaded: later the program
 * may have changed its root, its user, or what it may call.
 */
#include "cli/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/loop.h"
#include "base/thread.h"
#include "cli/commands.h"
#include "cli/device_kinds.h"
#include "cli/trap_stats.h"
#include "cli/wrapped.h"
#include "device/options.h"
#include "wrap/files.h"
#include "wrap/real.h"
#include "wrap/wrap.h"

static struct cli_wrap_settings settings;

/* Of the list, and held while something is done to a device of it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct run run;
static pid_t owner; /* the process whose devices they are; 0: none is open */

static int log_fd = -1;
static unsigned lost; /* atomic: log lines */

const char *const *cli_kind_keys(const char *spec)
{
	return bk__device_keys(spec);
}

/* ---- Lines ------------------------------------------------------------- */

/* Never waits for a full pipe: if poll says that it can be written, it takes a whole line. */
static void write_line(const char *line, size_t length)
{
	struct pollfd to = { .fd = log_fd >= 0 ? log_fd : STDERR_FILENO, .events = POLLOUT };

	if (poll(&to, 1, 0) == 1 && to.revents & POLLOUT)
		(void)!bk__wrap_real.write(to.fd, line, length);
	else
		__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
}

static void log_line(void *opaque, enum bk_log_level level, const char *line)
{
	char text[1100];
	const unsigned missed = level <= BK_LOG_WARNING ? __atomic_exchange_n(&lost, 0, __ATOMIC_RELAXED) : 0;
	int length;

	if (level > BK_LOG_WARNING)
		return;
	length = missed ? snprintf(text, sizeof(text), "barkeep: %s (%u lines lost before)\n", line, missed)
			: snprintf(text, sizeof(text), "barkeep: %s\n", line);
	write_line(text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

/* ---- Control ----------------------------------------------------------- */

static struct cli_control *control;
static pthread_t controller;

/* Until it is woken: that is the end. */
static void *serve(void *loop)
{
	while (!bk__base_loop_wait(loop, -1))
		;
	return NULL;
}

static void start_control(void)
{
	struct bk__base_loop *loop;
	struct bk_error err;
	int error;

	if (!settings.control || control)
		return;
	if (cli_control_open(settings.control, cli_commands, &run, &control, &err)) {
		bk_log(BK_LOG_ERROR, "%s: there is no control socket", err.text);
		return;
	}
	loop = cli_control_loop(control);
	bk__wrap_keep_private(bk__base_loop_fd(loop));
	bk__wrap_keep_private(bk__base_loop_wake_fd(loop));
	error = bk__base_thread_start(&controller, serve, loop, NULL);
	if (!error)
		return;
	bk_log(BK_LOG_ERROR, "--control %s: %s: there is no control socket", settings.control,
	       strerror(-error));
	cli_control_close(control);
	control = NULL;
}

static void stop_control(void)
{
	if (!control)
		return;
	bk__base_loop_wake(cli_control_loop(control));
	pthread_join(controller, NULL);
	cli_control_close(control);
	control = NULL;
}

/* ---- Devices ----------------------------------------------------------- */

/* The settings of a device whose address is unknown: found by its ids, if only one device has them. */
static const char *text_by_ids(struct bk_device *below, struct bk_error *err)
{
	const char *text = "";
	uint8_t own[4];

	if (bk_device_read(below, BK_DEVICE_CONFIG, 0, own, sizeof(own)))
		return text;
	for (size_t i = 0; i < settings.devices.count; i++) {
		const struct cli_wrap_device *device = &settings.devices.at[i];
		uint8_t ids[4] = { 0 };
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device->parsed.spec);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, ids, sizeof(ids)) == sizeof(ids) && !memcmp(ids, own, sizeof(ids))) {
			if (*text) {
				bk_fail(err, EINVAL,
					"a device %04x:%04x was handed over without its name, and could be "
					"any "
					"of those given with --device",
					(unsigned)bk__load(own, 2), (unsigned)bk__load(own + 2, 2));
				close(fd);
				return NULL;
			}
			text = device->text;
		}
		if (fd >= 0)
			close(fd);
	}
	return text;
}

/* A ROM image that was read at the start. */
static int take_rom(struct cli_device *device, const char *text, struct bk_error *err)
{
	const struct cli_device *from = NULL;

	for (size_t i = 0; i < settings.devices.count; i++)
		if (settings.devices.at[i].text == text)
			from = &settings.devices.at[i].parsed;
	if (!from || !from->rom)
		return 0;
	device->rom = malloc(from->rom_size);
	if (!device->rom)
		return bk_fail(err, ENOMEM, "%s: out of memory", device->name);
	memcpy(device->rom, from->rom, from->rom_size);
	device->rom_size = from->rom_size;
	return 0;
}

static struct wrapped *create(const char *name, struct bk_device *below, struct bk_error *err)
{
	const struct cli_wrap_device *named = *name ? cli_wrap_find(&settings, name) : NULL;
	const char *text = named ? named->text : *name ? name : text_by_ids(below, err);
	struct wrapped *wrapped = text ? calloc(1, sizeof(*wrapped)) : NULL;

	if (!wrapped) {
		if (text)
			bk_fail(err, ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	if (!cli_wrap_parse(*text ? text : "vfio-device", &wrapped->device, err) &&
	    !take_rom(&wrapped->device, text, err))
		return wrapped;
	cli_device_close(&wrapped->device);
	free(wrapped);
	return NULL;
}

/* What options change besides traps. */
static unsigned changed_regions(const struct cli_device *device)
{
	unsigned regions = 0;

	if (device->chosen.count || device->rom || device->rom_off || device->msix_move)
		regions |= 1u << BK_DEVICE_CONFIG | 1u << BK_DEVICE_ROM;
	if (device->msix_move)
		regions |= 1u << device->msix_bar;
	return regions;
}

static int mediate(const char *name, struct bk_device *below, struct bk_domain *domain,
		   struct bk__wrap_opened *opened, struct bk_error *err)
{
	struct wrapped *wrapped;
	int error;

	pthread_mutex_lock(&lock);
	if (owner != getpid()) { /* what a fork has brought is not ours to look after */
		owner = getpid();
		run.list = NULL;
		control = NULL;
	}
	wrapped = create(name, below, err);
	error = wrapped ? cli_device_mediate(&wrapped->device, below, domain, err) : -EINVAL;
	if (error && wrapped) {
		cli_device_close(&wrapped->device);
		free(wrapped);
	} else if (!error) {
		*opened = (struct bk__wrap_opened){
			.mediate = wrapped->device.mediate,
			.regions = changed_regions(&wrapped->device),
			.unmapped = wrapped->device.unmapped ? (1u << BK_PCI_BARS) - 1 : 0,
			.opaque = wrapped,
		};
		wrapped->next = run.list;
		run.list = wrapped;
		start_control();
	}
	pthread_mutex_unlock(&lock);
	return error;
}

/* Rows of devices that are closed. */
static char *rows;
static size_t rows_size;

static void keep_rows(struct wrapped *wrapped)
{
	char *text = NULL, *grown;
	size_t size = 0;
	FILE *out = settings.stats ? open_memstream(&text, &size) : NULL;

	if (!out)
		return;
	cli_stats_device(out, cli_stats_width(0, ""), wrapped->device.name, wrapped->device.mediate);
	if (!fclose(out) && (grown = realloc(rows, rows_size + size + 1))) {
		rows = grown;
		memcpy(rows + rows_size, text, size + 1);
		rows_size += size;
	}
	free(text);
}

static void closed(void *opaque)
{
	struct wrapped *wrapped = opaque;

	pthread_mutex_lock(&lock);
	for (struct wrapped **at = &run.list; *at; at = &(*at)->next)
		if (*at == wrapped) {
			*at = wrapped->next;
			break;
		}
	keep_rows(wrapped);
	pthread_mutex_unlock(&lock);
	cli_device_close(&wrapped->device);
	free(wrapped);
}

void cli_preload_lock(void)
{
	pthread_mutex_lock(&lock);
}

void cli_preload_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static const struct bk__wrap_ops ops = { .mediate = mediate, .closed = closed };

/* ---- Start and end ----------------------------------------------------- */

static void open_log(void)
{
	const int fd = open(settings.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);

	if (fd < 0) {
		bk_log(BK_LOG_ERROR, "--log %s: %s: lines go to standard error", settings.log,
		       strerror(errno));
		return;
	}
	log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	if (log_fd < 0)
		log_fd = fd;
	else
		close(fd);
	bk__wrap_keep_private(log_fd);
}

static __attribute__((constructor)) void start(void)
{
	struct bk_error err;
	int error;

	bk_log_set(log_line, NULL);
	error = cli_wrap_load(&settings, getenv(CLI_WRAP_VARIABLE), &err);
	if (!error)
		error = cli_wrap_prepare(&settings, &err);
	if (error) { /* without its settings it must not run */
		bk_log(BK_LOG_ERROR, "%s", err.text);
		_exit(1);
	}
	if (settings.log)
		open_log();
	bk__wrap_start(&ops);
	pthread_atfork(cli_preload_lock, cli_preload_unlock, cli_preload_unlock);
	bk__wrap_adopt_all();
}

static void print_stats(void)
{
	const int width = cli_stats_width(0, "");
	char *text = NULL;
	size_t size = 0, done = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	cli_stats_head(out, width);
	if (rows)
		fputs(rows, out);
	for (struct wrapped *wrapped = run.list; wrapped; wrapped = wrapped->next)
		cli_stats_device(out, width, wrapped->device.name, wrapped->device.mediate);
	if (!fclose(out))
		while (done < size) {
			const ssize_t n = bk__wrap_real.write(log_fd >= 0 ? log_fd : STDERR_FILENO,
							      text + done, size - done);
			if (n <= 0)
				break;
			done += (size_t)n;
		}
	free(text);
}

static __attribute__((destructor)) void end(void)
{
	if (owner != getpid())
		return;
	stop_control();
	pthread_mutex_lock(&lock);
	if (settings.stats)
		print_stats();
	pthread_mutex_unlock(&lock);
}
