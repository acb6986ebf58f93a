/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps that come to pages which a guest has by KVM: with a made-up KVM, whose guest is a list of accesses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kvm.h>
#include <sched.h>
#include <sys/stat.h>

#include "wrap_kit.h"

enum { GUEST = 0x10000000, SIZE = 0x10000, SLOT = 3, SLOTS_MAX = 16, PAGE = 4096 };

/* ---- A made-up KVM ----------------------------------------------------- */

struct step {
	uint64_t address;
	unsigned length;
	bool write;
	uint64_t value; /* written, or read */
	bool exited;    /* a read whose answer is still to be taken */
};

static struct {
	int kvm;
	ino_t vm, vcpu; /* 0: there is none */
	struct kvm_userspace_memory_region slots[SLOTS_MAX];
	unsigned exits; /* that leave KVM_RUN */
	struct step *steps;
	unsigned at, count;
	struct kvm_run *run; /* as KVM has it */
	unsigned refuse;     /* so many new slots fail from now on */
	uint64_t guarded;    /* this address the guest must not have from now on */
	unsigned lost;       /* how often it had it */
} kvm;

static int set_slot(const struct kvm_userspace_memory_region *region)
{
	struct kvm_userspace_memory_region *slot = &kvm.slots[region->slot % SLOTS_MAX];

	assert_in_range(region->slot, 0, SLOTS_MAX - 1);
	if (region->memory_size && kvm.refuse) {
		kvm.refuse--;
		errno = ENOSPC;
		return -1;
	}
	if (!region->memory_size && !slot->memory_size) {
		errno = EINVAL;
		return -1;
	}
	for (unsigned i = 0; i < SLOTS_MAX && region->memory_size; i++)
		if (i != region->slot && kvm.slots[i].memory_size &&
		    region->guest_phys_addr < kvm.slots[i].guest_phys_addr + kvm.slots[i].memory_size &&
		    kvm.slots[i].guest_phys_addr < region->guest_phys_addr + region->memory_size) {
			errno = EEXIST;
			return -1;
		}
	*slot = *region;
	if (kvm.guarded && region->memory_size && kvm.guarded >= region->guest_phys_addr &&
	    kvm.guarded < region->guest_phys_addr + region->memory_size)
		kvm.lost++;
	return 0;
}

static void *memory_at(uint64_t address, unsigned length)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (address >= kvm.slots[i].guest_phys_addr &&
		    address + length <= kvm.slots[i].guest_phys_addr + kvm.slots[i].memory_size)
			return (void *)(uintptr_t)(kvm.slots[i].userspace_addr + address -
						   kvm.slots[i].guest_phys_addr);
	return NULL;
}

