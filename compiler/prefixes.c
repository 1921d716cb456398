// SPDX-License-Identifier: BSD-2-Clause
#include "prefixes.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a block: an insertion moves half of it, a division makes two of it. */
#define BLOCK_MOST 512
#define BLOCK_FILL 384

/* --- entries as numbers --- */

struct pf_prefix_key pf_prefix_key_of(uint8_t af, const void *addr, uint8_t bits, bool neg,
				      uint32_t at)
{
	struct pf_prefix_key k = {.at = at, .bits = bits, .neg = neg};
	uint64_t w[2];
	uint32_t v4;

	if (af == PF_AF_INET) {
		memcpy(&v4, addr, sizeof(v4));
		k.lo = ntohl(v4);
		return k;
	}
	memcpy(w, addr, sizeof(w));
	k.hi = be64toh(w[0]);
	k.lo = be64toh(w[1]);
	return k;
}

struct pf_prefix pf_prefix_of_key(const struct pf_prefix_key *k)
{
	return (struct pf_prefix){
		.addr = (pf_u128)k->hi << 64 | k->lo, .bits = k->bits, .neg = k->neg};
}

static struct pf_addr packet_addr(uint64_t hi, uint64_t lo, uint8_t af)
{
	const uint64_t w[2] = {htobe64(hi), htobe64(lo)};
	struct pf_addr a = {.w = {0}};

	if (af == PF_AF_INET)
		a.w[0] = htonl((uint32_t)lo);
	else
		memcpy(&a, w, sizeof(w));
	return a;
}

struct pf_addr pf_prefix_addr(const struct pf_prefix *p, uint8_t af)
{
	return packet_addr((uint64_t)(p->addr >> 64), (uint64_t)p->addr, af);
}

void pf_prefix_to_item(const struct pf_prefix_key *k, uint8_t af, struct pf_table_item *out)
{
	out->addr = packet_addr(k->hi, k->lo, af);
	out->bits = k->bits;
	out->flags = k->neg ? PF_TABLE_ENTRY_NOT : 0;
	out->pad = 0;
	out->since = k->since;
}

/* --- sorting --- */

static int compare(const struct pf_prefix_key *a, const struct pf_prefix_key *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return (a->bits > b->bits) - (a->bits < b->bits);
}

bool pf_prefix_same(const struct pf_prefix_key *a, const struct pf_prefix_key *b)
{
	return compare(a, b) == 0;
}

/* Digits from the last to the first: the length, and the address's bytes. */
#define DIGITS 17

static uint8_t digit(const struct pf_prefix_key *k, int d)
{
	if (d == 0)
		return k->bits;
	return (uint8_t)(d <= 8 ? k->lo >> 8 * (d - 1) : k->hi >> 8 * (d - 9));
}

static void sort_few(struct pf_prefix_key *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct pf_prefix_key k = v[i];
		size_t j = i;

		for (; j && compare(&v[j - 1], &k) > 0; j--)
			v[j] = v[j - 1];
		v[j] = k;
	}
}

/* From v to `to`, by one digit; false if all have the same, and nothing was done. */
static bool distribute(const struct pf_prefix_key *v, struct pf_prefix_key *to, size_t n, int d)
{
	size_t count[256] = {0}, sum = 0;

	for (size_t i = 0; i < n; i++)
		count[digit(&v[i], d)]++;
	if (count[digit(&v[0], d)] == n)
		return false;
	for (int i = 0; i < 256; i++) {
		size_t here = count[i];

		count[i] = sum;
		sum += here;
	}
	for (size_t i = 0; i < n; i++)
		to[count[digit(&v[i], d)]++] = v[i];
	return true;
}

