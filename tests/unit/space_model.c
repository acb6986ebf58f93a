/* SPDX-License-Identifier: BSD-2-Clause */
/* A dumb model of the address space, and the machine that compares the real one with it. */
#include "space_model.h"

#include "space/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <barkeep/space.h>

enum { SPACES = 5, REGIONS = 20, LISTENERS = 2, FLATS = 512, PIECES = 64 };

struct machine;

struct model_region {
	bool present;
	unsigned serial; /* tells one life of the slot from the next */
	int space, nested;
	uint64_t first, last, nested_first, base;
	int priority;
	uint64_t rank;
	bool enabled, mapped;
	struct bk_region *real;
};

/* What the handlers of one life of a region see as `opaque`. */
struct life {
	struct machine *machine;
	struct life *next;
	unsigned serial;
	unsigned released, expected; /* calls of `released` */
};

struct told {
	uint64_t first, last, offset;
	const struct bk_region *region;
};

struct ear {
	struct machine *machine;
	struct bk_listener *listener;
	int space;
	bool mapped_only;
	struct told flats[FLATS], gone[FLATS], come[FLATS];
	unsigned count, gone_count, come_count;
	bool inside, overlap;
};

struct piece {
	unsigned serial, width;
	uint64_t offset, value;
};

struct machine {
	struct bk_domain *domain;
	struct bk_space *spaces[SPACES];
	uint64_t unclaimed_reads[SPACES], unclaimed_writes[SPACES];
	struct model_region regions[REGIONS];
	struct life *lives;
	struct ear ears[LISTENERS];
	struct piece pieces[PIECES];
	unsigned piece_count, serials;
	int stuck;                          /* the first error of the update at hand */
	unsigned removed[4], removed_count; /* the lives that the update at hand ends */
	const char *wrong;
};

static uint64_t space_last(int space)
{
	return space == 4 ? 95 : space == 3 ? UINT32_MAX : UINT64_MAX;
}

/* Addresses where something happens: at 0, around 4 GiB, at the top. */
static uint64_t place(unsigned i)
{
	i %= 160;
	if (i < 64)
		return i;
	if (i < 128)
		return 0xffffffe0u + (uint64_t)(i - 64);
	return UINT64_MAX - 31 + (i - 128);
}

static void wrong(struct machine *m, const char *what)
{
	if (!m->wrong)
		m->wrong = what;
}

/* ---- The model: who answers one byte ---- */

static const struct model_region *owner(const struct machine *m, int space, uint64_t address,
					uint64_t *offset)
{
	bool tried[REGIONS] = { false };

	if (address > space_last(space))
		return NULL;
	for (;;) {
		const struct model_region *best = NULL, *found;

		for (unsigned i = 0; i < REGIONS; i++) {
			const struct model_region *r = &m->regions[i];

			if (!r->present || !r->enabled || r->space != space || tried[i] ||
			    address < r->first || address > r->last)
				continue;
			if (!best || r->priority > best->priority ||
			    (r->priority == best->priority && r->rank < best->rank))
				best = r;
		}
		if (!best)
			return NULL;
		if (best->nested < 0) {
			*offset = address - best->first;
			return best;
		}
		if (address - best->first <= UINT64_MAX - best->nested_first) {
			found = owner(m, best->nested, address - best->first + best->nested_first, offset);
			if (found)
				return found;
		}
		tried[best - m->regions] = true;
	}
}

static uint8_t byte_of(unsigned serial, uint64_t offset)
{
	return (uint8_t)(serial * 37 + offset * 3);
}

/* ---- The real one's handlers ---- */

static void note(struct machine *m, unsigned serial, uint64_t offset, unsigned width, uint64_t value)
{
	if (m->piece_count < PIECES)
		m->pieces[m->piece_count] = (struct piece){ serial, width, offset, value };
	m->piece_count++;
}

static int read_life(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct life *life = opaque;

	*value = 0;
	for (unsigned i = 0; i < width; i++)
		*value |= (uint64_t)byte_of(life->serial, offset + i) << 8 * i;
	note(life->machine, life->serial, offset, width, *value);
	return 0;
}

static int write_life(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct life *life = opaque;

	note(life->machine, life->serial, offset, width, value);
	return 0;
}

static void life_released(void *opaque)
{
	struct life *life = opaque;

	__atomic_fetch_add(&life->released, 1, __ATOMIC_SEQ_CST);
}