static int run_guest(void)
{
	for (; kvm.at < kvm.count; kvm.at++) {
		struct step *step = &kvm.steps[kvm.at];
		void *memory = memory_at(step->address, step->length);

		if (step->exited) {
			if (!step->write)
				memcpy(&step->value, kvm.run->mmio.data, step->length);
		} else if (memory) {
			memcpy(step->write ? memory : &step->value, step->write ? &step->value : memory,
			       step->length);
		} else {
			step->exited = true;
			kvm.exits++;
			kvm.run->exit_reason = KVM_EXIT_MMIO;
			kvm.run->mmio.phys_addr = step->address;
			kvm.run->mmio.len = step->length;
			kvm.run->mmio.is_write = step->write;
			memcpy(kvm.run->mmio.data, &step->value, 8);
			return 0;
		}
	}
	kvm.run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static bool is(int fd, ino_t inode)
{
	struct stat st;

	return inode && !fstat(fd, &st) && st.st_ino == inode;
}

static int create(const char *name, ino_t *inode)
{
	const int fd = memfd_create(name, 0);
	struct stat st;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(fstat(fd, &st), 0);
	*inode = st.st_ino;
	return fd;
}

static int fake_ioctl(int fd, unsigned long request, void *argument)
{
	int vcpu;

	if (fd == kvm.kvm && request == KVM_CREATE_VM)
		return create("vm", &kvm.vm);
	if (is(fd, kvm.vm) && request == KVM_CREATE_VCPU) {
		vcpu = create("vcpu", &kvm.vcpu);
		kvm.run = bk__wrap_real.mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
		return vcpu;
	}
	if (is(fd, kvm.vm) && request == KVM_SET_USER_MEMORY_REGION)
		return set_slot(argument);
	if (is(fd, kvm.vm) && request == KVM_CHECK_EXTENSION)
		return SLOTS_MAX;
	if (is(fd, kvm.vcpu) && request == KVM_RUN)
		return run_guest();
	return fake_vfio_ioctl(fd, request, argument);
}

/* ---- A VMM ------------------------------------------------------------- */

struct vmm {
	int device, vm, vcpu;
	char *bar;
	struct kvm_run *run;
};

/* A slot over a part of the BAR. */
static int set_part(const struct vmm *vmm, uint32_t slot, uint64_t address, uint64_t offset, uint64_t size)
{
	const struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = address,
		.memory_size = size,
		.userspace_addr = (uintptr_t)vmm->bar + offset,
	};

	return ioctl(vmm->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int set(const struct vmm *vmm, uint64_t address, uint64_t size)
{
	return set_part(vmm, SLOT, address, 0, size);
}

/* With a BAR mapped; the guest has nothing of it. */
static struct vmm start_without(unsigned bar)
{
	struct vmm vmm;
	int null = open("/dev/null", O_RDWR);

	memset(&kvm, 0, sizeof(kvm));
	bk__wrap_real.ioctl = fake_ioctl;
	kvm.kvm = null;
	vmm.device = kit_open();
	vmm.bar = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vmm.device, FAKE_VFIO_OFFSET(bar, 0));
	vmm.vm = ioctl(null, KVM_CREATE_VM, 0);
	vmm.vcpu = ioctl(vmm.vm, KVM_CREATE_VCPU, 0);
	vmm.run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vmm.vcpu, 0);
	close(null);
	return vmm;
}

static struct vmm start(void)
{
	struct vmm vmm = start_without(2);

	assert_int_equal(set(&vmm, GUEST, SIZE), 0);
	return vmm;
}

static void end(struct vmm *vmm)
{
	munmap(vmm->run, PAGE);
	bk__wrap_real.munmap(kvm.run, PAGE);
	close(vmm->vcpu);
	close(vmm->vm);
	munmap(vmm->bar, SIZE);
	close(vmm->device);
	assert_false(bk__wrap_kvm_is_used());
}

static struct bk_trap *add(const char *text)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;

	assert_int_equal(bk_trap_parse(text, &spec, &err), 0);
	bk__wrap_change_begin();
	if (bk__wrap_make_way(kit.last, spec.region, spec.offset, spec.length, &err))
		fail_msg("%s", err.text);
	assert_int_equal(bk_trap_add(kit.last, &spec, &trap, &err), 0);
	bk__wrap_change_end(kit.last);
	return trap;
}

static void remove_trap(struct bk_trap *trap)
{
	bk__wrap_change_begin();
	bk_trap_remove(trap);
	bk__wrap_change_end(kit.last);
}

/* The guest's accesses; returns how the vCPU left KVM_RUN as the program sees it. */
static unsigned run(struct vmm *vmm, struct step *steps, unsigned count)
{
	kvm.steps = steps;
	kvm.at = 0;
	kvm.count = count;
	kvm.exits = 0;
	assert_int_equal(ioctl(vmm->vcpu, KVM_RUN, 0), 0);
	return vmm->run->exit_reason;
}

static uint32_t guest_reads(struct vmm *vmm, uint64_t address)
{
	struct step step = { .address = address, .length = 4 };

	assert_int_equal(run(vmm, &step, 1), KVM_EXIT_HLT);
	return (uint32_t)step.value;
}

static unsigned slots(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS_MAX; i++)
		n += kvm.slots[i].memory_size != 0;
	return n;
}

/* ---- Tests ------------------------------------------------------------- */

