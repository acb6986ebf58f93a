/* SPDX-License-Identifier: BSD-2-Clause */
/* Which address an instruction means to access, linear and physical: for those that KVM can neither run nor
 * emulate. */
#include "monitor/x86/fault.h"

#include <linux/kvm.h>

#define CR0_PG   (UINT64_C(1) << 31)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LMA (UINT64_C(1) << 10)

/* Tables of Intel's SDM, volume 2: a bit for every opcode that is followed by ModRM. */
static const uint16_t one_byte_modrm[16] = {
	0x0f0f, 0x0f0f, 0x0f0f, 0x0f0f, 0, 0, 0x0a0c, 0, 0xffff, 0, 0, 0, 0x00f3, 0xff0f, 0, 0xc0c0,
};
static const uint16_t two_byte_modrm[16] = {
	0xa00f, 0xffff, 0xff0f, 0x0000, 0xffff, 0xffff, 0xffff, 0xff7f,
	0x0000, 0xffff, 0xf838, 0xffff, 0x00ff, 0xffff, 0xffff, 0xffff,
};

enum map { ONE_BYTE, TWO_BYTE, MAP_38, MAP_3A };

struct insn {
	const uint8_t *next, *end;
	bool long_mode;
	bool operand16, address_prefix;
	bool evex;
	unsigned vector;       /* bytes of an EVEX vector, by which its 8-bit displacement is scaled */
	uint8_t segment;       /* prefix, or 0 */
	unsigned rex_x, rex_b; /* 8 or 0: bit 3 of index and base */
	enum map map;
	uint8_t opcode;
};

static bool fetch(struct insn *insn, uint8_t *byte)
{
	if (insn->next == insn->end)
		return false;
	*byte = *insn->next++;
	return true;
}

static bool fetch_signed(struct insn *insn, unsigned bytes, int64_t *value)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte;

		if (!fetch(insn, &byte))
			return false;
		bits |= (uint32_t)byte << (8 * i);
	}
	*value = bytes == 1 ? (int8_t)bits : bytes == 4 ? (int32_t)bits : 0;
	return true;
}

/* VEX and EVEX hold the inverted REX bits and the map; EVEX has 4 bytes in all. */
static bool fetch_vector_prefix(struct insn *insn, uint8_t prefix)
{
	uint8_t first, second, third = 0;

	if (!fetch(insn, &first))
		return false;
	insn->map = TWO_BYTE;
	if (prefix == 0xc5)
		return true;
	if (!fetch(insn, &second) || (prefix == 0x62 && !fetch(insn, &third)))
		return false;
	insn->rex_x = first & 0x40 ? 0 : 8;
	insn->rex_b = first & 0x20 ? 0 : 8;
	switch (first & (prefix == 0x62 ? 7 : 31)) {
	case 1:
		break;
	case 2:
		insn->map = MAP_38;
		break;
	case 3:
		insn->map = MAP_3A;
		break;
	default:
		return false;
	}
	insn->evex = prefix == 0x62;
	insn->vector = 16u << (third >> 5 & 3);
	return true;
}

static bool fetch_opcode(struct insn *insn)
{
	uint8_t byte;

	for (;;) {
		if (!fetch(insn, &byte))
			return false;
		if (byte == 0x66)
			insn->operand16 = true;
		else if (byte == 0x67)
			insn->address_prefix = true;
		else if (byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 ||
			 byte == 0x65)
			insn->segment = byte;
		else if (byte != 0xf0 && byte != 0xf2 && byte != 0xf3)
			break;
	}
	if (insn->long_mode && (byte & 0xf0) == 0x40) {
		insn->rex_x = byte & 2 ? 8 : 0;
		insn->rex_b = byte & 1 ? 8 : 0;
		if (!fetch(insn, &byte))
			return false;
	}
	/* Outside of long mode these are LES, LDS and BOUND unless what follows would name two registers. */
	if ((byte == 0xc4 || byte == 0xc5 || byte == 0x62) &&
	    (insn->long_mode || (insn->next < insn->end && *insn->next >= 0xc0))) {
		if (!fetch_vector_prefix(insn, byte))
			return false;
		return fetch(insn, &insn->opcode);
	}
	insn->map = ONE_BYTE;
	insn->opcode = byte;
	if (byte != 0x0f)
		return true;
	insn->map = TWO_BYTE;
	if (!fetch(insn, &insn->opcode))
		return false;
	if (insn->opcode != 0x38 && insn->opcode != 0x3a)
		return true;
	insn->map = insn->opcode == 0x38 ? MAP_38 : MAP_3A;
	return fetch(insn, &insn->opcode);
}

static bool has_modrm(const struct insn *insn)
{
	const uint16_t *table = insn->map == ONE_BYTE ? one_byte_modrm : two_byte_modrm;

	return insn->map >= MAP_38 || (table[insn->opcode >> 4] >> (insn->opcode & 15) & 1);
}