static const struct bk_region_ops life_ops = { .read = read_life,
					       .write = write_life,
					       .released = life_released };

/* ---- Accesses ---- */

/* The pieces that an access must reach handlers in; returns how many runs of bytes nobody answers. */
static unsigned expect(const struct machine *m, int space, uint64_t address, unsigned width,
		       struct piece *pieces, unsigned *count, uint8_t *bytes)
{
	unsigned unclaimed = 0;
	bool before_unclaimed = false;

	*count = 0;
	for (unsigned i = 0; i < width;) {
		const struct model_region *r = NULL, *next;
		uint64_t offset = 0, next_offset;
		unsigned run = 1;

		if (address + i >= address)
			r = owner(m, space, address + i, &offset);
		if (!r) {
			unclaimed += !before_unclaimed;
			before_unclaimed = true;
			bytes[i++] = 0xff;
			continue;
		}
		before_unclaimed = false;
		while (i + run < width && address + i + run >= address) {
			next = owner(m, space, address + i + run, &next_offset);
			if (next != r || next_offset != offset + run)
				break;
			run++;
		}
		for (unsigned j = 0; j < run; j++)
			bytes[i + j] = byte_of(r->serial, offset + r->base + j);
		for (unsigned done = 0; done < run;) {
			unsigned w = 8;

			if (run == width && (width & (width - 1)) == 0 && width <= 8) {
				w = width;
			} else {
				while (w > run - done || (address + i + done) % w)
					w /= 2;
			}
			if (*count < PIECES)
				pieces[*count] = (struct piece){ r->serial, w, offset + r->base + done, 0 };
			++*count;
			done += w;
		}
		i += run;
	}
	return unclaimed;
}

static void access_once(struct machine *m, const struct model_op *op)
{
	static const unsigned widths[] = { 1, 2, 4, 8, 3, 5, 6, 7, 12, 24, 40 };
	int space = op->a % SPACES;
	uint64_t address = place(op->b) + op->x % 3 - 1;
	unsigned width = widths[op->c % 11], count, unclaimed;
	struct piece pieces[PIECES];
	uint8_t bytes[40], data[40];
	bool write = op->x & 0x100;
	struct bk_space_stats stats = { 0 };
	uint64_t value = 0;
	int error;

	unclaimed = expect(m, space, address, width, pieces, &count, bytes);
	for (unsigned i = 0; i < 40; i++)
		data[i] = (uint8_t)(i * 7 + op->x);
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)data[i] << 8 * i;
	m->piece_count = 0;
	if (width <= 8 && op->x & 0x200)
		error = write ? bk_space_write(m->spaces[space], address, width, value)
			      : bk_space_read(m->spaces[space], address, width, &value);
	else
		error = write ? bk_space_write_bytes(m->spaces[space], address, data, width)
			      : bk_space_read_bytes(m->spaces[space], address, data, width);
	if (error)
		wrong(m, "an access failed");
	if (!write && width <= 8 && op->x & 0x200) {
		if (width < 8 && value >> 8 * width)
			wrong(m, "a value is wider than its access");
		for (unsigned i = 0; i < width; i++)
			data[i] = (uint8_t)(value >> 8 * i);
	}
	if (!write && memcmp(data, bytes, width) != 0)
		wrong(m, "a read gave other bytes");
	if (m->piece_count != count)
		wrong(m, "an access came in another number of pieces");
	for (unsigned i = 0, at = 0; i < count && i < PIECES && !m->wrong; i++) {
		const struct piece *is = &m->pieces[i], *should = &pieces[i];

		if (is->serial != should->serial || is->offset != should->offset ||
		    is->width != should->width)
			wrong(m, "a piece went elsewhere");
		if (write && !unclaimed) {
			for (unsigned j = 0; j < is->width; j++) {
				if ((uint8_t)(is->value >> 8 * j) != data[at + j])
					wrong(m, "a piece of a write has other bytes");
			}
		}
		at += is->width;
	}
	*(write ? &m->unclaimed_writes[space] : &m->unclaimed_reads[space]) += unclaimed;
	bk_space_stats(m->spaces[space], &stats);
	if (stats.unclaimed_reads != m->unclaimed_reads[space] ||
	    stats.unclaimed_writes != m->unclaimed_writes[space])
		wrong(m, "unclaimed pieces are not counted as they are");
}

/* ---- Listeners ---- */

