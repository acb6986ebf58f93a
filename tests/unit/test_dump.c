/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices out of what lspci printed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/number.h"
#include "device/context.h"
#include "device/dump.h"

#define WIFI                                                                                 \
	"02:00.0 Network controller [0280]: Qualcomm Atheros QCA6174 [168c:003e] (rev 32)\n" \
	"\tControl: I/O- Mem+ BusMaster+\n"                                                  \
	"\tRegion 0: Memory at df200000 (64-bit, non-prefetchable) [size=2M]\n"              \
	"\tRegion 4: I/O ports at e000 [size=32]\n"                                          \
	"\tExpansion ROM at df400000 [disabled] [size=64K]\n"

/* 64 bytes of it: a 64-bit BAR 0, an I/O BAR 4, INTA, capabilities from 0x40. */
#define HEADER                                                  \
	"00: 8c 16 3e 00 06 04 10 00 32 00 80 02 10 00 00 00\n" \
	"10: 04 00 20 df 00 00 00 00 00 00 00 00 00 00 00 00\n" \
	"20: 01 e0 00 00 00 00 00 00 00 00 00 00 1a 11 34 12\n" \
	"30: 00 00 40 df 40 00 00 00 00 00 00 00 0b 01 00 00\n"

#define ZEROS(at) at ": 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"

/* Power management at 0x40, MSI with 8 messages at 0x50, MSI-X with 129 vectors at 0x60, PCI Express at 0x70.
 */
#define FULL                                                                                               \
	HEADER "40: 01 50 03 00 08 00 00 00 00 00 00 00 00 00 00 00\n"                                     \
	       "50: 05 60 86 00 00 00 00 00 00 00 00 00 00 00 00 00\n"                                     \
	       "60: 11 70 80 00 00 00 00 00 00 10 00 00 00 00 00 00\n"                                     \
	       "70: 10 00 02 00 c0 8f 00 00 00 00 00 00 00 00 00 00\n" ZEROS("80") ZEROS("90") ZEROS("a0") \
		       ZEROS("b0") ZEROS("c0") ZEROS("d0") ZEROS("e0") ZEROS("f0")

static int open_text(const char *text, const char *function, struct bk_device **device, struct bk_error *err)
{
	return bk__dump_open_text("x.txt", text, strlen(text), function, "dump:x.txt", device, err);
}

static struct bk_device *opened(const char *text, const char *function)
{
	struct bk_device *device;
	struct bk_error err;

	if (open_text(text, function, &device, &err))
		fail_msg("%s", err.text);
	return device;
}

static void refuse(const char *text, const char *function, int code, const char *line)
{
	struct bk_device *device;
	struct bk_error err = { "" };

	assert_int_equal(open_text(text, function, &device, &err), -code);
	assert_null(device);
	assert_string_equal(err.text, line);
}

static uint64_t get(struct bk_device *device, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8];

	assert_int_equal(bk_device_read(device, region, offset, bytes, width), 0);
	return bk__load(bytes, width);
}

static uint64_t size_of(struct bk_device *device, unsigned index)
{
	struct bk_device_region region = { 0 };

	assert_int_equal(bk_device_region(device, index, &region), 0);
	assert_int_equal(region.fd, -1);
	return region.size;
}

static unsigned vectors(struct bk_device *device, unsigned index)
{
	struct bk_device_irq irq = { 0 };

	assert_int_equal(bk_device_irq(device, index, &irq), 0);
	return irq.count;
}

/* ---- What it shows ------------------------------------------------------ */

