/* SPDX-License-Identifier: BSD-2-Clause */
/* irqs: has a device raise interrupts through the guest's own VFIO, a stretch at a time, for whoever counts
 * exits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT 1000

enum { PAGE = 4096, QUEUE = 64, VECTOR = 0xf2, MESSAGES = 0xfee00000 };

enum way { INTX, MSI = 0x05, MSIX = 0x11 }; /* capabilities */

struct kind {
	const char *ids;
	unsigned bar;
	enum way way;
	unsigned table_bar, table; /* of MSI-X */
	void (*start)(void);
	void (*raise)(void);
	void (*acknowledge)(void);
};

static const char *folder;
static volatile uint8_t *registers;
static volatile uint32_t *vector; /* the first of the MSI-X table, or NULL */
static int config, uio = -1, counts;
static const struct kind *kind;

static void fail(const char *what)
{
	printf("LAB irqs %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t get(unsigned at)
{
	return *(volatile uint32_t *)(registers + at);
}
static void put(unsigned at, uint32_t value)
{
	*(volatile uint32_t *)(registers + at) = value;
}
static void put_address(unsigned at, uint64_t value)
{
	put(at, (uint32_t)value);
	put(at + 4, (uint32_t)(value >> 32));
}

/* A page that stays where it is, of zeros, and where the device finds it. */
static void *page(uint64_t *address)
{
	uint8_t *at =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	const int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	if (at == MAP_FAILED)
		fail("a page");
	memset(at, 0, PAGE);
	if (pread(fd, &entry, 8, (off_t)((uintptr_t)at / PAGE * 8)) != 8 || !(entry >> 63))
		fail("a page's address");
	close(fd);
	*address = (entry & ((1ull << 55) - 1)) * PAGE;
	return at;
}

/* ---- edu: a register raises, another acknowledges ----------------------- */

static void edu_start(void)
{
}
static void edu_raise(void)
{
	put(0x60, 1);
}
static void edu_acknowledge(void)
{
	put(0x64, 1);
}

/* ---- ati-vga: enabling the interrupt of the vertical blank raises it ----- */

static void ati_raise(void)
{
	put(0x40, 1);
}
static void ati_acknowledge(void)
{
	put(0x40, 0);
	put(0x44, 1);
}

/* ---- e1000e: ICS sets a cause, here that of receive queue 0 -------------- */

static void e1000e_start(void)
{
	put(0xe4, 8); /* IVAR: it has vector 0 */
	put(0xd0, 1 << 20);
}
static void e1000e_raise(void)
{
	put(0xc8, 1 << 20);
}
static void e1000e_acknowledge(void)
{
	put(0xc0, ~0u);
	put(0xd0, 1 << 20);
}

/* ---- nvme: an admin command that reads a feature -------------------------- */

static struct {
	volatile uint32_t *commands;
	unsigned tail, head;
} nvme;

static void nvme_start(void)
{
	uint64_t submission, completion;

	put(0x14, 0);
	while (get(0x1c) & 1)
		;
	nvme.commands = page(&submission);
	page(&completion);
	put(0x24, (QUEUE - 1) << 16 | (QUEUE - 1));
	put_address(0x28, submission);
	put_address(0x30, completion);
	put(0x14, 0x00460001);
	while (!(get(0x1c) & 1))
		;
}
static void nvme_raise(void)
{
	volatile uint32_t *command = nvme.commands + 16 * nvme.tail;

	command[0] = nvme.tail << 16 | 0x0a;
	command[10] = 7;
	nvme.tail = (nvme.tail + 1) % QUEUE;
	put(0x1000, nvme.tail);
}
static void nvme_acknowledge(void)
{
	nvme.head = (nvme.head + 1) % QUEUE;
	put(0x1004, nvme.head);
}

/* ---- xhci: commands that do nothing --------------------------------------- */

static struct {
	volatile uint32_t *commands;
	uint64_t commands_at, events_at;
	unsigned operational, runtime, doorbells, tail, head, cycle;
} xhci;

static void xhci_start(void)
{
	uint64_t contexts, segments;
	volatile uint64_t *list;

	xhci.operational = get(0) & 0xff;
	xhci.doorbells = get(0x14) & ~3u;
	xhci.runtime = get(0x18) & ~31u;
	put(xhci.operational, 2);
	while (get(xhci.operational) & 2)
		;
	xhci.commands = page(&xhci.commands_at);
	page(&xhci.events_at);
	page(&contexts);
	list = page(&segments);
	list[0] = xhci.events_at;
	list[1] = QUEUE;
	xhci.cycle = 1;
	put(xhci.operational + 0x38, 1);
	put_address(xhci.operational + 0x30, contexts);
	put_address(xhci.operational + 0x18, xhci.commands_at | 1);
	put(xhci.runtime + 0x28, 1);
	put_address(xhci.runtime + 0x38, xhci.events_at);
	put_address(xhci.runtime + 0x30, segments);
	put(xhci.runtime + 0x24, 0);
	put(xhci.runtime + 0x20, 2);
	put(xhci.operational, 5);
}
static void xhci_raise(void)
{
	volatile uint32_t *command = xhci.commands + 4 * xhci.tail;

	command[3] = 23 << 10 | xhci.cycle;
	if (++xhci.tail == QUEUE) { /* a link to the start, which turns the cycle */
		volatile uint32_t *link = command + 4;

		link[0] = (uint32_t)xhci.commands_at;
		link[1] = (uint32_t)(xhci.commands_at >> 32);
		link[3] = 6 << 10 | 2 | xhci.cycle;
		xhci.tail = 0;
		xhci.cycle ^= 1;
	}
	put(xhci.doorbells, 0);
}
static void xhci_acknowledge(void)
{
	xhci.head = (xhci.head + 1) % QUEUE;
	put(xhci.operational + 4, 8);
	put(xhci.runtime + 0x20, 3);
	put_address(xhci.runtime + 0x38, xhci.events_at + 16 * xhci.head + 8);
}

static const struct kind kinds[] = {
	{ "0x1234:0x11e8", 0, MSI, 0, 0, edu_start, edu_raise, edu_acknowledge },
	{ "0x1002:0x5046", 2, INTX, 0, 0, edu_start, ati_raise, ati_acknowledge },
	{ "0x8086:0x10d3", 0, MSIX, 3, 0, e1000e_start, e1000e_raise, e1000e_acknowledge },
	{ "0x1b36:0x0010", 0, MSIX, 0, 0x2000, nvme_start, nvme_raise, nvme_acknowledge },
	{ "0x1033:0x0194", 0, MSIX, 0, 0x3000, xhci_start, xhci_raise, xhci_acknowledge },
};

static const struct kind *find(const char *ids)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].ids, ids))
			return &kinds[i];
	errno = ENODEV;
	fail(ids);
	return NULL;
}

