/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the x86 monitor that need no KVM: pins of chips, CPUID, instructions, page tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/gsi.h"
#include "monitor/x86/cpuid.h"
#include "monitor/x86/fault.h"

/* ---- Routes ------------------------------------------------------------ */

static void routes_keep_the_pins_of_the_chips(void **state)
{
	struct bk__monitor_routes routes;
	struct kvm_irq_routing *table;
	unsigned pins[KVM_NR_IRQCHIPS][24] = { { 0 } };

	bk__monitor_routes_init(&routes, 4096);
	table = bk__monitor_routes_table(&routes);
	assert_int_equal(table->nr, 16 + 24);
	for (unsigned i = 0; i < table->nr; i++) {
		const struct kvm_irq_routing_entry *entry = &table->entries[i];

		assert_int_equal(entry->type, KVM_IRQ_ROUTING_IRQCHIP);
		pins[entry->u.irqchip.irqchip][entry->u.irqchip.pin]++;
		if (entry->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE)
			assert_int_equal(entry->gsi, entry->u.irqchip.pin + 8);
		else
			assert_int_equal(entry->gsi, entry->u.irqchip.pin);
	}
	for (unsigned i = 0; i < 24; i++) {
		assert_int_equal(pins[KVM_IRQCHIP_IOAPIC][i], 1);
		assert_int_equal(pins[KVM_IRQCHIP_PIC_MASTER][i], i < 8);
		assert_int_equal(pins[KVM_IRQCHIP_PIC_SLAVE][i], i < 8);
	}
	free(table);
	bk__monitor_routes_done(&routes);
}

/* ---- CPUID ------------------------------------------------------------- */

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index) {
			assert_null(found);
			found = &cpuid->entries[i];
		}
	}
	return found;
}

static struct kvm_cpuid2 *sample_cpuid(void)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0, .eax = 0x1f },
		{ .function = 1, .ebx = 0x12340800, .ecx = 1 << 5 | 1 << 21 | 1 << 27 },
		{ .function = 4, .index = 0, .eax = 0xfc004121 },
		{ .function = 4, .index = 3, .eax = 0xfc004163 },
		{ .function = 4, .index = 4 },
		{ .function = 0xb, .index = 0, .ebx = 99 },
		{ .function = 0xd, .index = 0, .eax = 7, .ebx = 0x340, .ecx = 0x340 },
		{ .function = 0x1f, .index = 0, .ebx = 99 },
		{ .function = 0x80000001, .ecx = 1 << 2 | 1 << 22 },
		{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x7007 },
		{ .function = 0x8000001e, .eax = 77, .ebx = 0x105, .ecx = 3 },
	};
	const unsigned count = sizeof(entries) / sizeof(entries[0]);
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + (count + BK__CPUID_ADDED) * sizeof(cpuid->entries[0]));

	cpuid->nent = count;
	memcpy(cpuid->entries, entries, sizeof(entries));
	return cpuid;
}

static void cpuid_tells_each_vcpu_its_apic_id(void **state)
{
	struct kvm_cpuid2 *cpuid = sample_cpuid();

	for (unsigned id = 0; id < 6; id++) { /* again and again on the result */
		bk__monitor_cpuid_fix(cpuid, id, 6, true);
		assert_int_equal(leaf(cpuid, 1, 0)->ebx, id << 24 | 6 << 16 | 0x0800);
		assert_int_equal(leaf(cpuid, 0xb, 0)->edx, id);
		assert_int_equal(leaf(cpuid, 0xb, 0)->ebx, 1);
		assert_int_equal(leaf(cpuid, 0xb, 1)->edx, id);
		assert_int_equal(leaf(cpuid, 0xb, 1)->eax, 3); /* ids of 6 cores take 3 bits */
		assert_int_equal(leaf(cpuid, 0xb, 1)->ebx, 6);
		assert_int_equal(leaf(cpuid, 0xb, 2)->ebx, 0);
		assert_int_equal(leaf(cpuid, 0x8000001e, 0)->eax, id);
		assert_null(leaf(cpuid, 0x1f, 0));
	}
	assert_int_equal(leaf(cpuid, 4, 0)->eax, 0x1c000121); /* a core's own */
	assert_int_equal(leaf(cpuid, 4, 3)->eax, 0x1c014163); /* shared by 6 */
	assert_int_equal(leaf(cpuid, 4, 4)->eax, 0);
	assert_int_equal(leaf(cpuid, 0x80000008, 0)->ecx, 0x3005);
	free(cpuid);
}