static void config_space_is_as_dumped_and_bars_have_the_sizes_of_their_lines(void **state)
{
	struct bk_device *device = opened(WIFI FULL, NULL);

	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0, 4), 0x003e168c);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 4, 2), 0x0406);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x60, 4), 0x00807011);
	assert_int_equal(size_of(device, 0), 2 << 20);
	assert_int_equal(size_of(device, 1), 0);
	assert_int_equal(size_of(device, 4), 32);
	assert_int_equal(size_of(device, BK_DEVICE_ROM), 64 << 10);
	assert_int_equal(size_of(device, BK_DEVICE_CONFIG), 256);
	assert_int_equal(size_of(device, BK_DEVICE_VGA), 0);
	assert_int_equal(vectors(device, BK_DEVICE_INTX), 1);
	assert_int_equal(vectors(device, BK_DEVICE_MSI), 8);
	assert_int_equal(vectors(device, BK_DEVICE_MSIX), 129);
	assert_int_equal(vectors(device, BK_DEVICE_ERR), 1);
	bk_device_close(device);
}

static void extended_config_space_makes_4096_bytes(void **state)
{
	struct bk_device *device =
		opened(WIFI FULL "100: 01 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00\n", NULL);

	assert_int_equal(size_of(device, BK_DEVICE_CONFIG), 4096);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x100, 4), 0x00010001);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0xffc, 4), 0);
	bk_device_close(device);
}

static void nothing_is_behind_the_bars(void **state)
{
	struct bk_device *device = opened(WIFI FULL, NULL);
	uint32_t zero = 0;

	assert_int_equal(bk_device_write(device, 0, 0x1000, &zero, 4), 0);
	assert_int_equal(get(device, 0, 0x1000, 4), 0xffffffff);
	assert_int_equal(get(device, BK_DEVICE_ROM, 0, 2), 0xffff);
	assert_int_equal(bk_device_read(device, 0, (2 << 20) - 2, &zero, 4), -EINVAL);
	assert_int_equal(bk_device_read(device, 1, 0, &zero, 1), -EINVAL);
	assert_int_equal(bk_device_write(device, BK_DEVICE_ROM, 0, &zero, 4), -EINVAL);
	assert_int_equal(bk_device_read(device, BK_DEVICE_REGIONS, 0, &zero, 1), -EINVAL);
	bk_device_close(device);
}

static void registers_in_config_space_are_memory_until_a_reset(void **state)
{
	struct bk_device *device = opened(WIFI FULL, NULL);
	uint32_t ones = 0xffffffff;

	for (unsigned offset = 0; offset < 256; offset += 4)
		assert_int_equal(bk_device_write(device, BK_DEVICE_CONFIG, offset, &ones, 4), 0);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x00, 4), 0x003e168c); /* ids stay */
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x04, 4), 0x00100547);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x10, 8), 0xffffffffffe00004); /* a size probe */
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x20, 4), 0xffffffe1);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x30, 4), 0xffff0001);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x60, 4), 0xffff7011); /* the chain stays */
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x80, 4), 0xffffffff);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x04, 4), 0x00100406);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x80, 4), 0);
	bk_device_close(device);
}

/* Hardware has no ids and no BARs in a virtual function's config space; lspci knows them from the kernel. */
static void a_virtual_function_gets_its_ids_and_bars_from_the_text(void **state)
{
	struct bk_device *device =
		opened("03:02.0 Ethernet controller [0200]: Intel Corporation X710 VF [8086:154c] (rev 01)\n"
		       "\tRegion 0: Memory at 383ff0000000 (64-bit, prefetchable) [virtual] [size=64K]\n"
		       "\tRegion 3: Memory at 383ff0100000 (64-bit, prefetchable) [virtual] [size=16K]\n"
		       "00: ff ff ff ff 00 00 10 00 01 00 00 02 00 00 00 00\n"
		       "10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
		       "20: 00 00 00 00 00 00 00 00 00 00 00 00 86 80 00 00\n"
		       "30: 00 00 00 00 70 00 00 00 00 00 00 00 00 00 00 00\n",
		       NULL);

	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0, 4), 0x154c8086);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x10, 8), 0x383ff000000c);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x1c, 8), 0x383ff010000c);
	assert_int_equal(size_of(device, 0), 64 << 10);
	assert_int_equal(size_of(device, 3), 16 << 10);
	bk_device_close(device);
}

static char logged[2048];

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	strncat(logged, line, sizeof(logged) - strlen(logged) - 2);
	strcat(logged, "\n");
}

