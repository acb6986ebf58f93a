/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of files that shrink: pages that have gone are memory of this process. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "mediate/mediate.h"

#define SIZE 0x10000u

static bool no_memory, no_mmap;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
}

void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (!no_mmap)
		return __real_mmap64(address, size, protection, flags, fd, offset);
	errno = EINVAL;
	return MAP_FAILED;
}

/* ---- Somebody else's handler: cmocka has one of its own in each test ---- */

static sigjmp_buf out;

static void give_up(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
	siglongjmp(out, 1);
}

static void handle(void)
{
	const struct sigaction action = { .sa_sigaction = give_up, .sa_flags = SA_SIGINFO };

	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	bk__base_guard_start();
}

/* The byte there; -1 if the handler from before got the SIGBUS. */
static int look(const volatile uint8_t *byte)
{
	if (sigsetjmp(out, 1))
		return -1;
	return *byte;
}

/* ---- A file ---- */

struct file {
	int fd;
	size_t size;
	uint8_t *base;
};

static struct file make(size_t size)
{
	struct file file = { .fd = memfd_create("guarded", MFD_CLOEXEC), .size = size };

	assert_int_equal(ftruncate(file.fd, (off_t)size), 0);
	file.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.fd, 0);
	assert_ptr_not_equal(file.base, MAP_FAILED);
	file.base[0x2000] = 0x21;
	return file;
}

static void drop(struct file *file)
{
	munmap(file->base, file->size);
	close(file->fd);
}

static void pages_that_have_gone_are_filled(void **state)
{
	struct file ones = make(SIZE), zeros = make(SIZE);
	struct bk__base_guard *a = bk__base_guard_add(ones.base, SIZE, 0xff),
			      *b = bk__base_guard_add(zeros.base, SIZE, 0);

	(void)state;
	handle();
	assert_non_null(a);
	assert_non_null(b);
	bk__base_guard_start(); /* once more */
	assert_int_equal(look(ones.base + 0x2000), 0x21);
	assert_int_equal(ftruncate(ones.fd, 0x1000), 0);
	assert_int_equal(ftruncate(zeros.fd, 0), 0);
	assert_int_equal(look(ones.base), 0);
	assert_int_equal(look(ones.base + 0x2000), 0xff);
	assert_int_equal(look(ones.base + SIZE - 1), 0xff);
	assert_int_equal(look(zeros.base + 0x2000), 0);
	ones.base[0x3000] = 0x5a; /* a write finds memory, too */
	assert_int_equal(look(ones.base + 0x3000), 0x5a);
	bk__base_guard_remove(a);
	bk__base_guard_remove(b);
	bk__base_guard_remove(NULL);
	drop(&ones);
	drop(&zeros);
}

static void what_is_not_guarded_goes_to_the_handler_before(void **state)
{
	struct file above = make(SIZE), file = make(SIZE), other = make(SIZE); /* one below the other */
	struct bk__base_guard *guard, *highest = bk__base_guard_add(above.base, SIZE, 0);

	(void)state;
	handle();
	guard = bk__base_guard_add(other.base, SIZE, 0);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(look(file.base + 0x2000), -1);
	bk__base_guard_remove(guard);
	/* After its end, too; its entry is used again. */
	handle();
	guard = bk__base_guard_add(file.base, SIZE, 0);
	bk__base_guard_remove(guard);
	assert_ptr_equal(bk__base_guard_add(other.base, SIZE, 0), guard);
	assert_int_equal(look(file.base + 0x2000), -1);
	bk__base_guard_remove(guard);
	bk__base_guard_remove(highest);
	drop(&above);
	drop(&file);
	drop(&other);
}

