// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ranges of tables: built and changed by the compiler, looked up by the
 * datapath's own code, against a search for the longest prefix among all entries.
 */
#include "ranges_mem.h"

/* --- the plain reading --- */

struct naive {
	struct pf_prefix v[4096];
	size_t n;
};

static bool covers(const struct pf_prefix *p, uint8_t width, pf_u128 addr)
{
	return p->addr <= addr && addr <= pf_prefix_last(p, width);
}

static bool naive_in(const struct naive *s, uint8_t width, pf_u128 addr)
{
	const struct pf_prefix *best = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (covers(&s->v[i], width, addr) && (!best || s->v[i].bits > best->bits))
			best = &s->v[i];
	return best && !best->neg;
}

static struct pf_prefix *naive_find(struct naive *s, const struct pf_prefix *p)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].addr == p->addr && s->v[i].bits == p->bits)
			return &s->v[i];
	return NULL;
}

static void naive_add(struct naive *s, const struct pf_prefix *p)
{
	assert_true(s->n < ARRAY_SIZE(s->v));
	s->v[s->n++] = *p;
}

static void naive_delete(struct naive *s, struct pf_prefix *p)
{
	*p = s->v[--s->n];
}

/* --- what each test begins with --- */

static struct pf_nodes nodes;
static struct naive entries; /* what the table that is open should hold */

static int setup(void **state)
{
	(void)state;
	mem_open(&nodes);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_close(&nodes);
	return 0;
}

static void open_empty(struct mem_table *t, size_t room)
{
	entries.n = 0;
	mem_table_open(t, &nodes, room);
}

/* --- prefixes by chance --- */

static pf_u128 rnd_u128(struct rnd *r)
{
	return (pf_u128)rnd_next(r) << 64 | rnd_next(r);
}

/* What the sets are like: from everywhere, or crowded and nested. */
struct shape {
	const char *name;
	unsigned int bits_least, bits_most; /* of IPv6 addresses; IPv4's are a quarter */
	unsigned int spread;		    /* leading bits that vary, of 128 */
	unsigned int near;		    /* percent that begin or end where another does */
	unsigned int neg;		    /* percent */
};

static const struct shape shapes[] = {
	{"everywhere", 16, 128, 128, 20, 30},	    {"hosts", 128, 128, 128, 30, 0},
	{"hosts of one net", 128, 128, 12, 50, 20}, {"nested", 0, 128, 6, 70, 50},
	{"all lengths", 0, 128, 128, 50, 40},	    {"short", 0, 20, 128, 10, 50},
};

/* Two rounds of each, for both families. */
static const struct shape *shape_of(int round)
{
	return &shapes[round / 2 % (int)ARRAY_SIZE(shapes)];
}

static struct pf_prefix rnd_prefix(struct rnd *r, uint8_t width, const struct shape *sh,
				   const struct naive *s)
{
	const unsigned int part = 128U / width;
	unsigned int least = sh->bits_least / part, most = sh->bits_most / part;
	struct pf_prefix p = {.neg = rnd_percent(r, sh->neg)};
	pf_u128 most_addr = pf_prefix_most(width);

	p.bits = (uint8_t)(least + rnd_below(r, most - least + 1));
	p.addr = (pf_u128)0x2001 << 112 | 0x0db8;
	p.addr = (p.addr >> (128 - width)) ^
		 (rnd_u128(r) & (most_addr >> (width - sh->spread / part)));
	if (rnd_percent(r, 5)) /* the ends of everything */
		p.addr = rnd_percent(r, 50) ? 0 : most_addr;
	if (s->n && rnd_percent(r, sh->near)) {
		const struct pf_prefix *other = &s->v[rnd_below(r, (uint32_t)s->n)];
		pf_u128 ends[] = {other->addr, pf_prefix_last(other, width), other->addr - 1,
				  pf_prefix_last(other, width) + 1};

		p.addr = rnd_pick(r, ends) & most_addr;
	}
	p.addr &= ~pf_prefix_host(width, p.bits);
	return p;
}