static void a_trap_takes_its_page_from_the_guest_and_gives_it_back(void **state)
{
	struct vmm vmm = start();
	struct bk_trap *trap;

	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), kit_pattern(4));
	assert_int_equal(kvm.exits, 0);
	trap = add("bar2+0x2004/4:const=0x11223344");
	assert_int_equal(slots(), 2);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), 0x11223344);
	assert_int_equal(kvm.exits, 1);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2008), kit_pattern(8)); /* beside it */
	assert_int_equal(kvm.exits, 1);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x1004), kit_pattern(4)); /* pages that stay */
	assert_int_equal(guest_reads(&vmm, GUEST + 0x3004), kit_pattern(4));
	assert_int_equal(kvm.exits, 0);
	remove_trap(trap);
	assert_int_equal(slots(), 1);
	assert_int_equal(kvm.slots[SLOT].memory_size, SIZE);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), kit_pattern(4));
	assert_int_equal(kvm.exits, 0);
	end(&vmm);
}

static void several_traps_and_writes(void **state)
{
	struct vmm vmm = start();
	struct step steps[] = {
		{ .address = GUEST, .length = 4, .write = true, .value = 0xaaaaaaaa },
		{ .address = GUEST + 8, .length = 4, .write = true, .value = 0xbbbbbbbb },
		{ .address = GUEST + 8, .length = 4 },
		{ .address = GUEST + 0xfffc, .length = 4 },
		{ .address = GUEST + 0x8000, .length = 1 },
	};

	add("bar2+0/4:const=1"); /* the first page, the last, and one that is all traps */
	add("bar2+0xfffc/4:const=2");
	add("bar2+0x8000/0x1000:const=3");
	assert_int_equal(slots(), 2);
	assert_int_equal(kvm.slots[SLOT].guest_phys_addr, GUEST + 0x1000);
	assert_int_equal(run(&vmm, steps, 5), KVM_EXIT_HLT);
	assert_int_equal(*(uint32_t *)vmm.bar, kit_pattern(0)); /* the trap's write reached nobody */
	assert_int_equal(steps[2].value, 0xbbbbbbbb);
	assert_int_equal(steps[3].value, 2);
	assert_int_equal(steps[4].value, 3);
	end(&vmm);
}

static void other_exits_are_the_programs(void **state)
{
	struct vmm vmm = start();
	struct step step = { .address = 0xd0000000, .length = 4 };

	add("bar2+0x2004/4:const=1");
	assert_int_equal(run(&vmm, &step, 1), KVM_EXIT_MMIO);
	assert_int_equal(vmm.run->mmio.phys_addr, 0xd0000000);
	assert_int_equal(ioctl(vmm.vcpu, KVM_RUN, 0), 0);
	assert_int_equal(vmm.run->exit_reason, KVM_EXIT_HLT);
	end(&vmm);
}

static void the_program_may_move_and_remove_its_slot(void **state)
{
	struct vmm vmm = start();

	add("bar2+0x2004/4:const=7");
	assert_int_equal(set(&vmm, 0, 0), 0);
	assert_int_equal(slots(), 0);
	assert_int_equal(set(&vmm, 0, 0), -1);           /* as KVM has it */
	assert_int_equal(set(&vmm, 2 * GUEST, SIZE), 0); /* a BAR that moves */
	assert_int_equal(slots(), 2);
	assert_int_equal(guest_reads(&vmm, 2 * GUEST + 0x2004), 7);
	assert_int_equal(set(&vmm, 2 * GUEST, SIZE), 0); /* other flags, say */
	assert_int_equal(guest_reads(&vmm, 2 * GUEST + 0x2004), 7);
	assert_int_equal(guest_reads(&vmm, 2 * GUEST + 0x3004), kit_pattern(4));
	assert_int_equal(kvm.exits, 0);
	end(&vmm);
}

static void where_a_piece_cannot_be_set_accesses_exit(void **state)
{
	struct vmm vmm = start();

	kvm.refuse = 1;
	add("bar2+0x2004/4:const=7");
	assert_int_equal(guest_reads(&vmm, GUEST + 0x1004), kit_pattern(4));
	assert_int_equal(kvm.exits, 1);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), 7);
	end(&vmm);
}

static void the_page_of_a_trap_stays_the_traps_while_others_come_and_go(void **state)
{
	struct vmm vmm = start();
	struct bk_trap *second;

	add("bar2+0x2004/4:const=7");
	kvm.guarded = GUEST + 0x2004;
	second = add("bar2+0x5004/4:const=8");
	assert_int_equal(guest_reads(&vmm, GUEST + 0x5004), 8);
	remove_trap(second);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x5004), kit_pattern(4));
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), 7);
	assert_int_equal(kvm.lost, 0);
	end(&vmm);
}