/* ---- The function ----------------------------------------------------------- */

static uint32_t config_get(unsigned at, unsigned width)
{
	uint32_t value = 0;

	if (pread(config, &value, width, at) != width)
		fail("config space");
	return value;
}
static void config_put(unsigned at, unsigned width, uint32_t value)
{
	if (pwrite(config, &value, width, at) != width)
		fail("config space");
}

static void *map(unsigned bar)
{
	char path[256];
	struct stat st;
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/resource%u", folder, bar);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0 || fstat(fd, &st))
		fail(path);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail(path);
	return at;
}

static unsigned capability(unsigned id)
{
	for (unsigned at = config_get(0x34, 1); at; at = config_get(at + 1, 1))
		if (config_get(at, 1) == id)
			return at;
	errno = ENODEV;
	fail("a capability");
	return 0;
}

static void enable_msi(void)
{
	const unsigned at = capability(MSI), control = config_get(at + 2, 2);

	config_put(at + 4, 4, MESSAGES);
	if (control & 0x80)
		config_put(at + 8, 4, 0);
	config_put(at + (control & 0x80 ? 12 : 8), 2, VECTOR);
	config_put(at + 2, 2, (control & ~0x70u) | 1);
}

static void enable_msix(void)
{
	const unsigned at = capability(MSIX);

	vector = (void *)((uint8_t *)map(kind->table_bar) + kind->table);
	config_put(at + 2, 2, config_get(at + 2, 2) | 0xc000);
	vector[0] = MESSAGES;
	vector[1] = 0;
	vector[2] = VECTOR;
	vector[3] &= ~1u;
	config_put(at + 2, 2, config_get(at + 2, 2) & ~0x4000u);
}

/* ---- Stretches ---------------------------------------------------------------- */

/* Of the line PIN of /proc/interrupts: over all CPUs. */
static unsigned long counted(void)
{
	static char text[65536];
	const ssize_t length = pread(counts, text, sizeof(text) - 1, 0);
	unsigned long n = 0;
	char *at;

	text[length > 0 ? length : 0] = 0;
	at = strstr(text, "PIN:");
	if (!at)
		fail("/proc/interrupts");
	for (at += 4; at[strspn(at, " ")] >= '0' && at[strspn(at, " ")] <= '9';)
		n += strtoul(at, &at, 10);
	return n;
}

static unsigned long expected;

static void wait_irq(void)
{
	uint32_t n;

	expected++;
	if (kind->way != INTX) {
		while (counted() < expected)
			;
		return;
	}
	if (read(uio, &n, sizeof(n)) != sizeof(n))
		fail("an interrupt");
}

/* Whoever counts answers each line. */
static void say(const char *what, const char *stretch)
{
	char line[16];

	printf("LAB count %-6s %-10s\n", what, stretch); /* each as long as any */
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		fail("nobody counts");
}

static void interrupts(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		kind->raise();
		wait_irq();
		kind->acknowledge();
		if (kind->way == INTX) /* UIO has disabled it */
			config_put(4, 2, 6);
	}
}

/* The device goes on while its vector is masked; of all that one interrupt is left. */
static void masked(void)
{
	vector[3] |= 1;
	for (unsigned i = 0; i < COUNT; i++) {
		kind->raise();
		kind->acknowledge();
	}
	vector[3] &= ~1u;
	wait_irq();
}

int main(int argc, char **argv)
{
	char path[256];

	if (argc < 3 || argc > 4) {
		fputs("usage: irqs FOLDER VENDOR:DEVICE [UIO]\n"
		      "Says before and after each stretch, and reads a line each time before it goes on.\n",
		      stderr);
		return 2;
	}
	folder = argv[1];
	kind = find(argv[2]);
	snprintf(path, sizeof(path), "%s/config", folder);
	config = open(path, O_RDWR);
	counts = open("/proc/interrupts", O_RDONLY);
	if (config < 0 || counts < 0)
		fail(path);
	if (argc == 4 && (uio = open(argv[3], O_RDWR)) < 0)
		fail(argv[3]);
	config_put(4, 2, kind->way == INTX ? 6 : 0x406);
	registers = map(kind->bar);
	expected = counted();
	if (kind->way == MSI)
		enable_msi();
	else if (kind->way == MSIX)
		enable_msix();
	kind->start(); /* now: nec-usb-xhci looks whether it has messages when its interrupter is enabled */
	say("before", "interrupts");
	interrupts();
	say("after", "interrupts");
	if (vector) {
		say("before", "masked");
		masked();
		say("after", "masked");
	}
	return 0;
}
