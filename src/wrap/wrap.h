/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO inside another program: what this room needs from the owner of the library's settings, and what
 * it offers.
 *
 * The program opens a device; `mediate` makes a mediator in front of it; what
 * the program then does with the device's descriptors goes through that.
 */
#ifndef BARKEEP_WRAP_WRAP_H
#define BARKEEP_WRAP_WRAP_H

#include <barkeep/mediate.h>

struct bk__wrap_opened {
	struct bk_mediator *mediate;
	unsigned regions;  /* bit n: region n is not as the device's, whatever traps there are */
	unsigned unmapped; /* bit n: region n is not to be offered for mapping */
	void *opaque;      /* for `closed` */
};

struct bk__wrap_ops {
	/*
	 * The program opened a device; name is DDDD:BB:SS.F, a UUID, or "" if only the device is known. Takes
	 * `below`, also on failure. Returns 0, or -errno with a line: the program is then refused the device.
	 */
	int (*mediate)(const char *name, struct bk_device *below, struct bk_domain *domain,
		       struct bk__wrap_opened *opened, struct bk_error *err);
	/* The program closed it; no thread is inside. Closes the mediator. */
	void (*closed)(void *opaque);
};

/* To be called once, before anything is opened; `ops` must stay. */
void bk__wrap_start(const struct bk__wrap_ops *ops);

/* Takes over the descriptors that were there before. */
void bk__wrap_adopt_all(void);

extern const struct bk__wrap_ops *bk__wrap_ops;

/* Around a change of an open device's traps while the program runs: the program cannot map a page of a
 * device in between. */
void bk__wrap_change_begin(void);

/* NULL: nothing has changed. Otherwise updates the device's pages that a guest has by KVM. */
void bk__wrap_change_end(const struct bk_mediator *mediate);

/*
 * Between them, before a trap is added: may it cover [offset, offset + length) of a region? -EBUSY with
 * a line if the program has mapped a page of it that cannot be taken back, or if the program answers
 * there itself.
 */
int bk__wrap_make_way(struct bk_mediator *mediate, unsigned region, uint64_t offset, uint64_t length,
		      struct bk_error *err);

#endif