static void a_slot_that_kvm_refuses_to_change_keeps_its_traps(void **state)
{
	struct vmm vmm = start();
	struct kvm_userspace_memory_region other = { .slot = SLOT + 1,
						     .guest_phys_addr = 3 * (uint64_t)GUEST,
						     .memory_size = PAGE };

	other.userspace_addr = (uintptr_t)vmm.run;
	assert_int_equal(ioctl(vmm.vm, KVM_SET_USER_MEMORY_REGION, &other), 0);
	add("bar2+0x2004/4:const=7");
	assert_int_equal(set(&vmm, 3 * (uint64_t)GUEST, SIZE), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), 7);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x3004), kit_pattern(4));
	assert_int_equal(kvm.exits, 0);
	end(&vmm);
}

/* The line by which a trap is refused, or "". */
static const char *refusal(uint64_t offset, uint64_t length)
{
	static struct bk_error err;
	int error;

	bk__wrap_change_begin();
	error = bk__wrap_make_way(kit.last, 0, offset, length, &err);
	bk__wrap_change_end(NULL);
	if (!error)
		return "";
	assert_int_equal(error, -EBUSY);
	return err.text;
}

static void decode(const struct vmm *vmm, bool on)
{
	const uint8_t command = on ? 2 : 0;

	assert_int_equal(pwrite(vmm->device, &command, 1, FAKE_VFIO_OFFSET(7, 4)), 1);
}

/* As QEMU has a BAR with the MSI-X table in it: all is mapped, and the table's page, at 0x2000, is not the
 * guest's. */
static void a_trap_beside_the_programs_slots_is_seen(void **state)
{
	struct vmm vmm = start_without(0);
	struct step step = { .address = GUEST + 0x2100, .length = 4 };

	assert_int_equal(set_part(&vmm, 3, GUEST, 0, 0x2000), 0);
	assert_int_equal(set_part(&vmm, 4, GUEST + 0x3000, 0x3000, SIZE - 0x3000), 0);
	decode(&vmm, true);
	assert_non_null(strstr(refusal(0x2010, 4), "answers the MSI-X table in region 0 itself"));
	assert_non_null(strstr(refusal(0x1ffc, 8), "answers the MSI-X table"));
	add("bar0+0x2804/4:const=0x11223344");
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2804), 0x11223344);
	assert_int_equal(run(&vmm, &step, 1), KVM_EXIT_MMIO); /* beside the trap: the program's */
	assert_int_equal(vmm.run->mmio.phys_addr, GUEST + 0x2100);
	step = (struct step){ .address = GUEST + 0x2802, .length = 4 }; /* over its edge */
	assert_int_equal(run(&vmm, &step, 1), KVM_EXIT_HLT);
	assert_int_equal(step.value, (kit_pattern(0x2802) & 0xffff) | 0x33440000);
	add("bar0+0x4000/4:const=5"); /* and one of a slot */
	assert_int_equal(guest_reads(&vmm, GUEST + 0x4000), 5);
	end(&vmm);
}

static void a_trap_that_nobody_would_see_is_refused(void **state)
{
	struct vmm vmm = start_without(0);

	decode(&vmm, true);
	assert_non_null(strstr(refusal(0x4000, 4), "give the trap at the start"));
	end(&vmm);
}

static void a_device_that_does_not_decode_may_be_trapped(void **state)
{
	struct vmm vmm = start_without(0);

	decode(&vmm, false);
	assert_non_null(
		strstr(refusal(0x2800, 4), "give the trap at the start")); /* its page is the program's */
	add("bar0+0x4000/4:const=5");
	assert_int_equal(set(&vmm, GUEST, 0x2000), 0);
	assert_int_equal(set_part(&vmm, SLOT + 1, GUEST + 0x3000, 0x3000, SIZE - 0x3000), 0);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x4000), 5);
	assert_int_equal(guest_reads(&vmm, GUEST + 0x5000), kit_pattern(0));
	assert_int_equal(kvm.exits, 0);
	end(&vmm);
}