static void what_was_not_dumped_is_left_out_with_a_line(void **state)
{
	struct bk_device *device;

	logged[0] = 0;
	bk_log_set(keep, NULL);
	device = opened("02:00.0 x\n" HEADER, NULL);
	bk_log_set(NULL, NULL);
	assert_string_equal(logged,
			    "dump:x.txt: only 64 bytes of config space were dumped, so it shows no "
			    "capabilities; lspci -vvxxxx as root prints all\n"
			    "dump:x.txt: no Region line says how large bar0 is, so it is left out; bar0=SIZE "
			    "gives its size\n"
			    "dump:x.txt: no Region line says how large bar4 is, so it is left out; bar4=SIZE "
			    "gives its size\n");
	assert_int_equal(size_of(device, 0), 0);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 6, 2), 0); /* no list of capabilities */
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x34, 1), 0);
	assert_int_equal(vectors(device, BK_DEVICE_MSIX), 0);
	bk_device_close(device);
}

/* A kernel gives an IDE function in compatibility mode BARs of 8 and 1 bytes, which registers cannot say. */
static void sizes_are_taken_as_they_stand(void **state)
{
	struct bk_device *device = opened(
		"00:1f.1 IDE interface\n"
		"\tRegion 0: [virtual] I/O ports at 01f0 [size=8]\n"
		"\tRegion 1: [virtual] I/O ports at 03f4 [size=1]\n"
		"\tRegion 2: Memory at <unassigned> (64-bit, prefetchable) [size=3T]\n"
		"00: 86 80 11 70 05 00 80 02 00 80 01 01 00 00 00 00\n" ZEROS("10") ZEROS("20") ZEROS("30"),
		NULL);

	assert_int_equal(size_of(device, 0), 8);
	assert_int_equal(size_of(device, 1), 1);
	assert_int_equal(size_of(device, 2), UINT64_C(3) << 40);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x10, 4), 0x1f1);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x14, 4), 0x3f5);
	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0x18, 4), 0xc);
	bk_device_close(device);
}

static void a_chain_that_loops_or_leaves_is_no_trouble(void **state)
{
	char text[] = WIFI FULL "100: 01 00 01 10 00 00 00 00 00 00 00 00 00 00 00 00\n";
	struct bk_device *device;

	memcpy(strstr(text, "70: 10 00") + 4, "10 40", 5); /* back to the start */
	device = opened(text, NULL);
	assert_int_equal(vectors(device, BK_DEVICE_MSIX), 129);
	bk_device_close(device);
	memcpy(strstr(text, "40: 01 50") + 4, "01 ff", 5);
	device = opened(text, NULL);
	assert_int_equal(vectors(device, BK_DEVICE_MSIX), 0);
	bk_device_close(device);
}

/* ---- Interrupts and DMA ------------------------------------------------- */

static void interrupts_can_be_asked_for_one_kind_at_a_time(void **state)
{
	struct bk_device *device = opened(WIFI FULL, NULL);
	const int fds[2] = { -1, -1 };

	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 127, 2, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_ERR, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 128, 2, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), -ENOTTY);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, NULL), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, NULL),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, BK_DEVICE_IRQ_MASK, 0, 1, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_INTX, (enum bk_device_irq_action)9, 0, 1, NULL),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_IRQS, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL),
			 -EINVAL);
	bk_device_close(device);
}

static void dma_maps_are_kept_apart(void **state)
{
	struct bk_device *device = opened(WIFI FULL, NULL);
	const struct bk_device_dma dma = { .iova = 0x1000, .size = 0x2000, .fd = -1 };
	struct bk_error err;

	assert_int_equal(bk_device_dma_map(device, &dma, &err), 0);
	assert_int_equal(bk_device_dma_map(device, &dma, &err), -EEXIST);
	assert_string_equal(
		err.text,
		"dump:x.txt: DMA range 0x1000+0x2000 overlaps one that is mapped; unmap that first");
	assert_int_equal(bk_device_dma_unmap(device, 0x1000, 0x1000), -ENOENT);
	assert_int_equal(bk_device_dma_unmap(device, 0x1000, 0x2000), 0);
	bk_device_close(device);
}

