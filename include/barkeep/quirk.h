/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device needs so that a guest can have it, as data.
 *
 * A quirk is a file: which devices it is for, what of their config space and
 * ROM is shown differently, which registers are trapped and what an access to
 * them does, and how the device is reset. docs/quirks.md describes the format.
 *
 * Quirks stand on both sides of the mediator. bk_quirk_stack puts a device in
 * front of the device, which shows the edited config space and ROM; the
 * mediator is made from that; bk_quirk_attach adds the traps to the mediator:
 *
 *     bk_device_open(context, spec, &device, &err);
 *     bk_quirk_stack(device, quirks, count, NULL, 0, &device, &err);
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
 * Reads a file, of at most 1 MiB. On failure the line says file, line and
 * column: -EINVAL, -ENOMEM, or what opening gave. bk_quirk_parse does the same
 * with text, whose name is for errors and for files beside it. Any thread.
 */
int bk_quirk_load(const char *file, struct bk_quirk **quirk, struct bk_error *err);
int bk_quirk_parse(const char *name, const char *text, size_t length, struct bk_quirk **quirk,
		   struct bk_error *err);

/* Devices that it was stacked on keep it until they are closed. NULL does nothing. Any thread. */
void bk_quirk_destroy(struct bk_quirk *quirk);

/* Its name, and what it is for in one line. Valid as long as the quirk. Any thread. */
const char *bk_quirk_name(const struct bk_quirk *quirk);
const char *bk_quirk_about(const struct bk_quirk *quirk);

/* Option `index` of the quirk (from 0) and what it means; NULL after the last one. Any thread. */
const char *bk_quirk_option(const struct bk_quirk *quirk, unsigned index, const char **about);

/* An option that the user set. */
struct bk_quirk_setting {
	const char *name;
	uint64_t value;
};

/*
 * Is the quirk for this device, with these settings? 1: yes. 0: no, and the
 * line says why. -EINVAL with a line if a setting is not one that the quirk
 * allows; what the device gives if it cannot be read. Does not change the
 * device. Settings that the quirk does not know are passed over. Any thread.
 */
int bk_quirk_match(const struct bk_quirk *quirk, struct bk_device *device,
		   const struct bk_quirk_setting *settings, size_t setting_count, struct bk_error *err);

/* At most that many quirks on one device. */
#define BK_QUIRKS_MAX 32

/*
 * Puts the quirks, which should match, in front of `below`; where they disagree
 * the first one has its way. The device shows the edited config space and ROM,
 * resets as the quirks say, and passes all else on. It takes `below` (closed
 * with it, also when this fails). -EINVAL or what the device gives, with a
 * line; -ENOMEM. Owner only.
 */
int bk_quirk_stack(struct bk_device *below, struct bk_quirk *const *quirks, size_t count,
		   const struct bk_quirk_setting *settings, size_t setting_count, struct bk_device **device,
		   struct bk_error *err);

/*
 * Adds the traps of the quirks that the device below the mediator was stacked
 * with; each has its quirk's name. They are under the MSI-X table, and under
 * traps of priority 0. -EINVAL if that device is none of bk_quirk_stack, or a
 * trap is not inside the device; what bk_trap_add gives; with a line. To be
 * called once; on failure destroy the mediator. Owner only.
 */
int bk_quirk_attach(struct bk_mediator *mediate, struct bk_error *err);

#ifdef __cplusplus
}
#endif
#endif