static struct told told_of(const struct bk_flat *flat)
{
	return (struct told){ flat->first, flat->last, flat->offset, flat->region };
}

static bool same(const struct told *a, const struct told *b)
{
	return a->first == b->first && a->last == b->last && a->offset == b->offset && a->region == b->region;
}

static void ear_begin(void *opaque, bool overlap)
{
	struct ear *ear = opaque;

	if (ear->inside)
		wrong(ear->machine, "begin came twice");
	ear->inside = true;
	ear->overlap = overlap;
	ear->gone_count = ear->come_count = 0;
}

static void ear_removed(void *opaque, const struct bk_flat *flat)
{
	struct ear *ear = opaque;
	struct told told = told_of(flat);

	if (!ear->inside || ear->come_count)
		wrong(ear->machine, "a removal came out of order");
	for (unsigned i = 0; i < ear->count; i++) {
		if (same(&ear->flats[i], &told)) {
			ear->flats[i] = ear->flats[--ear->count];
			if (ear->gone_count < FLATS)
				ear->gone[ear->gone_count++] = told;
			return;
		}
	}
	wrong(ear->machine, "a removal of what was never told");
}

static void ear_added(void *opaque, const struct bk_flat *flat)
{
	struct ear *ear = opaque;
	struct told told = told_of(flat);

	if (!ear->inside)
		wrong(ear->machine, "an addition came out of order");
	if (ear->mapped_only != (flat->memory != NULL) && ear->mapped_only)
		wrong(ear->machine, "told of what is not mapped");
	for (unsigned i = 0; i < ear->gone_count; i++) {
		if (same(&ear->gone[i], &told))
			wrong(ear->machine, "told of what stays");
	}
	if (ear->count == FLATS) {
		wrong(ear->machine, "more ranges than can be");
		return;
	}
	ear->flats[ear->count++] = told;
	ear->come[ear->come_count++ % FLATS] = told;
}

static void ear_end(void *opaque)
{
	struct ear *ear = opaque;
	bool overlap = false;

	if (!ear->inside)
		wrong(ear->machine, "end without begin");
	ear->inside = false;
	for (unsigned i = 0; i < ear->gone_count; i++) {
		for (unsigned j = 0; j < ear->come_count; j++)
			overlap |= ear->gone[i].first <= ear->come[j].last &&
				   ear->come[j].first <= ear->gone[i].last;
	}
	if (overlap != ear->overlap)
		wrong(ear->machine, "overlap is not told as it is");
}

static const struct bk_listener_ops hear_all = {
	.begin = ear_begin, .removed = ear_removed, .added = ear_added, .end = ear_end, .mapped_only = false
};
static const struct bk_listener_ops hear_mapped = {
	.begin = ear_begin, .removed = ear_removed, .added = ear_added, .end = ear_end, .mapped_only = true
};

/* ---- Looking at the whole view ---- */

struct looking {
	struct machine *machine;
	int space;
	struct told flats[FLATS];
	unsigned count;
};

static bool look(void *opaque, const struct bk_flat *flat)
{
	struct looking *looking = opaque;
	struct told *last = looking->count ? &looking->flats[looking->count - 1] : NULL;

	if (flat->last < flat->first || (last && flat->first <= last->last))
		wrong(looking->machine, "a view is out of order");
	if (last && last->last + 1 == flat->first && last->region == flat->region &&
	    last->offset + (last->last - last->first) + 1 == flat->offset)
		wrong(looking->machine, "a view has a needless cut");
	if (looking->count < FLATS)
		looking->flats[looking->count++] = told_of(flat);
	return true;
}

static void check_views(struct machine *m)
{
	for (int space = 0; space < SPACES; space++) {
		struct looking looking = { .machine = m, .space = space };
		unsigned at = 0;

		bk_space_visit(m->spaces[space], 0, UINT64_MAX, look, &looking);
		for (unsigned i = 0; i < 160; i++) {
			uint64_t address = place(i), offset = 0;
			const struct model_region *r = owner(m, space, address, &offset);
			const struct told *flat;

			while (at < looking.count && looking.flats[at].last < address)
				at++;
			flat = at < looking.count && looking.flats[at].first <= address ? &looking.flats[at]
											: NULL;
			if (!r != !flat || (r && (flat->region != r->real ||
						  flat->offset + (address - flat->first) != offset)))
				wrong(m, "a view names another owner");
		}
		for (unsigned i = 0; i < LISTENERS; i++) {
			const struct ear *ear = &m->ears[i];
			unsigned found = 0, wanted = 0;

			if (!ear->listener || ear->space != space)
				continue;
			for (unsigned j = 0; j < looking.count; j++) {
				bool mapped = false;

				for (unsigned k = 0; k < REGIONS; k++)
					mapped |= m->regions[k].present && m->regions[k].mapped &&
						  m->regions[k].real == looking.flats[j].region;
				if (ear->mapped_only && !mapped)
					continue;
				wanted++;
				for (unsigned k = 0; k < ear->count; k++)
					found += same(&ear->flats[k], &looking.flats[j]);
			}
			if (found != wanted || wanted != ear->count)
				wrong(m, "what a listener was told is not the view");
		}
	}
}