static struct pf_prefix_key key_of(const struct pf_prefix *p)
{
	return (struct pf_prefix_key){.hi = (uint64_t)(p->addr >> 64),
				      .lo = (uint64_t)p->addr,
				      .bits = p->bits,
				      .neg = p->neg};
}

/* --- checks --- */

static void check_address(struct mem_table *t, int f, const struct naive *s, pf_u128 addr)
{
	uint8_t width = t->set[f].width;

	addr &= pf_prefix_most(width);
	if (mem_in(t, f, addr) == naive_in(s, width, addr))
		return;
	for (size_t i = 0; i < s->n; i++)
		print_error("%s%016llx%016llx/%u\n", s->v[i].neg ? "!" : "",
			    (unsigned long long)(s->v[i].addr >> 64),
			    (unsigned long long)s->v[i].addr, s->v[i].bits);
	fail_msg("%016llx%016llx should be %s", (unsigned long long)(addr >> 64),
		 (unsigned long long)addr, naive_in(s, width, addr) ? "in" : "out");
}

/* All ends, those beside them, and some others. */
static void check_table(struct rnd *r, struct mem_table *t, int f, const struct naive *s,
			size_t most)
{
	uint8_t width = t->set[f].width;
	pf_u128 ends[] = {0, 1, pf_prefix_most(width), pf_prefix_most(width) - 1};
	size_t step = s->n > most ? s->n / most : 1;

	for (size_t i = rnd_below(r, (uint32_t)step); i < s->n; i += step) {
		check_address(t, f, s, s->v[i].addr);
		check_address(t, f, s, s->v[i].addr - 1);
		check_address(t, f, s, pf_prefix_last(&s->v[i], width));
		check_address(t, f, s, pf_prefix_last(&s->v[i], width) + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		check_address(t, f, s, ends[i]);
	for (size_t i = 0; i < 20; i++)
		check_address(t, f, s, rnd_u128(r));
}

/* What the tree holds is what is given out: the number of units. */
static size_t reachable(const struct pf_nodes *n, uint8_t width, uint32_t word, uint32_t before,
			unsigned int depth)
{
	const struct pf_range_split *s;
	size_t sum;

	assert_true(depth <= (width == 32 ? PF_RANGE_DEPTH4 : PF_RANGE_DEPTH6));
	switch (word & PF_RANGE_KIND) {
	case PF_RANGE_SAME:
		assert_int_equal(word & ~(uint32_t)PF_RANGE_IN, 0);
		return 0;
	case PF_RANGE_LEAF:
		return word == before ? 0 : width == 32 ? 1 : 2;
	default:
		assert_int_equal(word & PF_RANGE_KIND, PF_RANGE_SPLIT);
	}
	s = pf_nodes_at(n, word);
	sum = (sizeof(*s) + (s->last + 1) * sizeof(s->slot[0]) + PF_NODE_UNIT - 1) / PF_NODE_UNIT;
	before = 0;
	for (uint32_t i = 0; i <= s->last; i++) {
		sum += reachable(n, width, s->slot[i], before, depth + 1);
		if (s->slot[i] & PF_RANGE_KIND)
			before = s->slot[i];
	}
	return sum;
}

/* After all is gone: nothing is left in use. */
static void check_empty(void)
{
	for (int i = 0; i < 2; i++) {
		uint32_t word;

		/* a whole chunk is free, and what rests is waited for */
		assert_true(pf_nodes_alloc(&nodes, PF_NODE_UNITS, &word));
		pf_nodes_commit(&nodes);
		pf_nodes_free(&nodes, word, PF_NODE_UNITS);
		pf_nodes_commit(&nodes);
		pf_nodes_trim(&nodes);
		assert_int_equal(nodes.limbo.units, 0);
	}
	assert_int_equal(nodes.nchunks, 1);
	assert_int_equal(mem_now.made - mem_now.unmade, 1);
}

/* --- tests --- */

static void add_random(struct rnd *r, struct mem_table *t, int f, const struct shape *sh)
{
	struct pf_prefix p = rnd_prefix(r, t->set[f].width, sh, &entries);
	struct pf_prefix_key k = key_of(&p);
	bool there = naive_find(&entries, &p);

	assert_int_equal(mem_add(t, f, &k), !there);
	if (!there)
		naive_add(&entries, &p);
}

static void random_sets(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 240; round++) {
		const struct shape *sh = shape_of(round);
		static const size_t sizes[] = {0, 1, 2, 10, 30, 70, 200, 1000};
		size_t n = rnd_pick(&r, sizes);
		struct mem_table t;
		int f = round % 2;

		open_empty(&t, n);
		for (size_t i = 0; i < n; i++)
			add_random(&r, &t, f, sh);
		check_table(&r, &t, f, &entries, 200);
		mem_build(&t, f);
		check_table(&r, &t, f, &entries, 200);
		/* in the other family there is nothing */
		assert_false(mem_in(&t, !f, 0));
		mem_table_close(&t);
	}
	check_empty();
}

/* Entries come and go, one by one: after each all is as if it was made anew. */
static void random_changes(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 24; round++) {
		const struct shape *sh = shape_of(round);
		struct mem_table t;
		int f = round % 2;

		open_empty(&t, 1000);
		for (size_t i = 0; i < 1500; i++) {
			bool grow = i / 500 % 2 ? rnd_percent(&r, 30) : rnd_percent(&r, 75);

			if ((grow || !entries.n) && entries.n < 900) {
				add_random(&r, &t, f, sh);
			} else {
				struct pf_prefix *p =
					&entries.v[rnd_below(&r, (uint32_t)entries.n)];

				assert_true(mem_delete(&t, f, p));
				naive_delete(&entries, p);
			}
			if (i % 16 == 0)
				check_table(&r, &t, f, &entries, 10);
			reachable(&nodes, t.set[f].width, t.roots.word[f], 0, 1);
		}
		check_table(&r, &t, f, &entries, 1000);
		while (entries.n) {
			assert_true(mem_delete(&t, f, &entries.v[0]));
			naive_delete(&entries, &entries.v[0]);
		}
		assert_int_equal(t.roots.word[f] & PF_RANGE_KIND, PF_RANGE_SAME);
		mem_table_close(&t);
	}
	check_empty();
}

