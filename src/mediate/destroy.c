/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a mediator: all of it, or nothing. */
#include "mediate/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mediate/hole.h"
#include "space/ends.h"

/* The spaces that are not the function's. */
static unsigned spaces_of(struct bk_mediator *m, struct bk_space *spaces[BK__SPACES + 2])
{
	unsigned count = 0;

	for (unsigned i = 0; i < 2; i++)
		if (m->vga[i])
			spaces[count++] = m->vga[i];
	for (unsigned i = 0; i < BK__SPACES; i++)
		if (m->regions[i].space && (i != BK_DEVICE_CONFIG || m->filter))
			spaces[count++] = m->regions[i].space;
	return count;
}

/*
 * Destroys all spaces with their traps, or none. The pointers to the spaces stay, since handlers may still be
 * inside.
 */
static int destroy_spaces(struct bk_mediator *m)
{
	struct bk_space *spaces[BK__SPACES + 2];
	unsigned count = spaces_of(m, spaces);
	int r = 0;

	if (bk__space_must_not_wait(m->domain))
		return -EDEADLK;
	pthread_mutex_lock(&m->lock);
	if (m->function && bk__space_in_use(bk_pci_function_config(m->function)))
		r = -EBUSY;
	if (!r)
		r = bk_space_destroy_all(spaces, count);
	if (!r) {
		m->closed = true;
		m->traps.count = 0; /* each is freed once no reader is inside */
		m->retired = NULL;
		bk__mediate_accelerate_stop(m, NULL);
		m->accelerator.start = NULL;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void destroy(struct bk_mediator *m)
{
	bk_device_close(m->below);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->repeated_lock);
	for (unsigned i = 0; i < BK__SPACES; i++) {
		bk__mediate_pages_free(&m->regions[i]);
		free(m->regions[i].areas);
		free(m->regions[i].holes);
	}
	free(m->traps.at);
	free(m->rom);
	free(m->filter);
	free(m);
}

int bk_mediator_destroy(struct bk_mediator *m)
{
	int r;

	if (!m)
		return 0;
	r = destroy_spaces(m);
	if (r) {
		bk_log(BK_LOG_ERROR, "%s: not closed: %s", m->below->name,
		       r == -EBUSY ? "it is on a bus, or somebody looks at it" : strerror(-r));
		return r;
	}
	bk__mediate_holes_end(m);
	/* The MSI-X traps call the function, which waits for them before it goes. Traps and mappings are
	 * released by then, or at the latest here. */
	if (m->function)
		bk_pci_function_destroy(m->function);
	bk_domain_synchronize(m->domain);
	destroy(m);
	return 0;
}