/* The host may refuse the memory, by whatever page; then nothing is mended. */
static void without_memory_for_the_page_the_handler_before_decides(void **state)
{
	const size_t sizes[] = { SIZE, (size_t)4 << 30 };

	(void)state;
	handle();
	for (unsigned i = 0; i < 2; i++) {
		struct file file = make(sizes[i]);
		struct bk__base_guard *guard = bk__base_guard_add(file.base, file.size, 0xff);

		assert_int_equal(ftruncate(file.fd, 0), 0);
		no_mmap = true;
		/* From the end no larger page fits into the mapping, from the middle all do. */
		assert_int_equal(look(file.base + file.size - 1), -1);
		handle();
		assert_int_equal(look(file.base + file.size / 2), -1);
		handle();
		assert_int_equal(look(file.base), -1);
		no_mmap = false;
		handle();
		assert_int_equal(look(file.base + file.size / 2), 0xff);
		bk__base_guard_remove(guard);
		drop(&file);
	}
}

static uint64_t heard(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void whoever_wants_to_know_is_told(void **state)
{
	int a = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), b = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	const uint64_t full = UINT64_MAX - 1;
	struct file file = make(SIZE);
	struct bk__base_guard *guard = bk__base_guard_add(file.base, SIZE, 0);

	(void)state;
	handle();
	assert_true(bk__base_guard_tell(a));
	assert_true(bk__base_guard_tell(b));
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(look(file.base), 0);
	assert_int_equal(heard(a), 1);
	assert_int_equal(heard(b), 1);
	bk__base_guard_tell_no_more(a);
	bk__base_guard_tell_no_more(a);
	bk__base_guard_alert();
	assert_int_equal(heard(a), 0);
	assert_int_equal(heard(b), 1);
	/* One that is full has been written. */
	assert_int_equal(write(b, &full, sizeof(full)), sizeof(full));
	assert_true(bk__base_guard_tell(a));
	bk__base_guard_alert();
	assert_int_equal(heard(a), 1);
	assert_true(heard(b) == full);
	bk__base_guard_tell_no_more(a);
	bk__base_guard_tell_no_more(b);
	bk__base_guard_remove(guard);
	drop(&file);
	close(a);
	close(b);
}

/* What a mediator maps of a device's file cannot shrink; that of a server's can. */
static void a_mediator_guards_what_can_shrink(void **state)
{
	struct file file = make(SIZE);
	struct bk__mediate_place place = { .host = file.base, .size = SIZE };
	const struct bk__base_guard *guard;
	int event = eventfd(0, EFD_CLOEXEC);

	(void)state;
	handle();
	assert_true(bk__mediate_guard(&place, -1));
	assert_true(bk__mediate_guard(&place, event));
	assert_null(place.guard);
	assert_true(bk__mediate_guard(&place, file.fd));
	guard = place.guard;
	assert_non_null(guard);
	assert_true(bk__mediate_guard(&place, file.fd));
	assert_ptr_equal(place.guard, guard);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(look(file.base), 0xff);
	bk__base_guard_remove(place.guard);
	drop(&file);
	close(event);
}

/* Runs last: the entries of the others are there to be used. */
static void without_memory_it_says_so(void **state)
{
	struct bk__base_guard *guards[8];
	unsigned count = 0;
	struct file file = make(SIZE);

	(void)state;
	no_memory = true;
	while (count < 8 && (guards[count] = bk__base_guard_add(file.base, SIZE, 0)))
		count++;
	assert_in_range(count, 1, 7);
	for (unsigned fd = 1000; bk__base_guard_tell((int)fd); fd++)
		assert_in_range(fd, 1000, 1007);
	no_memory = false;
	for (int fd = 1000; fd < 1008; fd++)
		bk__base_guard_tell_no_more(fd);
	while (count)
		bk__base_guard_remove(guards[--count]);
	drop(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_have_gone_are_filled),
		cmocka_unit_test(what_is_not_guarded_goes_to_the_handler_before),
		cmocka_unit_test(without_memory_for_the_page_the_handler_before_decides),
		cmocka_unit_test(whoever_wants_to_know_is_told),
		cmocka_unit_test(a_mediator_guards_what_can_shrink),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