static void cpuid_has_what_only_we_can_say(void **state)
{
	struct kvm_cpuid2 *cpuid = sample_cpuid();
	uint32_t features;

	bk__monitor_cpuid_fix(cpuid, 0, 1, true);
	features = leaf(cpuid, 1, 0)->ecx;
	assert_true(features & 1u << 24);  /* TSC deadline */
	assert_true(features & 1u << 31);  /* hypervisor */
	assert_true(features & 1u << 21);  /* x2APIC stays */
	assert_false(features & 1u << 5);  /* VMX */
	assert_false(features & 1u << 27); /* OSXSAVE */
	assert_false(leaf(cpuid, 0x80000001, 0)->ecx & 1u << 2);
	assert_int_equal(leaf(cpuid, 0xd, 0)->ecx, 0x340);
	bk__monitor_cpuid_fix(cpuid, 0, 1, false);
	assert_false(leaf(cpuid, 1, 0)->ecx & 1u << 24);
	assert_int_equal(bk__monitor_cpuid_physical_bits(cpuid), 48);
	free(cpuid);
}

/* ---- Instructions ------------------------------------------------------ */

static const struct kvm_regs regs = {
	.rax = 0x1000,
	.rcx = 0x20,
	.rsp = 0x7000,
	.rbp = 0x8000,
	.rsi = 0xfffffffff000,
	.r8 = 0x55000,
	.r12 = 0x66000,
	.rip = 0x400000,
};