int pf_prefix_sort(struct pf_prefix_key *v, size_t n)
{
	struct pf_prefix_key *from = v, *to, *spare;
	size_t i = 1;

	while (i < n && compare(&v[i - 1], &v[i]) <= 0)
		i++;
	if (i >= n)
		return 0;
	if (n <= 32) {
		sort_few(v, n);
		return 0;
	}
	to = spare = reallocarray(NULL, n, sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	for (int d = 0; d < DIGITS; d++) {
		struct pf_prefix_key *was = from;

		if (!distribute(from, to, n, d))
			continue;
		from = to;
		to = was;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
	free(spare);
	return 0;
}

/* --- the order --- */

void pf_prefixes_init(struct pf_prefixes *s, uint8_t af, const struct pf_table_item *items)
{
	memset(s, 0, sizeof(*s));
	s->width = pf_prefix_width(af);
	s->items = items;
}

void pf_prefixes_free(struct pf_prefixes *s)
{
	for (size_t i = 0; i < s->nblocks; i++)
		free(s->block[i].ref);
	free(s->block);
	s->block = NULL;
	s->nblocks = s->capacity = s->n = 0;
}

static struct pf_prefix of_item(const struct pf_prefixes *s, uint32_t ref)
{
	const struct pf_table_item *e = &s->items[ref];
	struct pf_prefix p = {.bits = e->bits, .neg = e->flags & PF_TABLE_ENTRY_NOT};
	uint64_t w[2];

	if (s->width == 32) {
		p.addr = ntohl(e->addr.w[0]);
		return p;
	}
	memcpy(w, &e->addr, sizeof(w));
	p.addr = (pf_u128)be64toh(w[0]) << 64 | be64toh(w[1]);
	return p;
}

static bool before(const struct pf_prefix *a, const struct pf_prefix *b)
{
	return a->addr < b->addr || (a->addr == b->addr && a->bits < b->bits);
}

struct pf_prefix_place pf_prefixes_first(void)
{
	return (struct pf_prefix_place){0};
}

bool pf_prefixes_end(const struct pf_prefixes *s, struct pf_prefix_place p)
{
	return p.block >= s->nblocks;
}

void pf_prefixes_next(const struct pf_prefixes *s, struct pf_prefix_place *p)
{
	if (++p->i < s->block[p->block].n)
		return;
	p->block++;
	p->i = 0;
}

/* The place before it, which there must be. */
static void step_back(const struct pf_prefixes *s, struct pf_prefix_place *p)
{
	if (p->i == 0)
		p->i = s->block[--p->block].n;
	p->i--;
}

uint32_t pf_prefixes_ref(const struct pf_prefixes *s, struct pf_prefix_place p)
{
	return s->block[p.block].ref[p.i];
}

struct pf_prefix pf_prefixes_get(const struct pf_prefixes *s, struct pf_prefix_place p)
{
	return of_item(s, pf_prefixes_ref(s, p));
}

/* The last block whose first entry is not behind p. */
static size_t block_for(const struct pf_prefixes *s, const struct pf_prefix *p)
{
	size_t lo = 0, hi = s->nblocks;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		struct pf_prefix e = of_item(s, s->block[mid].ref[0]);

		if (before(p, &e))
			hi = mid;
		else
			lo = mid;
	}
	return lo;
}

struct pf_prefix_place pf_prefixes_find(const struct pf_prefixes *s, const struct pf_prefix *p,
					bool *exact)
{
	struct pf_prefix_place at = {0};
	const struct pf_prefix_block *b;
	struct pf_prefix e;
	uint32_t lo = 0, hi;

	*exact = false;
	if (!s->nblocks)
		return at;
	at.block = block_for(s, p);
	b = &s->block[at.block];
	hi = b->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		e = of_item(s, b->ref[mid]);
		if (before(&e, p))
			lo = mid + 1;
		else
			hi = mid;
	}
	at.i = lo;
	if (lo == b->n) {
		at.block++;
		at.i = 0;
		return at;
	}
	e = of_item(s, b->ref[lo]);
	*exact = e.addr == p->addr && e.bits == p->bits;
	return at;
}

/* Bits that both have in common from the first on. */
static int common(pf_u128 a, pf_u128 b, uint8_t width)
{
	pf_u128 x = a ^ b;
	uint64_t hi = (uint64_t)(x >> 64), lo = (uint64_t)x;
	int top = hi ? 64 + 63 - __builtin_clzll(hi) : lo ? 63 - __builtin_clzll(lo) : -1;

	return width - 1 - top;
}

/*
 * The last entry that is not behind the address itself covers it, or has the first
 * c bits in common with it: then what covers it is before, and has at most c bits.
 */