static void a_slot_that_goes_is_never_whole(void **state)
{
	struct vmm vmm = start();

	add("bar2+0x2004/4:const=7");
	kvm.guarded = GUEST + 0x2004;
	assert_int_equal(set(&vmm, 0, 0), 0);
	assert_int_equal(slots(), 0);
	assert_int_equal(kvm.lost, 0);
	assert_int_equal(set(&vmm, 0, 0), -1);
	assert_int_equal(set(&vmm, GUEST, SIZE), 0);
	end(&vmm);
	/* All of it trapped: KVM has no such slot, and the program cannot know. */
	vmm = start();
	add("bar2+0/0x10000:const=7");
	assert_int_equal(slots(), 0);
	assert_int_equal(set(&vmm, 0, 0), 0);
	assert_int_equal(set(&vmm, 0, 0), -1);
	end(&vmm);
}

/* The descriptor by which the slot was set is closed, and its number is another file's. */
static void a_copy_of_the_machines_descriptor_is_enough(void **state)
{
	struct vmm vmm = start();
	const int copy = dup(vmm.vm), null = open("/dev/null", O_RDWR);

	assert_int_equal(dup2(null, vmm.vm), vmm.vm);
	add("bar2+0x2004/4:const=7");
	assert_int_equal(guest_reads(&vmm, GUEST + 0x2004), 7);
	close(vmm.vm);
	close(null);
	vmm.vm = copy;
	end(&vmm);
}

static struct {
	struct vmm vmm;
	char *bar;     /* atomic */
	bool stop;     /* atomic */
	unsigned sets; /* atomic */
} setting;

static void *set_on(void *unused)
{
	while (!__atomic_load_n(&setting.stop, __ATOMIC_ACQUIRE)) {
		struct vmm vmm = setting.vmm;

		vmm.bar = __atomic_load_n(&setting.bar, __ATOMIC_ACQUIRE);
		set(&vmm, GUEST, SIZE);
		set(&vmm, 0, 0);
		__atomic_fetch_add(&setting.sets, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The slot is set by a mapping that outlives the device's last descriptor. */
static void a_device_may_be_closed_while_its_slot_is_set(void **state)
{
	pthread_t thread;

	memset(&setting, 0, sizeof(setting));
	setting.vmm = start();
	setting.bar = setting.vmm.bar;
	pthread_create(&thread, NULL, set_on, NULL);
	for (unsigned i = 0; i < 200; i++) {
		const unsigned sets = __atomic_load_n(&setting.sets, __ATOMIC_RELAXED);
		const int fd = kit_open();
		char *bar = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0));

		__atomic_store_n(&setting.bar, bar, __ATOMIC_RELEASE);
		while (__atomic_load_n(&setting.sets, __ATOMIC_RELAXED) == sets)
			sched_yield();
		close(fd);
		__atomic_store_n(&setting.bar, setting.vmm.bar, __ATOMIC_RELEASE);
		munmap(bar, SIZE);
	}
	__atomic_store_n(&setting.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	end(&setting.vmm);
}

static void bad_arguments_are_kvms_to_refuse(void **state)
{
	struct vmm vmm = start();

	assert_int_equal(ioctl(vmm.vm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS), SLOTS_MAX);
	assert_int_equal(ioctl(vmm.vcpu, KVM_CREATE_VCPU, 0), -1);
	end(&vmm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_trap_takes_its_page_from_the_guest_and_gives_it_back),
		TEST(several_traps_and_writes),
		TEST(other_exits_are_the_programs),
		TEST(the_program_may_move_and_remove_its_slot),
		TEST(where_a_piece_cannot_be_set_accesses_exit),
		TEST(the_page_of_a_trap_stays_the_traps_while_others_come_and_go),
		TEST(a_slot_that_kvm_refuses_to_change_keeps_its_traps),
		TEST(a_trap_beside_the_programs_slots_is_seen),
		TEST(a_trap_that_nobody_would_see_is_refused),
		TEST(a_device_that_does_not_decode_may_be_trapped),
		TEST(a_slot_that_goes_is_never_whole),
		TEST(a_copy_of_the_machines_descriptor_is_enough),
		TEST(a_device_may_be_closed_while_its_slot_is_set),
		TEST(bad_arguments_are_kvms_to_refuse),
	};

	return cmocka_run_group_tests(tests, kit_start, NULL);
}