/* What an operation frees has its room in limbo: that is not emptied in its midst. */
static void no_wait_in_an_operation(void **state)
{
	uint32_t a, b, c;

	(void)state;
	assert_true(pf_nodes_alloc(&nodes, PF_NODE_UNITS, &a));
	assert_true(pf_nodes_alloc(&nodes, PF_NODE_UNITS, &b));
	pf_nodes_commit(&nodes);
	pf_nodes_free(&nodes, a, PF_NODE_UNITS);
	pf_nodes_commit(&nodes);
	pf_nodes_free(&nodes, b, PF_NODE_UNITS);
	assert_true(pf_nodes_alloc(&nodes, PF_NODE_UNITS, &c));
	assert_int_equal(mem_now.graces, 0);
	pf_nodes_commit(&nodes);
	assert_int_equal(nodes.limbo.units, 2 * PF_NODE_UNITS);
	assert_true(pf_nodes_alloc(&nodes, PF_NODE_UNITS, &a));
	assert_int_equal(mem_now.graces, 1);
	pf_nodes_commit(&nodes);
}

/* Addresses in a row, as they come from a log: the tree stays flat. */
static void in_order(void **state)
{
	(void)state;
	for (int f = 0; f < 2; f++) {
		for (int down = 0; down < 2; down++) {
			struct mem_table t;

			open_empty(&t, 6000);
			for (uint32_t i = 0; i < 6000; i++) {
				struct pf_prefix_key k = {.lo = 0x0a000000, .bits = f ? 128 : 32};

				k.lo += down ? 20000 - 2 * i : 2 * i;
				k.at = i;
				assert_int_equal(
					pf_prefixes_insert(
						&t.set[f],
						(struct pf_prefix_place){
							.block = down ? 0 : t.set[f].nblocks},
						i),
					0);
				pf_prefix_to_item(&k, mem_af[f], &t.items[i]);
				t.items[i].af = mem_af[f];
				mem_update(&t, f,
					   &(struct pf_prefix){.addr = k.lo, .bits = k.bits});
			}
			assert_true(reachable(&nodes, t.set[f].width, t.roots.word[f], 0, 1) <
				    4000);
			for (uint32_t i = 0; i < 6000; i++) {
				pf_u128 a = 0x0a000000 + (down ? 20000 - 2 * i : 2 * i);

				assert_true(mem_in(&t, f, a));
				assert_false(mem_in(&t, f, a + 1));
			}
			mem_table_close(&t);
		}
	}
	check_empty();
}