/* ---- Files -------------------------------------------------------------- */

static void one_of_several_functions_is_named(void **state)
{
	static const char two[] = WIFI FULL "\n10000:02:00.0 Non-Volatile memory controller\n" HEADER
					    "\n00:1f.3 not dumped\n\tRegion 0: Memory at 1000 [size=4K]\n";
	struct bk_device *device = opened(two, "10000:02:00.0");

	assert_int_equal(size_of(device, 0), 0); /* the other's Region lines are not its own */
	bk_device_close(device);
	refuse(two, NULL, EINVAL,
	       "x.txt: it has 2 functions: say which with function=: 0000:02:00.0, 10000:02:00.0");
	refuse(two, "0000:00:1f.3", ENOENT,
	       "x.txt: there is no 0000:00:1f.3 with its config space in it; there are 0000:02:00.0, "
	       "10000:02:00.0");
	/* A report has the same function before and after something. */
	logged[0] = 0;
	bk_log_set(keep, NULL);
	device = opened(WIFI FULL WIFI HEADER, "0000:02:00.0");
	bk_log_set(NULL, NULL);
	assert_int_equal(size_of(device, BK_DEVICE_CONFIG), 256);
	assert_int_equal(vectors(device, BK_DEVICE_MSIX), 129);
	assert_string_equal(logged,
			    "x.txt: 0000:02:00.0 is in it 2 times; the first one is taken, in line 1\n");
	bk_device_close(device);
}

static void quoted_text_is_read(void **state)
{
	struct bk_device *device = opened("> \t02:00.0 x\r\n"
					  ">   Region 0: Memory at df200000 (64-bit) [size=2M]\r\n"
					  ">   00: 8C 16 3e 00 06 04 10 00 32 00 80 02 10 00 00 00 \r\n"
					  ">   10: 04 00 20 df 00 00 00 00 00 00 00 00 00 00 00 00\r\n"
					  ">   20: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\r\n"
					  ">   30: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
					  NULL);

	assert_int_equal(get(device, BK_DEVICE_CONFIG, 0, 4), 0x003e168c);
	assert_int_equal(size_of(device, 0), 2 << 20);
	bk_device_close(device);
}

static void text_that_was_copied_badly_is_told_with_its_line(void **state)
{
	static const char nothing[] = "x.txt: no function with its config space is in it; print one with "
				      "lspci -vvxxxx, as root";

	refuse("", NULL, EINVAL, nothing);
	refuse("hello\nworld", NULL, EINVAL, nothing);
	refuse(HEADER, NULL, EINVAL, nothing); /* whose bytes are these? */
	refuse("02:00.0 x\n", NULL, EINVAL, nothing);
	refuse("02:20.0 x\n" HEADER, NULL, EINVAL, nothing);
	refuse("02:00.8 x\n" HEADER, NULL, EINVAL, nothing);
	refuse("02:00.0x\n" HEADER, NULL, EINVAL, nothing);
	refuse("000000002:02:00.0 x\n" HEADER, NULL, EINVAL, nothing);
	refuse("02:00.0 x\n00: 8c 16 3e\n", NULL, EINVAL,
	       "x.txt:2: the line has 3 bytes of config space; lspci prints 16");
	refuse("02:00.0 x\n00: 8c 16 3e zz 00\n", NULL, EINVAL,
	       "x.txt:2: behind 3 bytes of config space stands \"zz 00\"");
	refuse("02:00.0 x\n00: 8c 16 3e0 00\n", NULL, EINVAL,
	       "x.txt:2: behind 2 bytes of config space stands \"3e0 00\"");
	refuse("02:00.0 x\n00: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n", NULL, EINVAL,
	       "x.txt:2: behind 16 bytes of config space stands \"00\"");
	refuse("02:00.0 x\n" HEADER ZEROS("50"), NULL, EINVAL,
	       "x.txt:6: bytes at 0x50 of config space follow, where 0x40 is next: a line is missing or "
	       "stands twice");
	refuse("02:00.0 x\n" HEADER ZEROS("30"), NULL, EINVAL,
	       "x.txt:6: bytes at 0x30 of config space follow, where 0x40 is next: a line is missing or "
	       "stands twice");
	refuse("02:00.0 x\n" ZEROS("00") ZEROS("10") ZEROS("20"), NULL, EINVAL,
	       "x.txt:1: 0000:02:00.0 has 48 bytes of config space; 64 are the least (lspci -x)");
	refuse("02:00.0 x\nRegion 0: Memory at 0 [size=99999999999999999999]\n" HEADER, NULL, EINVAL,
	       "x.txt:2: this size is none; it has to be as in [size=16K]");
	refuse("02:00.0 x\nRegion 0: Memory at 0 [size=16X]\n" HEADER, NULL, EINVAL,
	       "x.txt:2: this size is none; it has to be as in [size=16K]");
	refuse("02:00.0 x\nRegion 0: Memory at 0 [size=\n" HEADER, NULL, EINVAL,
	       "x.txt:2: this size is none; it has to be as in [size=16K]");
	refuse("02:00.0 x\nExpansion ROM at 0 [size=99E]\n" HEADER, NULL, EINVAL,
	       "x.txt:2: this size is none; it has to be as in [size=16K]");
}