/* Bytes that follow the operand; an address relative to RIP counts from after them. */
static unsigned immediate_bytes(const struct insn *insn, unsigned reg)
{
	const unsigned wide = insn->operand16 ? 2 : 4;
	const uint8_t op = insn->opcode;

	switch (insn->map) {
	case MAP_38:
		return 0;
	case MAP_3A:
		return 1;
	case TWO_BYTE:
		return (op >= 0x70 && op <= 0x73) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 ||
		       (op >= 0xc4 && op <= 0xc6);
	case ONE_BYTE:
		break;
	}
	switch (op) {
	case 0x6b:
	case 0x80:
	case 0x82:
	case 0x83:
	case 0xc0:
	case 0xc1:
	case 0xc6:
		return 1;
	case 0x69:
	case 0x81:
	case 0xc7:
		return wide;
	case 0xf6:
		return reg < 2 ? 1 : 0;
	case 0xf7:
		return reg < 2 ? wide : 0;
	default:
		return 0;
	}
}

static uint64_t general(const struct kvm_regs *regs, unsigned number)
{
	const uint64_t values[16] = { regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp,
				      regs->rsi, regs->rdi, regs->r8,  regs->r9,  regs->r10, regs->r11,
				      regs->r12, regs->r13, regs->r14, regs->r15 };

	return values[number & 15];
}

static uint64_t segment_base(const struct insn *insn, const struct kvm_sregs *sregs, bool stack)
{
	switch (insn->segment) {
	case 0x64:
		return sregs->fs.base;
	case 0x65:
		return sregs->gs.base;
	default:
		break;
	}
	if (insn->long_mode)
		return 0;
	switch (insn->segment) {
	case 0x26:
		return sregs->es.base;
	case 0x2e:
		return sregs->cs.base;
	case 0x36:
		return sregs->ss.base;
	case 0x3e:
		return sregs->ds.base;
	default:
		return stack ? sregs->ss.base : sregs->ds.base;
	}
}

bool bk__monitor_fault_operand(const uint8_t *bytes, size_t count, const struct kvm_regs *regs,
			       const struct kvm_sregs *sregs, uint64_t *linear)
{
	struct insn insn = { .next = bytes, .end = bytes + count, .long_mode = sregs->cs.l };
	uint8_t modrm, sib = 0;
	unsigned mod, base;
	uint64_t address = 0;
	int64_t displacement = 0;
	bool stack = false;

	if (!insn.long_mode && !sregs->cs.db)
		return false;
	if (!fetch_opcode(&insn) || !has_modrm(&insn) || !fetch(&insn, &modrm))
		return false;
	if (!insn.long_mode && insn.address_prefix)
		return false;
	mod = modrm >> 6;
	base = modrm & 7;
	if (mod == 3)
		return false;
	if (base == 4) {
		if (!fetch(&insn, &sib))
			return false;
		base = sib & 7;
		if (((sib >> 3 & 7) | insn.rex_x) != 4)
			address = general(regs, (sib >> 3 & 7) | insn.rex_x) << (sib >> 6);
	}
	if (!fetch_signed(&insn, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0, &displacement))
		return false;
	if (mod == 1 && insn.evex)
		displacement *= (int)insn.vector;
	if (mod != 0 || base != 5) {
		address += general(regs, base | insn.rex_b);
		stack = base == 4 || base == 5;
	} else if (insn.long_mode && (modrm & 7) == 5) {
		address = regs->rip + (uint64_t)(insn.next - bytes) + immediate_bytes(&insn, modrm >> 3 & 7);
	}
	address += (uint64_t)displacement;
	if (!insn.long_mode || insn.address_prefix)
		address = (uint32_t)address;
	address += segment_base(&insn, sregs, stack);
	*linear = insn.long_mode ? address : (uint32_t)address;
	return true;
}

/* Intel SDM volume 3, 4.5: four levels, five with CR4.LA57. */
bool bk__monitor_fault_walk(const struct bk__monitor_ram *ram, const struct kvm_sregs *sregs, uint64_t linear,
			    uint64_t *gpa)
{
	const uint64_t address = UINT64_C(0x000ffffffffff000), present = 1, large = 0x80;
	uint64_t entry = sregs->cr3;

	if (!(sregs->efer & EFER_LMA) || !(sregs->cr0 & CR0_PG))
		return false;
	for (unsigned level = sregs->cr4 & CR4_LA57 ? 5 : 4; level; level--) {
		const unsigned shift = 12 + 9 * (level - 1);
		const volatile uint64_t *at = bk__monitor_ram_at(
			ram, (entry & address) + (linear >> shift & 511) * sizeof(entry), sizeof(entry));

		if (!at)
			return false;
		entry = *at;
		if (!(entry & present))
			return false;
		if (level == 1 || (level <= 3 && entry & large)) {
			const uint64_t inside = (UINT64_C(1) << shift) - 1;

			*gpa = (entry & address & ~inside) | (linear & inside);
			return true;
		}
	}
	return false;
}
