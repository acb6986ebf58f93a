/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quirk files: what a device needs before a guest can use it.
 *
 * A quirk is a file. It says which devices it is for, how their config space and ROM are changed,
 * which registers are trapped and what an access to them does, and how the device is reset.
 * docs/quirks.md describes the format.
 *
 * Quirks are applied on both sides of the mediator. bk_quirk_stack wraps the device in another one
 * that shows the edited config space and ROM. Create the mediator from that; bk_quirk_attach then
 * adds the traps to the mediator:
 *
 *     bk_device_open(context, spec, &device, &err);
 *     bk_quirk_stack(device, &(struct bk_quirk_stack_desc){ .quirks = quirks, .count = count },
 *                    &device, &err);
 *     bk_mediator_create(domain, device, NULL, &mediate, &err);
 *     bk_quirk_attach(mediate, &err);
 */
#ifndef BARKEEP_QUIRK_H
#define BARKEEP_QUIRK_H

#include <barkeep/mediate.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bk_quirk;

/*
 * Reads a quirk from a file of at most 1 MiB. bk_quirk_parse reads it from text; it uses `name` in
 * errors and to find files next to the quirk. -EINVAL, -ENOMEM or the error of opening the file;
 * `err` names file, line and column. Any thread.
 */
int bk_quirk_load(const char *file, struct bk_quirk **quirk, struct bk_error *err);
int bk_quirk_parse(const char *name, const char *text, size_t length, struct bk_quirk **quirk,
		   struct bk_error *err);

/* Releases a quirk. Devices that it was stacked on keep it until they are closed. NULL does
 * nothing. Any thread. */
void bk_quirk_destroy(struct bk_quirk *quirk);

/* The quirk's name, and one line on what it is for. Valid as long as the quirk. Any thread. */
const char *bk_quirk_name(const struct bk_quirk *quirk);
const char *bk_quirk_about(const struct bk_quirk *quirk);

/* The name of option `index` of the quirk (from 0), and what it means in `about`; NULL after the
 * last one. Any thread. */
const char *bk_quirk_option(const struct bk_quirk *quirk, unsigned index, const char **about);

/* An option that the user set. */
struct bk_quirk_setting {
	const char *name;
	uint64_t value;
};

/*
 * Does the quirk match this device, with these settings? 1: yes. 0: no, and `err` says why. -EINVAL
 * with a line if the quirk does not allow the value of a setting; the device's error if it cannot
 * be read. Does not change the device. Settings that the quirk does not know are ignored. Any
 * thread.
 */
int bk_quirk_match(const struct bk_quirk *quirk, struct bk_device *device,
		   const struct bk_quirk_setting *settings, size_t setting_count, struct bk_error *err);

/* How many quirks one device can have. */
#define BK_QUIRKS_MAX 32

/* What bk_quirk_stack puts in front of a device. */
struct bk_quirk_stack_desc {
	size_t struct_size; /* of this struct, or 0: see base.h */
	struct bk_quirk *const *quirks;
	size_t count;
	const struct bk_quirk_setting *settings; /* may be NULL without any */
	size_t setting_count;
};

/*
 * Puts the quirks, which should match, in front of `below`. Where they contradict each other, the
 * first one counts. The new device shows the edited config space and ROM, resets as the quirks say,
 * and passes everything else on. It takes ownership of `below`, which is closed with it, or if this
 * call fails. -EINVAL; -E2BIG (see base.h); -ENOMEM; or the device's error; with a line. Owner only.
 */
int bk_quirk_stack(struct bk_device *below, const struct bk_quirk_stack_desc *desc, struct bk_device **device,
		   struct bk_error *err);

/*
 * Adds the traps of the quirks that were stacked on the device below the mediator. Each trap has
 * its quirk's name. The traps are below the MSI-X table and below traps of priority 0. -EINVAL if
 * the device is not from bk_quirk_stack, or if a trap is not inside the device; or an error of
 * bk_trap_add; with a line. Call it once; if it fails, destroy the mediator. Owner only.
 */
int bk_quirk_attach(struct bk_mediator *mediate, struct bk_error *err);

#ifdef __cplusplus
}
#endif
#endif