/* ---- Changes ---- */

static bool reaches(const struct model_region *regions, int from, int to, unsigned depth)
{
	if (from == to)
		return true;
	for (unsigned i = 0; i < REGIONS && depth < SPACES + 1; i++) {
		if (regions[i].present && regions[i].nested >= 0 && regions[i].space == from &&
		    reaches(regions, regions[i].nested, to, depth + 1))
			return true;
	}
	return false;
}

static bool twins(const struct model_region *regions)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (regions[i].present && regions[j].present &&
			    regions[i].space == regions[j].space &&
			    regions[i].priority == regions[j].priority && regions[i].rank == regions[j].rank)
				return true;
		}
	}
	return false;
}

static bool loops(const struct model_region *regions)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		if (regions[i].present && regions[i].nested >= 0 &&
		    reaches(regions, regions[i].nested, regions[i].space, 0))
			return true;
	}
	return false;
}

/* Every region not removed when the machine stops is released with its space. */
static struct life *begin_life(struct machine *m)
{
	struct life *life = calloc(1, sizeof(*life));

	if (!life)
		return NULL;
	life->machine = m;
	life->serial = ++m->serials;
	life->next = m->lives;
	m->lives = life;
	return life;
}

static void lives_end(struct machine *m, unsigned serial)
{
	for (struct life *life = m->lives; life; life = life->next) {
		if (life->serial == serial)
			life->expected = 1;
	}
}

static int change_add(struct machine *m, struct bk_update *u, struct model_region *r,
		      const struct model_op *op)
{
	struct life *life = begin_life(m);
	uint64_t a = place(op->b), b = place(op->c);
	struct bk_region_desc desc = { .name = "r", .ops = &life_ops, .opaque = life };
	static uint8_t host[8];
	int error, expected = 0;

	if (!life)
		return 0;
	desc.first = a < b || op->x % 61 == 0 ? a : b;
	desc.last = a < b || op->x % 61 == 0 ? b : a;
	desc.priority = (int)(op->x >> 4) % 3 - 1;
	desc.rank = op->x >> 8 & 7;
	desc.disabled = (op->x >> 12 & 7) == 0;
	desc.base = op->x >> 16 & 1 ? 0x1000 : 0;
	r->space = op->a % SPACES;
	r->nested = -1;
	r->mapped = false;
	if ((op->x >> 20 & 3) == 0) {
		r->nested = (int)(op->x >> 22) % SPACES;
		desc.kind = BK_REGION_NESTED;
		desc.nested = m->spaces[r->nested];
		desc.nested_first = place(op->x >> 24);
		if (desc.last >= desc.first && desc.last - desc.first > UINT64_MAX - desc.nested_first)
			expected = -EINVAL;
	} else if ((op->x >> 20 & 3) == 1) {
		r->mapped = true;
		desc.kind = BK_REGION_MAPPED;
		desc.memory = (struct bk_memory){ .host = host, .fd = -1, .attributes = BK_MEMORY_DEVICE };
	}
	if (desc.last < desc.first || desc.last > space_last(r->space))
		expected = -EINVAL;
	if (m->stuck)
		expected = m->stuck;
	error = bk_update_add(u, m->spaces[r->space], &desc, &r->real);
	if (!error != !!r->real)
		wrong(m, "an add that was refused made a region");
	if (error != expected && error != -ENOMEM)
		wrong(m, "add returned something else");
	if (error)
		return error;
	r->present = true;
	r->serial = life->serial;
	r->first = desc.first;
	r->last = desc.last;
	r->nested_first = desc.nested_first;
	r->base = desc.base;
	r->priority = desc.priority;
	r->rank = desc.rank;
	r->enabled = !desc.disabled;
	return 0;
}