/* What is wrong with another function is no reason. */
static void mistakes_elsewhere_do_not_matter(void **state)
{
	struct bk_device *device =
		opened("01:00.0 cut off\n00: 8c 16\n" WIFI "\tRegion 9: Memory at 0 [size=4K]\n\tRegion\n"
		       "\tRegion 1 is [size=7]\n\tExpansion ROM at\n" FULL,
		       "0000:02:00.0");

	assert_int_equal(size_of(device, 0), 2 << 20);
	assert_int_equal(size_of(device, 1), 0);
	bk_device_close(device);
}

static void a_long_list_of_functions_is_cut(void **state)
{
	static char text[64 * (sizeof(HEADER) + 16)];
	struct bk_device *device;
	struct bk_error err;

	for (unsigned i = 0; i < 32; i++)
		sprintf(text + strlen(text), "%02x:00.0 x\n" HEADER, i);
	assert_int_equal(open_text(text, NULL, &device, &err), -EINVAL);
	assert_non_null(strstr(err.text, "it has 32 functions"));
	assert_string_equal(err.text + strlen(err.text) - 5, ", ...");
	assert_null(strstr(err.text, "... ,"));
}

/* ---- Opening by name ---------------------------------------------------- */

static char path[] = "/tmp/barkeep-dump-XXXXXX";

static int write_file(void **state)
{
	FILE *file;
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	file = fdopen(fd, "w");
	fputs(WIFI FULL "\n03:00.0 y\n" HEADER, file);
	*state = bk_device_context_create();
	return fclose(file);
}

static int remove_file(void **state)
{
	bk_device_context_destroy(*state);
	return remove(path);
}

static int open_spec(struct bk_device_context *context, const char *options, struct bk_device **device,
		     struct bk_error *err)
{
	char spec[128];

	snprintf(spec, sizeof(spec), "dump:%s%s", path, options);
	return bk_device_open(context, spec, device, err);
}

static void options_choose_the_function_and_sizes(void **state)
{
	struct bk_device *device;
	struct bk_error err;
	char name[128];

	bk_log_set(keep, NULL);
	if (open_spec(*state, ",function=3:00.0", &device, &err) != -EINVAL ||
	    !strstr(err.text, "function=3:00.0: not a PCI address, as in function=02:00.0"))
		fail_msg("%s", err.text);
	if (open_spec(*state, ",function=0000:03:00.0,bar0=0x1000,bar4=1,bar0=16K,bar5=0", &device, &err))
		fail_msg("%s", err.text);
	bk_log_set(NULL, NULL);
	snprintf(name, sizeof(name), "dump:%s,function=0000:03:00.0,bar0=0x1000,bar4=1,bar0=16K,bar5=0",
		 path);
	assert_string_equal(device->name, name);
	assert_int_equal(size_of(device, 0), 16 << 10);
	assert_int_equal(size_of(device, 4), 1);
	assert_int_equal(size_of(device, 5), 0);
	bk_device_close(device);
	if (open_spec(*state, ",function=02:00.0,bar0=0", &device, &err))
		fail_msg("%s", err.text);
	assert_int_equal(size_of(device, 0), 0);
	bk_device_close(device);
}

