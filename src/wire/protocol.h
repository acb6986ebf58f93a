/* SPDX-License-Identifier: BSD-2-Clause */
/* The numbers and layouts of vfio-user: docs/interop/vfio-user.rst of QEMU, versions 0.0 to 0.2. */
#ifndef BK_WIRE_PROTOCOL_H
#define BK_WIRE_PROTOCOL_H

#include <stdint.h>

/* Integers are in the host's byte order. A message may start at any byte of a buffer: copy structures out. */

enum {
	BK__WIRE_VERSION = 1,
	BK__WIRE_DMA_MAP = 2,
	BK__WIRE_DMA_UNMAP = 3,
	BK__WIRE_DEVICE_INFO = 4,
	BK__WIRE_REGION_INFO = 5,
	BK__WIRE_REGION_IO_FDS = 6,
	BK__WIRE_IRQ_INFO = 7,
	BK__WIRE_SET_IRQS = 8,
	BK__WIRE_REGION_READ = 9,
	BK__WIRE_REGION_WRITE = 10,
	BK__WIRE_DMA_READ = 11, /* from the server, as the next */
	BK__WIRE_DMA_WRITE = 12,
	BK__WIRE_RESET = 13,
	BK__WIRE_DIRTY_PAGES = 14, /* retired */
	BK__WIRE_WRITE_MULTI = 15,
	BK__WIRE_FEATURE = 16,
	BK__WIRE_MIG_DATA_READ = 17,
	BK__WIRE_MIG_DATA_WRITE = 18,
	BK__WIRE_COMMANDS = 19,
};

/* Of the header's `flags`. */
enum {
	BK__WIRE_TYPE = 0xf,
	BK__WIRE_COMMAND = 0,
	BK__WIRE_REPLY = 1,
	BK__WIRE_NO_REPLY = 0x10,
	BK__WIRE_ERROR = 0x20,
	BK__WIRE_KNOWN_FLAGS = 0x3f,
};

struct bk__wire_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the message, with the header */
	uint32_t flags;
	uint32_t error; /* positive errno of an error reply */
};

enum {
	BK__WIRE_MAJOR = 0,
	BK__WIRE_MINOR = 2,
	BK__WIRE_FDS = 16,                     /* that we take in one message, and say so */
	BK__WIRE_FDS_ANYHOW = 253,             /* the kernel's limit */
	BK__WIRE_DATA = 1 << 20,               /* of a transfer, unless agreed otherwise */
	BK__WIRE_MESSAGE = BK__WIRE_DATA + 32, /* the largest message with that */
	BK__WIRE_MAPS = 65535,
	BK__WIRE_PAGE = 4096,
};

struct bk__wire_version_header {
	uint16_t major, minor; /* JSON text follows */
};

enum {
	BK__WIRE_MAP_READ = 1,
	BK__WIRE_MAP_WRITE = 2,
	BK__WIRE_MAP_MMAP = 4,    /* since 0.2 */
	BK__WIRE_MAP_FILE_IO = 8, /* since 0.2 */
};

struct bk__wire_dma_map {
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

enum {
	BK__WIRE_UNMAP_BITMAP = 1,
	BK__WIRE_UNMAP_ALL = 2,
};

struct bk__wire_dma_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};

enum {
	BK__WIRE_DEVICE_RESETS = 1,
	BK__WIRE_DEVICE_PCI = 2,
};

struct bk__wire_device_info {
	uint32_t argsz, flags, regions, irqs;
};

enum {
	BK__WIRE_REGION_READS = 1,
	BK__WIRE_REGION_WRITES = 2,
	BK__WIRE_REGION_MMAPS = 4,
	BK__WIRE_REGION_CAPS = 8,
};

struct bk__wire_region_info {
	uint32_t argsz, flags, index;
	uint32_t cap_offset; /* from the start of this structure; 0: no capability */
	uint64_t size, offset;
};

enum {
	BK__WIRE_CAP_SPARSE = 1,
	BK__WIRE_CAP_TYPE = 2,
	BK__WIRE_CAP_MSIX = 3, /* the MSI-X table may be mapped */
};

struct bk__wire_cap {
	uint16_t id, version;
	uint32_t next; /* as cap_offset */
};

struct bk__wire_cap_sparse {
	struct bk__wire_cap cap;
	uint32_t count, reserved; /* areas follow */
};

struct bk__wire_area {
	uint64_t offset, size;
};

struct bk__wire_io_fds {
	uint32_t argsz, flags, index, count; /* in the reply sub-regions follow */
};

enum {
	BK__WIRE_IOEVENTFD = 0,
	BK__WIRE_IOREGIONFD = 1,
};

/* Flags of an ioeventfd: those of KVM_IOEVENTFD. */
enum {
	BK__WIRE_IOEVENTFD_DATAMATCH = 1, /* writes of `datamatch` only */
	BK__WIRE_IOEVENTFD_PIO = 2,
};

/* Of an ioeventfd, as the text has it. */
struct bk__wire_io_fd {
	uint64_t offset, size; /* size 0: a write of any width */
	uint32_t fd_index, type, flags, padding;
	uint64_t datamatch;
};

struct bk__wire_irq_info {
	uint32_t argsz, flags, index, count;
};

enum {
	BK__WIRE_IRQ_EVENTFD = 1,
	BK__WIRE_IRQ_MASKABLE = 2,
	BK__WIRE_IRQ_AUTOMASKED = 4,
	BK__WIRE_IRQ_NORESIZE = 8,
};

enum {
	BK__WIRE_IRQ_NONE = 1, /* one of these three */
	BK__WIRE_IRQ_BOOL = 2,
	BK__WIRE_IRQ_FDS = 4,
	BK__WIRE_IRQ_MASK = 8, /* and one of these */
	BK__WIRE_IRQ_UNMASK = 16,
	BK__WIRE_IRQ_TRIGGER = 32,
};

struct bk__wire_set_irqs {
	uint32_t argsz, flags, index, start, count; /* BOOL: a byte a vector follows */
};

/* Of REGION_READ and REGION_WRITE and their replies; data follow. */
struct bk__wire_region_access {
	uint64_t offset;
	uint32_t region, count;
};

/* Of DMA_READ and DMA_WRITE and their replies; data follow. */
struct bk__wire_dma_access {
	uint64_t address, count;
};

struct bk__wire_write_multi {
	uint64_t count; /* writes follow */
};

struct bk__wire_write {
	uint64_t offset;
	uint32_t region, count; /* count: 1 to 8 */
	uint8_t data[8];
};

enum {
	BK__WIRE_FEATURE_MASK = 0xffff,
	BK__WIRE_FEATURE_GET = 1 << 16,
	BK__WIRE_FEATURE_SET = 1 << 17,
	BK__WIRE_FEATURE_PROBE = 1 << 18,
};

struct bk__wire_feature {
	uint32_t argsz, flags; /* data follow */
};

struct bk__wire_mig_data {
	uint32_t argsz, size; /* data follow */
};

#endif