/* Appends one change to the update, and applies it to the model's copy. */
static int change(struct machine *m, struct bk_update *u, struct model_region *regions,
		  const struct model_op *op)
{
	struct model_region *r = &regions[op->a / SPACES % REGIONS];
	int error, expected = 0;
	uint64_t a = place(op->b), b;

	if (!r->present)
		return change_add(m, u, r, op);
	switch (op->x % 8) {
	case 0:
		error = bk_update_remove(u, r->real);
		if (!error) {
			r->present = false;
			m->removed[m->removed_count++] = r->serial;
		}
		break;
	case 1:
		error = bk_update_enable(u, r->real, op->c & 1);
		if (!error)
			r->enabled = op->c & 1;
		break;
	case 2:
		error = bk_update_order(u, r->real, op->b % 3 - 1, op->c & 7);
		if (!error) {
			r->priority = op->b % 3 - 1;
			r->rank = op->c & 7;
		}
		break;
	case 3:
		if (r->nested < 0)
			expected = -EINVAL;
		error = bk_update_place(u, r->real, r->first, r->last, a);
		if (!error)
			r->nested_first = a;
		break;
	default:
		b = r->nested >= 0 && op->x & 0x100 ? place(op->c) : a + (r->last - r->first);
		if (b < a || b > space_last(r->space))
			expected = -EINVAL;
		error = bk_update_move(u, r->real, a, b);
		if (!error) {
			r->first = a;
			r->last = b;
		}
	}
	if (error != (m->stuck ? m->stuck : expected) && error != -ENOMEM)
		wrong(m, "a change was taken or refused unlike in the model");
	return error;
}

/* Would the change be refused? What an update of its own says. */
static bool is_refused(struct machine *m, const struct model_region *regions, const struct model_op *op)
{
	struct model_region copy[REGIONS];
	struct bk_update *u = bk_update_begin(m->domain);
	const unsigned removed_count = m->removed_count;
	const int stuck = m->stuck;
	int error;

	memcpy(copy, regions, sizeof(copy));
	m->stuck = 0;
	error = change(m, u, copy, op);
	bk_update_drop(u);
	m->removed_count = removed_count;
	m->stuck = stuck;
	return error != 0;
}

/* Does a nested region show addresses past the highest? */
static bool runs_past(const struct model_region *regions)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		const struct model_region *r = &regions[i];

		if (r->present && r->nested >= 0 && r->last - r->first > UINT64_MAX - r->nested_first)
			return true;
	}
	return false;
}

/* `count` operations make one update. */
static void update(struct machine *m, const struct model_op *ops, size_t count)
{
	struct model_region after[REGIONS];
	struct bk_update *u = bk_update_begin(m->domain);
	bool twin, loop, past;
	int error;

	if (!u)
		return;
	memcpy(after, m->regions, sizeof(after));
	m->removed_count = 0;
	m->stuck = 0;
	for (size_t i = 0; i < count; i++) {
		struct model_region *r = &after[ops[i].a / SPACES % REGIONS];

		/* A slot whose region this update has removed waits for the next. */
		if (!r->present && m->regions[r - after].present)
			continue;
		/* An error sticks, so few updates have one. */
		if (is_refused(m, after, &ops[i]) && ops[i].x & 0x3800)
			continue;
		error = change(m, u, after, &ops[i]);
		if (!m->stuck)
			m->stuck = error;
	}
	if (ops[0].x >> 28 == 0) {
		bk_update_drop(u);
		return;
	}
	twin = twins(after);
	loop = loops(after);
	past = runs_past(after);
	error = bk_update_commit(u, NULL);
	if (error == -ENOMEM)
		return;
	if (m->stuck && error != m->stuck)
		wrong(m, "a commit does not return the first error");
	if (m->stuck)
		return;
	if (!error && (twin || loop || past))
		wrong(m, "an update that breaks a rule was taken");
	if (error && !(error == -EEXIST && twin) && !(error == -ELOOP && loop) && !(error == -EINVAL && past))
		wrong(m, "a good update was refused");
	if (error)
		return;
	for (unsigned i = 0; i < m->removed_count; i++)
		lives_end(m, m->removed[i]);
	memcpy(m->regions, after, sizeof(after));
}