/* A prefix over prefixes: each length, with the sign changing, in both families. */
static void every_length(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int f = 0; f < 2; f++) {
		struct mem_table t;

		open_empty(&t, 200);
		for (unsigned int bits = 0; bits <= t.set[f].width; bits++) {
			struct pf_prefix p = {.bits = (uint8_t)bits, .neg = bits % 2};
			struct pf_prefix_key k;

			p.addr = ((pf_u128)0xc0a8ff00c0a8ff01 << 64 | 0x5555aaaac0a8ff01) &
				 pf_prefix_most(t.set[f].width) &
				 ~pf_prefix_host(t.set[f].width, p.bits);
			k = key_of(&p);
			assert_true(mem_add(&t, f, &k));
			assert_false(mem_add(&t, f, &k));
			naive_add(&entries, &p);
			check_table(&r, &t, f, &entries, 200);
		}
		mem_build(&t, f);
		check_table(&r, &t, f, &entries, 200);
		mem_table_close(&t);
	}
	check_empty();
}

/* What a packet sees while a change is made is all as before, until the one word is written. */
static void a_change_is_one_word(void **state)
{
	static struct naive before;
	struct rnd r = rnd_seeded();
	struct mem_table t;

	(void)state;
	open_empty(&t, 1000);
	for (size_t i = 0; i < 600; i++) {
		struct pf_prefix p = rnd_prefix(&r, 32, &shapes[3], &entries);
		struct pf_prefix_key k = key_of(&p);
		struct pf_ranges_change c;
		struct pf_prefix_place at;
		bool exact;

		at = pf_prefixes_find(&t.set[0], &p, &exact);
		if (exact)
			continue;
		before = entries;
		assert_int_equal(pf_prefixes_insert(&t.set[0], at, mem_item(&t, 0, &k)), 0);
		naive_add(&entries, &p);
		c = pf_ranges_update(&nodes, &t.set[0], t.roots.word[0], &p);
		check_table(&r, &t, 0, &before, 20);
		*(c.slot ? c.slot : &t.roots.word[0]) = c.word;
		check_table(&r, &t, 0, &entries, 20);
		pf_nodes_commit(&nodes);
		check_table(&r, &t, 0, &entries, 20);
	}
	mem_table_close(&t);
	check_empty();
}

/* No memory: the operation is void, and all that it took is free again. */
static void without_memory(void **state)
{
	struct rnd r = rnd_seeded();
	struct mem_table t;
	uint32_t word;

	(void)state;
	mem_now.chunks_most = 1;
	open_empty(&t, 300000);
	for (uint32_t i = 0; i < 300000; i++) {
		struct pf_prefix_key k = {.lo = 16 * (uint64_t)i, .bits = 32};

		pf_prefix_to_item(&k, PF_AF_INET, &t.items[i]);
		assert_int_equal(
			pf_prefixes_insert(&t.set[0],
					   (struct pf_prefix_place){.block = t.set[0].nblocks}, i),
			0);
	}
	word = pf_ranges_build(&nodes, &t.set[0]);
	(void)word;
	assert_int_equal(nodes.error, -ENOMEM);
	assert_int_equal(pf_nodes_abort(&nodes), -ENOMEM);
	assert_int_equal(nodes.error, 0);
	mem_now.chunks_most = 0;
	mem_build(&t, 0);
	for (int i = 0; i < 10000; i++) {
		uint32_t a = rnd_below(&r, 16 * 300000);

		assert_int_equal(mem_in(&t, 0, a), a % 16 == 0);
	}
	mem_table_close(&t);
	check_empty();
}