static void operands_of_instructions(void **state)
{
	static const struct {
		const char *text;
		uint8_t bytes[15];
		unsigned count;
		uint64_t linear; /* 0: it has none */
	} cases[] = {
		{ "vmovdqu ymm0, [rsi]", { 0xc5, 0xfe, 0x6f, 0x06 }, 4, 0xfffffffff000 },
		{ "vmovdqu ymm0, [rax+rcx*4+0x10]", { 0xc5, 0xfe, 0x6f, 0x44, 0x88, 0x10 }, 6, 0x1090 },
		{ "movq mm0, [rip+0x100]", { 0x0f, 0x6f, 0x05, 0, 1, 0, 0 }, 7, 0x400107 },
		{ "palignr xmm0, [rip-0x10], 4",
		  { 0x66, 0x0f, 0x3a, 0x0f, 0x05, 0xf0, 0xff, 0xff, 0xff, 4 },
		  10,
		  0x3ffffa },
		{ "test dword [rip], 1", { 0xf7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0 }, 10, 0x40000a },
		{ "not dword [rip]", { 0xf7, 0x15, 0, 0, 0, 0 }, 6, 0x400006 },
		{ "vmovdqu32 zmm0, [rsi+0x40]",
		  { 0x62, 0xf1, 0x7e, 0x48, 0x6f, 0x46, 0x01 },
		  7,
		  0xfffffffff040 },
		{ "movq mm0, [r8-8]", { 0x41, 0x0f, 0x6f, 0x40, 0xf8 }, 5, 0x54ff8 },
		{ "movq mm0, [r12]", { 0x41, 0x0f, 0x6f, 0x04, 0x24 }, 5, 0x66000 },
		{ "vmovups ymm0, [r8+rcx]", { 0xc4, 0xc1, 0x7c, 0x10, 0x04, 0x08 }, 6, 0x55020 },
		{ "movq mm0, fs:[rax]", { 0x64, 0x0f, 0x6f, 0x00 }, 4, 0xf1000 },
		{ "movq mm0, [0x12345678]",
		  { 0x0f, 0x6f, 0x04, 0x25, 0x78, 0x56, 0x34, 0x12 },
		  8,
		  0x12345678 },
		{ "movq mm0, [esi]", { 0x67, 0x0f, 0x6f, 0x06 }, 4, 0xfffff000 },
		{ "fld qword [rsp+8]", { 0xdd, 0x44, 0x24, 0x08 }, 4, 0x7008 },
		{ "movq mm0, mm1", { 0x0f, 0x6f, 0xc1 }, 3, 0 },
		{ "emms", { 0x0f, 0x77 }, 2, 0 },
		{ "cut off before its displacement", { 0x0f, 0x6f, 0x80, 1, 2 }, 5, 0 },
		{ "cut off after VEX", { 0xc5, 0xfe }, 2, 0 },
		{ "nothing", { 0 }, 0, 0 },
	};
	const struct kvm_sregs sregs = { .cs = { .l = 1 }, .fs = { .base = 0xf0000 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t linear = 0;

		print_message("%s\n", cases[i].text);
		assert_int_equal(
			bk__monitor_fault_operand(cases[i].bytes, cases[i].count, &regs, &sregs, &linear),
			cases[i].linear != 0);
		assert_int_equal(linear, cases[i].linear);
	}
}

static void operands_outside_long_mode(void **state)
{
	const struct kvm_sregs flat = { .cs = { .db = 1 },
					.ds = { .base = 0x10000 },
					.ss = { .base = 0x20000 } };
	const struct kvm_sregs real = { .cs = { .db = 0 } };
	const uint8_t absolute[] = { 0x0f, 0x6f, 0x05, 0, 1, 0, 0 }, stack[] = { 0x0f, 0x6f, 0x45, 0xfc };
	const uint8_t lds[] = { 0xc5, 0x06 }, vex[] = { 0xc5, 0xfe, 0x6f, 0x00 };
	uint64_t linear;

	assert_true(bk__monitor_fault_operand(absolute, sizeof(absolute), &regs, &flat, &linear));
	assert_int_equal(linear, 0x10100);
	assert_true(bk__monitor_fault_operand(stack, sizeof(stack), &regs, &flat, &linear));
	assert_int_equal(linear, 0x27ffc);
	assert_true(bk__monitor_fault_operand(lds, sizeof(lds), &regs, &flat, &linear));
	assert_int_equal(linear, 0xf000);
	assert_true(bk__monitor_fault_operand(vex, sizeof(vex), &regs, &flat, &linear));
	assert_int_equal(linear, 0x11000);
	assert_false(bk__monitor_fault_operand(absolute, sizeof(absolute), &regs, &real, &linear));
}

/* Whatever the bytes are, the decoder reads no more than it is given. */
static void operands_of_garbage(void **state)
{
	const struct kvm_sregs sregs = { .cs = { .l = 1 } };
	uint32_t random = 1;

	for (unsigned i = 0; i < 200000; i++) {
		const size_t count = i % 16;
		uint8_t *bytes = malloc(count ? count : 1);
		uint64_t linear;

		for (size_t j = 0; j < count; j++) {
			random = random * 1664525 + 1013904223;
			bytes[j] = (uint8_t)(random >> 24);
		}
		bk__monitor_fault_operand(bytes, count, &regs, &sregs, &linear);
		free(bytes);
	}
}

static void addresses_through_page_tables(void **state)
{
	uint64_t *tables = calloc(6, 4096);
	const struct bk__monitor_ram ram = { .host = tables, .size = 6 * 4096, .low_size = 6 * 4096 };
	struct kvm_sregs sregs = { .cr0 = UINT64_C(1) << 31, .cr3 = 0x1000, .efer = 1 << 10 };
	const uint64_t user = 7, no_execute = UINT64_C(1) << 63, linear = UINT64_C(0xffff812345678abc);
	uint64_t gpa;

	/* Tables at 0x1000 to 0x4000, for four levels; at 0x5000 the top of five. */
	tables[512 + (linear >> 39 & 511)] = 0x2000 | user;
	tables[1024 + (linear >> 30 & 511)] = 0x3000 | user;
	tables[1536 + (linear >> 21 & 511)] = 0x4000 | user;
	tables[2048 + (linear >> 12 & 511)] = UINT64_C(0xc5000000) | user | no_execute;
	tables[2560 + (linear >> 48 & 511)] = 0x1000 | user;
	assert_true(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	assert_int_equal(gpa, 0xc5000abc);
	assert_false(bk__monitor_fault_walk(&ram, &sregs, linear + 4096, &gpa)); /* not present */
	sregs.cr3 = 0x5000;
	sregs.cr4 = 1 << 12;
	assert_true(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	assert_int_equal(gpa, 0xc5000abc);

	tables[1536 + (linear >> 21 & 511)] = UINT64_C(0xc6000000) | user | 0x80; /* 2 MiB */
	assert_true(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	assert_int_equal(gpa, 0xc6078abc);
	tables[1024 + (linear >> 30 & 511)] = UINT64_C(0xc0000000) | user | 0x80; /* 1 GiB */
	assert_true(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	assert_int_equal(gpa, 0xc5678abc);
	tables[1024 + (linear >> 30 & 511)] = UINT64_C(0xc0000000) | user; /* a table outside of RAM */
	assert_false(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	sregs.cr0 = 0;
	assert_false(bk__monitor_fault_walk(&ram, &sregs, linear, &gpa));
	free(tables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_keep_the_pins_of_the_chips),
		cmocka_unit_test(cpuid_tells_each_vcpu_its_apic_id),
		cmocka_unit_test(cpuid_has_what_only_we_can_say),
		cmocka_unit_test(operands_of_instructions),
		cmocka_unit_test(operands_outside_long_mode),
		cmocka_unit_test(operands_of_garbage),
		cmocka_unit_test(addresses_through_page_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