static void wrong_options_are_told(void **state)
{
	static const struct {
		const char *options, *line;
	} cases[] = {
		{ ",colour=red", "this kind of device has no option `colour`; it has bar0, bar1, bar2, bar3, "
				 "bar4, bar5 and function" },
		{ ",bar6=4K", "this kind of device has no option `bar6`" },
		{ ",function", "`function` is not of the form key=value" },
		{ ",function=02:00.0,bar0=4Q", "bar0=4Q: give a size in bytes, as in bar0=16K" },
		{ ",function=02:00.0,bar0=010", "bar0=010: give a size in bytes, as in bar0=16K" },
		{ ",function=02:00.0,bar0=9000000T", "bar0=9000000T: give a size in bytes" },
		{ ",function=04:00.0", "there is no 0000:04:00.0" },
	};
	struct bk_device *device;
	struct bk_error err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(open_spec(*state, cases[i].options, &device, &err) < 0);
		if (device || !strstr(err.text, cases[i].line))
			fail_msg("%s", err.text);
	}
	assert_int_equal(bk_device_open(*state, "dump:", &device, &err), -EINVAL);
	assert_string_equal(err.text, "dump:: names no file; write dump:FILE, what lspci -vvxxxx printed");
	assert_int_equal(bk_device_open(*state, "dump:/nonexistent/x", &device, &err), -ENOENT);
	assert_string_equal(err.text, "/nonexistent/x: cannot be opened: No such file or directory");
	assert_int_equal(bk_device_open(*state, "dump:/tmp", &device, &err), -EINVAL);
	assert_string_equal(err.text, "/tmp: not a regular file");
	assert_int_equal(bk_device_open(*state, "sim:x,a=b", &device, &err), -EINVAL);
	assert_string_equal(err.text, "sim:x,a=b: this kind of device has no option `a`; it has none");
}

static void say(void *opaque, const char *key, const char *value)
{
	sprintf((char *)opaque + strlen(opaque), "%s=%s;", key, value);
}

static void it_says_where_it_comes_from(void **state)
{
	struct bk_device *device;
	struct bk_error err;
	char text[1024] = "", wanted[1024];

	assert_int_equal(open_spec(*state, ",function=02:00.0", &device, &err), 0);
	bk_device_describe(device, say, text);
	snprintf(wanted, sizeof(wanted),
		 "file=%s;function=0000:02:00.0;title=Network controller [0280]: Qualcomm Atheros QCA6174 "
		 "[168c:003e] (rev 32);config space=256 bytes dumped;registers=none: BARs read all ones;",
		 path);
	assert_string_equal(text, wanted);
	bk_device_close(device);
}

/* ---- Kinds -------------------------------------------------------------- */

static int open_own(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		    struct bk_device **device, struct bk_error *err)
{
	assert_non_null(context);
	*device = opaque;
	return bk_fail(err, 0, "%s|%s", spec, text);
}