/* --- prefixes in order --- */

static void sorting(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t n = rnd_below(&r, round % 10 ? 50 : 3000);
		struct pf_prefix_key *v = calloc(n + 1, sizeof(*v));
		bool few = round % 2;

		for (size_t i = 0; i < n; i++) {
			v[i].hi = round % 3 ? 0 : rnd_next(&r) >> (few ? 60 : 0);
			v[i].lo = rnd_next(&r) >> (few ? 60 : 0);
			v[i].bits = (uint8_t)rnd_below(&r, few ? 3 : 129);
			v[i].at = (uint32_t)i;
		}
		assert_int_equal(pf_prefix_sort(v, n), 0);
		for (size_t i = 1; i < n; i++) {
			const struct pf_prefix_key *a = &v[i - 1], *b = &v[i];

			assert_true(a->hi <= b->hi);
			if (a->hi == b->hi)
				assert_true(a->lo <= b->lo);
			if (a->hi == b->hi && a->lo == b->lo)
				assert_true(a->bits <= b->bits);
			if (pf_prefix_same(a, b))
				assert_true(a->at < b->at);
		}
		free(v);
	}
}

/* The longest entry that covers an address, and with at most so many bits. */
static void covering(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 24; round++) {
		const struct shape *sh = shape_of(round);
		struct mem_table t;
		int f = round % 2;

		open_empty(&t, 1200);
		for (size_t i = 0; i < 1200; i++)
			add_random(&r, &t, f, sh);
		for (size_t i = 0; i < 500; i++) {
			pf_u128 a = entries.v[rnd_below(&r, (uint32_t)entries.n)].addr +
				    rnd_below(&r, 3);
			int most = (int)rnd_below(&r, t.set[f].width + 1U);
			const struct pf_prefix *best = NULL;
			struct pf_prefix got;

			a &= pf_prefix_most(t.set[f].width);
			for (size_t j = 0; j < entries.n; j++)
				if (covers(&entries.v[j], t.set[f].width, a) &&
				    entries.v[j].bits <= most &&
				    (!best || entries.v[j].bits > best->bits))
					best = &entries.v[j];
			assert_int_equal(pf_prefixes_cover(&t.set[f], a, most, &got), best != NULL);
			if (best) {
				assert_true(got.addr == best->addr);
				assert_int_equal(got.bits, best->bits);
				assert_int_equal(got.neg, best->neg);
			}
		}
		mem_table_close(&t);
	}
	check_empty();
}