static void rebirth(struct machine *m, int space)
{
	bool busy = false;
	int error;

	for (unsigned i = 0; i < REGIONS; i++)
		busy |= m->regions[i].present && m->regions[i].nested == space;
	for (unsigned i = 0; i < LISTENERS; i++)
		busy |= m->ears[i].listener && m->ears[i].space == space;
	error = bk_space_destroy(m->spaces[space]);
	if (error != (busy ? -EBUSY : 0))
		wrong(m, "a space was destroyed or kept unlike in the model");
	if (error)
		return;
	for (unsigned i = 0; i < REGIONS; i++) {
		if (m->regions[i].present && m->regions[i].space == space) {
			lives_end(m, m->regions[i].serial);
			m->regions[i].present = false;
		}
	}
	do /* only without memory does this fail, and then it is tried again */
		m->spaces[space] = bk_space_create(m->domain, "again", space_last(space));
	while (!m->spaces[space]);
	m->unclaimed_reads[space] = m->unclaimed_writes[space] = 0;
}

static void listen(struct machine *m, const struct model_op *op)
{
	struct ear *ear = &m->ears[op->a % LISTENERS];

	if (ear->listener) {
		bk_listener_remove(ear->listener);
		ear->listener = NULL;
		if (ear->count)
			wrong(m, "a listener that left was not told of all removals");
		return;
	}
	memset(ear, 0, sizeof(*ear));
	ear->machine = m;
	ear->space = op->b % SPACES;
	ear->mapped_only = op->c & 1;
	if (bk_listener_add(m->spaces[ear->space], ear->mapped_only ? &hear_mapped : &hear_all, ear,
			    &ear->listener))
		ear->listener = NULL;
}

static void finish(struct machine *m)
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		if (m->ears[i].listener)
			bk_listener_remove(m->ears[i].listener);
	}
	for (bool again = true; again;) {
		/* Parents first: a space that is shown stays. */
		again = false;
		for (int i = 0; i < SPACES; i++) {
			if (m->spaces[i] && bk_space_destroy(m->spaces[i]) == 0) {
				m->spaces[i] = NULL;
				again = true;
			}
		}
	}
	for (unsigned i = 0; i < REGIONS; i++) {
		if (m->regions[i].present)
			lives_end(m, m->regions[i].serial);
	}
	if (bk_domain_destroy(m->domain))
		wrong(m, "the domain does not go");
	while (m->lives) {
		struct life *life = m->lives;

		if (life->released != life->expected)
			wrong(m, "a region was not released once");
		m->lives = life->next;
		free(life);
	}
}

static const char *run(const struct model_op *ops, size_t count, size_t *at)
{
	struct machine *m = calloc(1, sizeof(*m));
	const char *result;
	size_t i;

	*at = 0;
	if (!m)
		return NULL;
	m->domain = bk_domain_create();
	if (!m->domain) {
		free(m);
		return NULL;
	}
	if (count && ops[0].b & 1)
		m->domain->leaf_spans = 4; /* the spans here are not many */
	for (int space = 0; space < SPACES; space++) {
		do
			m->spaces[space] = bk_space_create(m->domain, "space", space_last(space));
		while (!m->spaces[space]);
	}
	for (i = 0; i < count && !m->wrong; i++) {
		const struct model_op *op = &ops[i];
		size_t length = 1;

		*at = i;
		if (op->what < 80) {
			/* The operations that follow and ask for the same are part of the update. */
			while (op->what % 4 && length <= op->what % 4u && i + length < count)
				length++;
			update(m, op, length);
			i += length - 1;
			if (op->what % 8 == 0)
				check_views(m);
		} else if (op->what < 82) {
			rebirth(m, op->a % SPACES);
		} else if (op->what < 85) {
			listen(m, op);
		} else {
			access_once(m, op);
		}
	}
	if (!m->wrong)
		check_views(m);
	finish(m);
	result = m->wrong;
	free(m);
	return result;
}

static void describe(const struct model_op *op, char *line, size_t size)
{
	const char *what = op->what < 80   ? "change"
			   : op->what < 82 ? "rebirth"
			   : op->what < 85 ? "listen"
					   : "access";

	snprintf(line, size,
		 "{ %u, %u, %u, %u, 0x%08" PRIx32 " }, /* %s: space %u or region %u, 0x%" PRIx64 " 0x%" PRIx64
		 " */",
		 op->what, op->a, op->b, op->c, op->x, what, op->a % SPACES, op->a / SPACES % REGIONS,
		 place(op->b), place(op->c));
}

const struct model space_model = { .run = run, .describe = describe };
