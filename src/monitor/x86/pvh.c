/* SPDX-License-Identifier: BSD-2-Clause */
/* An ELF kernel by its PVH note: Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h. */
#include "monitor/x86/image.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NOTE_PHYS32_ENTRY 18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_NAME         "Xen"
#define NOTES_MAX         0x10000u /* bytes of a note segment that are looked at */
#define START_MAGIC       0x336ec578u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};

bool bk__monitor_pvh_match(const uint8_t *bytes, size_t count)
{
	return count >= SELFMAG && !memcmp(bytes, ELFMAG, SELFMAG);
}

/* True if the note was found; `notes` is `size` bytes of a PT_NOTE segment, aligned to `align`. */
static bool find_entry(const uint8_t *notes, uint64_t size, uint64_t align, uint64_t *entry)
{
	uint64_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t name, desc, next;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		desc = (name + note.n_namesz + align - 1) & ~(align - 1);
		next = (desc + note.n_descsz + align - 1) & ~(align - 1);
		if (desc > size || note.n_descsz > size - desc)
			return false;
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_NAME) &&
		    !memcmp(notes + name, NOTE_NAME, sizeof(NOTE_NAME)) &&
		    (note.n_descsz == 4 || note.n_descsz == 8)) {
			*entry = 0;
			memcpy(entry, notes + desc, note.n_descsz);
			return true;
		}
		if (next > size)
			return false;
		at = next;
	}
	return false;
}

static int read_notes(const struct bk__monitor_file *file, const Elf64_Phdr *segment, bool *found,
		      uint64_t *entry, struct bk_error *err)
{
	uint64_t size = segment->p_filesz < NOTES_MAX ? segment->p_filesz : NOTES_MAX;
	uint8_t notes[NOTES_MAX];
	int rc = bk__monitor_file_read(file, segment->p_offset, notes, size, err);

	if (!rc)
		*found = find_entry(notes, size, segment->p_align == 8 ? 8 : 4, entry);
	return rc;
}

static int add_segment(const struct bk__monitor_file *file, const Elf64_Phdr *header,
		       struct bk__monitor_image *image, struct bk_error *err)
{
	struct bk__monitor_segment segment = { header->p_paddr, header->p_memsz, header->p_offset,
					       header->p_filesz };

	if (!segment.size)
		return 0;
	if (segment.file_size > segment.size)
		return bk_fail(err, ENOEXEC, "%s: a segment is larger in the file than in memory",
			       file->name);
	if (segment.gpa < BK__KERNEL_MIN || segment.gpa > BK__RAM_LOW_END ||
	    segment.size > BK__RAM_LOW_END - segment.gpa)
		return bk_fail(err, ENOEXEC,
			       "%s: it wants %" PRIu64 " bytes at 0x%" PRIx64 ", where no kernel can be",
			       file->name, segment.size, segment.gpa);
	if (image->segments == BK__SEGMENTS)
		return bk_fail(err, ENOEXEC, "%s: more than %d segments to load", file->name, BK__SEGMENTS);
	/* Segments that overlap would also make the work of loading unbounded. */
	for (unsigned i = 0; i < image->segments; i++) {
		const struct bk__monitor_segment *other = &image->segment[i];

		if (segment.gpa < other->gpa + other->size && other->gpa < segment.gpa + segment.size)
			return bk_fail(err, ENOEXEC, "%s: its segments overlap at 0x%" PRIx64, file->name,
				       segment.gpa);
	}
	if (segment.gpa + segment.size > image->end)
		image->end = segment.gpa + segment.size;
	image->segment[image->segments++] = segment;
	return 0;
}

static bool holds_entry(const struct bk__monitor_image *image)
{
	for (unsigned i = 0; i < image->segments; i++)
		if (image->entry >= image->segment[i].gpa &&
		    image->entry - image->segment[i].gpa < image->segment[i].size)
			return true;
	return false;
}

static int check_program_header(const struct bk__monitor_file *file, const Elf64_Phdr *header, bool *found,
				struct bk__monitor_image *image, struct bk_error *err)
{
	if (header->p_type != PT_LOAD && header->p_type != PT_NOTE)
		return 0;
	if (header->p_offset > file->size || header->p_filesz > file->size - header->p_offset)
		return bk_fail(
			err, ENOEXEC,
			"%s: truncated: %" PRIu64 " bytes are there, a segment is at %" PRIu64 " + %" PRIu64,
			file->name, file->size, (uint64_t)header->p_offset, (uint64_t)header->p_filesz);
	if (header->p_type == PT_LOAD)
		return add_segment(file, header, image, err);
	return *found ? 0 : read_notes(file, header, found, &image->entry, err);
}

int bk__monitor_pvh_check(const struct bk__monitor_file *file, struct bk__monitor_image *image,
			  struct bk_error *err)
{
	Elf64_Ehdr elf;
	bool found = false;
	int rc;

	if (file->size < sizeof(elf))
		return bk_fail(err, ENOEXEC, "%s: too short to be a kernel (%" PRIu64 " bytes)", file->name,
			       file->size);
	rc = bk__monitor_file_read(file, 0, &elf, sizeof(elf), err);
	if (rc)
		return rc;
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf.e_machine != EM_X86_64)
		return bk_fail(err, ENOEXEC, "%s: an ELF file, but not for x86-64", file->name);
	if (elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phoff > file->size ||
	    elf.e_phnum * sizeof(Elf64_Phdr) > file->size - elf.e_phoff)
		return bk_fail(err, ENOEXEC, "%s: truncated: its program headers are not there", file->name);

	image->pvh = true;
	image->initrd_last = UINT32_MAX;
	image->append_max = BK__APPEND_MAX;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		Elf64_Phdr header;

		rc = bk__monitor_file_read(file, elf.e_phoff + i * sizeof(header), &header, sizeof(header),
					   err);
		if (!rc)
			rc = check_program_header(file, &header, &found, image, err);
		if (rc)
			return rc;
	}
	if (!found)
		return bk_fail(err, ENOEXEC,
			       "%s: an ELF file without a PVH entry note: is it a kernel with CONFIG_PVH?",
			       file->name);
	if (!holds_entry(image))
		return bk_fail(err, ENOEXEC, "%s: its PVH entry 0x%" PRIx64 " is in none of its segments",
			       file->name, image->entry);
	return 0;
}

void bk__monitor_pvh_parameters(const struct bk__monitor_handover *handover, uint8_t *low)
{
	uint64_t modules = BK__BOOT_PARAMS + sizeof(struct start_info);
	uint64_t ranges = modules + sizeof(struct module);
	struct module module = { .paddr = handover->initrd, .size = handover->initrd_size };
	struct start_info start = {
		.magic = START_MAGIC,
		.version = 1,
		.nr_modules = handover->initrd_size != 0,
		.modlist_paddr = handover->initrd_size ? modules : 0,
		.cmdline_paddr = BK__BOOT_APPEND,
		.rsdp_paddr = handover->rsdp,
		.memmap_paddr = ranges,
		.memmap_entries = handover->ranges,
	};

	memcpy(low + BK__BOOT_PARAMS, &start, sizeof(start));
	memcpy(low + modules, &module, sizeof(module));
	for (unsigned i = 0; i < handover->ranges; i++) {
		struct memmap range = { .addr = handover->e820[i].addr,
					.size = handover->e820[i].size,
					.type = handover->e820[i].type };

		memcpy(low + ranges + i * sizeof(range), &range, sizeof(range));
	}
}