/* A host in the delta is in, whatever the ranges say; where there is none nobody looks. */
static void the_delta_decides(void **state)
{
	const pf_u128 addr[2] = {0x0a010203, (pf_u128)0x20010db800000001 << 64 | 0x0a010203};
	struct mem_table t;

	(void)state;
	mem_table_open(&t, &nodes, 8);
	for (int f = 0; f < 2; f++) {
		const uint8_t width = pf_prefix_width(mem_af[f]);
		struct pf_prefix wide = {.addr = addr[f] >> 8 << 8, .bits = (uint8_t)(width - 8)};
		struct pf_table_net h = {.slot = 7, .af = mem_af[f], .bits = width};
		uint64_t hi = htobe64((uint64_t)(addr[f] >> 64)), lo = htobe64((uint64_t)addr[f]);
		uint32_t looks = mem_now.delta_looks, v4 = htonl((uint32_t)addr[f]);

		if (f) {
			memcpy(&h.addr.w[0], &hi, sizeof(hi));
			memcpy(&h.addr.w[2], &lo, sizeof(lo));
		} else {
			h.addr.w[0] = v4;
		}
		mem_now.added = &h;
		for (int neg = 0; neg < 2; neg++) {
			struct pf_prefix_key k = {.hi = (uint64_t)(wide.addr >> 64),
						  .lo = (uint64_t)wide.addr,
						  .bits = wide.bits,
						  .neg = neg};

			assert_true(mem_add(&t, f, &k));
			t.roots.delta = PF_DELTA_NONE;
			assert_int_equal(mem_in(&t, f, addr[f]), !neg);
			assert_int_equal(mem_now.delta_looks, looks);
			for (uint32_t s = PF_DELTA_SOME; s <= PF_DELTA_CLOSING; s++) {
				t.roots.delta = s;
				assert_true(mem_in(&t, f, addr[f]));
				assert_int_equal(mem_in(&t, f, addr[f] + 1), !neg);
				/* all of the key counts */
				assert_false(mem_in(&t, f, addr[f] ^ (pf_u128)1 << (width - 1)));
				assert_false(mem_in(&t, !f, addr[!f]));
				h.slot++;
				assert_int_equal(mem_in(&t, f, addr[f]), !neg);
				h.slot--;
			}
			looks = mem_now.delta_looks;
			assert_true(mem_delete(&t, f, &wide));
		}
	}
	mem_table_close(&t);
	check_empty();
}

static struct pf_table_net net_of(int f, const struct pf_prefix *p)
{
	struct pf_prefix_key k = key_of(p);
	struct pf_table_item item;

	pf_prefix_to_item(&k, mem_af[f], &item);
	return (struct pf_table_net){
		.slot = 7, .af = mem_af[f], .bits = p->bits, .addr = item.addr};
}

/* Of the network and others, each somewhere. */
static uint64_t some_lengths(struct rnd *r, const struct pf_prefix *p, uint8_t width)
{
	unsigned int n = rnd_below(r, PF_TABLE_NETS), at = rnd_below(r, n + 1);
	uint64_t nets = 0;

	for (unsigned int i = 0; i <= n; i++)
		nets = nets << 8 | (1 + (i == at ? p->bits : rnd_below(r, width)));
	return nets;
}

/* A network in the delta is an entry among the others: the longest prefix decides. */
static void a_network_of_the_delta(void **state)
{
	struct rnd r = rnd_seeded();
	struct mem_table t;

	(void)state;
	for (int round = 0; round < 600; round++) {
		const int f = round & 1;
		struct pf_table_net added;
		struct pf_prefix net;

		open_empty(&t, 32);
		for (uint32_t n = rnd_below(&r, 20); n; n--)
			add_random(&r, &t, f, shape_of(round));
		net = rnd_prefix(&r, t.set[f].width, shape_of(round), &entries);
		net.neg = false;
		/* a host is one in any case; what is an entry is not added */
		if (net.bits < t.set[f].width && !naive_find(&entries, &net)) {
			added = net_of(f, &net);
			naive_add(&entries, &net);
			mem_now.added = &added;
			mem_now.denies = &t;
			t.roots.delta = PF_DELTA_SOME;
			t.roots.nets[f] = some_lengths(&r, &net, t.set[f].width);
			check_table(&r, &t, f, &entries, 50);
			t.roots.nets[f] = 0;
		}
		mem_now.added = NULL;
		mem_now.denies = NULL;
		mem_table_close(&t);
	}
	check_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorting),
		cmocka_unit_test_setup_teardown(covering, setup, teardown),
		cmocka_unit_test_setup_teardown(every_length, setup, teardown),
		cmocka_unit_test_setup_teardown(random_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(random_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(no_wait_in_an_operation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_is_one_word, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(the_delta_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(a_network_of_the_delta, setup, teardown),
	};

	return unit_run(tests);
}