bool pf_prefixes_cover(const struct pf_prefixes *s, pf_u128 addr, int bits, struct pf_prefix *out)
{
	while (bits >= 0) {
		struct pf_prefix want = {.bits = (uint8_t)bits};
		struct pf_prefix_place at;
		bool exact;
		int c;

		want.addr = addr & ~pf_prefix_host(s->width, want.bits);
		at = pf_prefixes_find(s, &want, &exact);
		if (!exact && !at.block && !at.i)
			return false;
		if (!exact)
			step_back(s, &at);
		*out = pf_prefixes_get(s, at);
		c = common(out->addr, addr, s->width);
		if (c >= out->bits)
			return true;
		bits = c < bits ? c : bits - 1;
	}
	return false;
}

/* --- changes --- */

static bool room_for_blocks(struct pf_prefixes *s, size_t n)
{
	size_t want = s->capacity ? s->capacity : 4;
	struct pf_prefix_block *b;

	if (n <= s->capacity)
		return true;
	while (want < n)
		want *= 2;
	b = reallocarray(s->block, want, sizeof(*b));
	if (!b)
		return false;
	s->block = b;
	s->capacity = want;
	return true;
}

static bool room_in_block(struct pf_prefix_block *b, uint32_t n)
{
	uint32_t want = b->capacity ? b->capacity : 8, *ref;

	if (n <= b->capacity)
		return true;
	while (want < n)
		want *= 2;
	ref = reallocarray(b->ref, want, sizeof(*ref));
	if (!ref)
		return false;
	b->ref = ref;
	b->capacity = want;
	return true;
}

static struct pf_prefix_block *new_block(struct pf_prefixes *s, size_t at, uint32_t room)
{
	struct pf_prefix_block b = {0};

	if (!room_for_blocks(s, s->nblocks + 1) || !room_in_block(&b, room))
		return NULL;
	memmove(&s->block[at + 1], &s->block[at], (s->nblocks - at) * sizeof(b));
	s->block[at] = b;
	s->nblocks++;
	return &s->block[at];
}

int pf_prefixes_fill(struct pf_prefixes *s, const uint32_t *refs, size_t n)
{
	for (size_t at = 0; at < n; at += BLOCK_FILL) {
		uint32_t part = (uint32_t)(n - at < BLOCK_FILL ? n - at : BLOCK_FILL);
		struct pf_prefix_block *b = new_block(s, s->nblocks, part);

		if (!b) {
			pf_prefixes_free(s);
			return -ENOMEM;
		}
		memcpy(b->ref, refs + at, part * sizeof(*refs));
		b->n = part;
	}
	s->n = n;
	return 0;
}

/* Makes two blocks of a full one; the place goes along. */
static int divide(struct pf_prefixes *s, struct pf_prefix_place *p)
{
	struct pf_prefix_block *b, *more = new_block(s, p->block + 1, BLOCK_MOST);
	const uint32_t half = BLOCK_MOST / 2;

	if (!more)
		return -ENOMEM;
	b = more - 1;
	more->n = b->n - half;
	memcpy(more->ref, b->ref + half, more->n * sizeof(*b->ref));
	b->n = half;
	if (p->i > half) {
		p->block++;
		p->i -= half;
	}
	return 0;
}

int pf_prefixes_insert(struct pf_prefixes *s, struct pf_prefix_place p, uint32_t ref)
{
	struct pf_prefix_block *b;

	if (!s->nblocks && !new_block(s, 0, 1))
		return -ENOMEM;
	if (p.block == s->nblocks) {
		p.block--;
		p.i = s->block[p.block].n;
	}
	if (s->block[p.block].n == BLOCK_MOST && divide(s, &p))
		return -ENOMEM;
	b = &s->block[p.block];
	if (!room_in_block(b, b->n + 1)) {
		if (!b->n) /* just made: none may be empty */
			pf_prefixes_free(s);
		return -ENOMEM;
	}
	memmove(&b->ref[p.i + 1], &b->ref[p.i], (b->n - p.i) * sizeof(*b->ref));
	b->ref[p.i] = ref;
	b->n++;
	s->n++;
	return 0;
}

void pf_prefixes_remove(struct pf_prefixes *s, struct pf_prefix_place p)
{
	struct pf_prefix_block *b = &s->block[p.block];

	memmove(&b->ref[p.i], &b->ref[p.i + 1], (b->n - p.i - 1) * sizeof(*b->ref));
	s->n--;
	if (--b->n)
		return;
	free(b->ref);
	s->nblocks--;
	memmove(b, b + 1, (s->nblocks - p.block) * sizeof(*b));
}