static void an_embedder_adds_its_own_kind(void **state)
{
	struct bk_device mine, *device;
	struct bk_error err;
	char name[16];

	assert_int_equal(bk_device_open(*state, "tape:a:b,c=d", &device, &err), -EINVAL);
	assert_string_equal(err.text,
			    "tape:a:b,c=d: no such kind of device; there are vfio, sim, dump and vfio-user, "
			    "as in vfio:DDDD:BB:SS.F or sim:FILE");
	assert_int_equal(bk_device_context_add_kind(*state, "tape", open_own, &mine), 0);
	assert_int_equal(bk_device_open(*state, "tape:a:b,c=d", &device, &err), 0);
	assert_ptr_equal(device, &mine);
	assert_string_equal(err.text, "tape:a:b,c=d|a:b,c=d");
	assert_int_equal(bk_device_context_add_kind(*state, "tape", open_own, NULL), -EEXIST);
	assert_int_equal(bk_device_context_add_kind(*state, "sim", open_own, NULL), -EEXIST);
	assert_int_equal(bk_device_context_add_kind(*state, "", open_own, NULL), -EINVAL);
	assert_int_equal(bk_device_context_add_kind(*state, "a:b", open_own, NULL), -EINVAL);
	assert_int_equal(bk_device_context_add_kind(*state, "Tape", open_own, NULL), -EINVAL);
	assert_int_equal(
		bk_device_context_add_kind(*state, "a23456789b123456789c123456789d12", open_own, NULL),
		-EINVAL);
	assert_int_equal(bk_device_context_add_kind(*state, "none", NULL, NULL), -EINVAL);
	for (unsigned i = 5; i < 64; i++) {
		snprintf(name, sizeof(name), "kind%u", i);
		assert_int_equal(bk_device_context_add_kind(*state, name, open_own, NULL), 0);
	}
	assert_int_equal(bk_device_context_add_kind(*state, "kind64", open_own, NULL), -ENOSPC);
}

/* ---- Numbers ------------------------------------------------------------ */

static void numbers_are_decimal_or_0x(void **state)
{
	static const char *const none[] = { "",
					    "0x",
					    "010",
					    "00",
					    "-1",
					    "+1",
					    " 1",
					    "1 ",
					    "0x1g",
					    "1K",
					    "1e3",
					    "18446744073709551616",
					    "0x10000000000000000",
					    "abc" };
	uint64_t value;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (bk__base_number(none[i], &value))
			fail_msg("%s", none[i]);
	assert_true(bk__base_number("0", &value) && !value);
	assert_true(bk__base_number("0X1f", &value) && value == 0x1f);
	assert_true(bk__base_number("18446744073709551615", &value) && value == UINT64_MAX);
	assert_true(bk__base_size("0x10k", &value) && value == 0x4000);
	assert_true(bk__base_size("16T", &value) && value == UINT64_C(16) << 40);
	assert_true(bk__base_size("7", &value) && value == 7);
	assert_false(bk__base_size("16777216T", &value));
	assert_false(bk__base_size("1KB", &value));
	assert_false(bk__base_size("1Q", &value));
	assert_false(bk__base_size("K", &value));
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, write_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_space_is_as_dumped_and_bars_have_the_sizes_of_their_lines),
		cmocka_unit_test(extended_config_space_makes_4096_bytes),
		cmocka_unit_test(nothing_is_behind_the_bars),
		cmocka_unit_test(registers_in_config_space_are_memory_until_a_reset),
		cmocka_unit_test(a_virtual_function_gets_its_ids_and_bars_from_the_text),
		cmocka_unit_test(what_was_not_dumped_is_left_out_with_a_line),
		cmocka_unit_test(sizes_are_taken_as_they_stand),
		cmocka_unit_test(a_chain_that_loops_or_leaves_is_no_trouble),
		cmocka_unit_test(interrupts_can_be_asked_for_one_kind_at_a_time),
		cmocka_unit_test(dma_maps_are_kept_apart),
		cmocka_unit_test(one_of_several_functions_is_named),
		cmocka_unit_test(quoted_text_is_read),
		cmocka_unit_test(text_that_was_copied_badly_is_told_with_its_line),
		cmocka_unit_test(mistakes_elsewhere_do_not_matter),
		cmocka_unit_test(a_long_list_of_functions_is_cut),
		FILE_TEST(options_choose_the_function_and_sizes),
		FILE_TEST(wrong_options_are_told),
		FILE_TEST(it_says_where_it_comes_from),
		FILE_TEST(an_embedder_adds_its_own_kind),
		cmocka_unit_test(numbers_are_decimal_or_0x),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
