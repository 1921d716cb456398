// SPDX-License-Identifier: BSD-2-Clause
/* lib/saved: what is written is read back; what is no file of states is refused as a whole. */
#include "unit.h"

#include "../../lib/saved.h"

static void free_file(struct pf_buf *b)
{
	pf_buf_free(b);
}
#define file_auto __attribute__((cleanup(free_file))) struct pf_buf

static void random_key(struct rnd *r, struct pf_state_key *k, uint8_t af, uint8_t proto)
{
	memset(k, 0, sizeof(*k));
	k->af = af;
	k->proto = proto;
	for (int side = 0; side < 2; side++) {
		for (int w = 0; w < (af == PF_AF_INET ? 1 : 4); w++)
			k->addr[side].w[w] = (uint32_t)rnd_next(r);
		k->port[side] = (uint16_t)rnd_next(r);
	}
}

/* One that may be, with names up to these numbers. */
static struct pf_saved_state random_state(struct rnd *r, uint32_t nrules, uint32_t ntags)
{
	const uint8_t protos[] = {6, 17, 1, 58, 47};
	uint8_t af = rnd_next(r) & 1 ? PF_AF_INET : PF_AF_INET6, proto = protos[rnd_next(r) % 5];
	struct pf_saved_state v = {.age = rnd_next(r), .idle = {rnd_next(r), rnd_next(r)}};

	random_key(r, &v.s.key, af, proto);
	v.s.stack = v.s.key;
	if (rnd_next(r) & 1) {
		v.s.stack.port[0] ^= 1;
		v.s.flags |= PF_SF_NAT;
	}
	for (int p = 0; p < 2; p++) {
		v.s.peer[p] = (struct pf_state_peer){.packets = rnd_next(r),
						     .bytes = rnd_next(r),
						     .seqlo = (uint32_t)rnd_next(r),
						     .other_seqhi = (uint32_t)rnd_next(r),
						     .max_win = rnd_next(r) & 0xffff,
						     .seqdiff = (uint32_t)rnd_next(r),
						     .mss = (uint16_t)rnd_next(r),
						     .tsval = (uint32_t)rnd_next(r)};
		v.s.peer_state[p] = rnd_next(r) % (proto == 6 ? 11 : 3);
		v.s.wscale[p] = rnd_next(r) & 1 ? (uint8_t)(PF_WSCALE_FLAG | rnd_next(r) % 15) : 0;
	}
	v.s.timeout = rnd_next(r) % PFTM_FRAG;
	v.s.dir = rnd_next(r) & 1 ? PF_IN : PF_OUT;
	v.rule = (uint32_t)(rnd_next(r) % (nrules + 1));
	v.anchor = (uint32_t)(rnd_next(r) % (nrules + 1));
	v.tag = (uint32_t)(rnd_next(r) % (ntags + 1));
	if (v.tag)
		v.s.flags |= PF_SF_TAGGED;
	v.s.nmatch = nrules ? rnd_next(r) % (PF_MATCH_MOST + 1) : 0;
	for (int i = 0; i < v.s.nmatch; i++)
		v.match[i] = (uint32_t)(rnd_next(r) % nrules) + 1;
	return v;
}

struct expected {
	struct pf_saved_state *v;
	uint32_t n, at;
	int stop_at; /* an error comes there; -1 never */
};

static int compare(void *ctx, const struct pf_saved_names *names, const struct pf_saved_state *s)
{
	struct expected *e = ctx;

	(void)names;
	if (e->stop_at == (int)e->at)
		return -ENOSPC;
	assert_true(e->at < e->n);
	assert_memory_equal(&e->v[e->at], s, sizeof(*s));
	e->at++;
	return 0;
}

static void put_file(const struct pf_buf *blocks, size_t nblocks, struct pf_buf *out)
{
	struct pf_saved_file f;
	pf_buf_auto end = {0};

	pf_saved_begin(&f, out);
	for (size_t i = 0; i < nblocks; i++) {
		pf_put(out, blocks[i].data, blocks[i].len);
		pf_saved_block_written(&f, blocks[i].data, blocks[i].len);
	}
	pf_saved_end(&f, &end);
	pf_put(out, end.data, end.len);
}

static int read_back(const struct pf_buf *file, struct expected *e, uint32_t *n)
{
	char err[200] = "";
	int r = pf_saved_read(file->data, file->len, compare, e, n, err, sizeof(err));

	if (r)
		assert_true(*err);
	return r;
}

#define STATES 300

static void states_come_back(void **state)
{
	struct rnd r = rnd_seeded();
	struct pf_saved_state *v = calloc(STATES, sizeof(*v));
	pf_saved_block_auto block = {.nstates = 0};
	struct expected e = {.v = v, .n = STATES, .stop_at = -1};
	struct pf_buf blocks[STATES + 1] = {{0}};
	file_auto file = {0};
	size_t nblocks = 0;
	uint32_t n = 0;

	(void)state;
	assert_non_null(v);
	for (int i = 0; i < STATES; i++) {
		const struct pf_saved_rule rule = {{(uint8_t)i}};

		pf_saved_add_rule(&block, &rule);
		pf_saved_add_tag(&block, i & 1 ? "odd" : "even");
		v[i] = random_state(&r, (uint32_t)(block.rules.len / sizeof(rule)),
				    (uint32_t)(block.tags.len / sizeof(struct pf_saved_name)));
		assert_true(pf_saved_state_ok(&v[i]));
		pf_saved_add(&block, &v[i]);
		if (pf_saved_block_full(&block) || i == STATES - 1) {
			pf_saved_put_block(&block, &blocks[nblocks++]);
			pf_saved_block_free(&block);
		}
	}
	assert_true(nblocks > 1);
	put_file(blocks, nblocks, &file);
	assert_int_equal(read_back(&file, &e, &n), 0);
	assert_int_equal(n, STATES);
	assert_int_equal(e.at, STATES);
	e.at = 0;
	e.stop_at = 7;
	assert_int_equal(read_back(&file, &e, &n), -ENOSPC);
	assert_int_equal(e.at, 7);
	for (size_t i = 0; i < nblocks; i++)
		pf_buf_free(&blocks[i]);
	free(v);
}

static void names_are_said_once(void **state)
{
	pf_saved_block_auto b = {.nstates = 0};

	(void)state;
	assert_int_equal(pf_saved_add_tag(&b, "a"), 1);
	assert_int_equal(pf_saved_add_tag(&b, "b"), 2);
	assert_int_equal(pf_saved_add_tag(&b, "a"), 1);
	assert_int_equal(pf_saved_add_ifname(&b, "b"), 1);
}

/* The largest states, each with rules of its own, still make a block that is taken. */
static void a_full_block_is_taken(void **state)
{
	struct rnd r = rnd_seeded();
	struct pf_saved_state v;
	pf_saved_block_auto b = {.nstates = 0};
	struct pf_buf out = {0};
	file_auto file = {0};
	char err[200];
	uint32_t n = 0;

	(void)state;
	while (!pf_saved_block_full(&b)) {
		const struct pf_saved_rule rule = {{1}};

		v = random_state(&r, 0, 0);
		v.s.nmatch = PF_MATCH_MOST;
		for (int i = 0; i < PF_MATCH_MOST; i++)
			v.match[i] = pf_saved_add_rule(&b, &rule);
		pf_saved_add(&b, &v);
	}
	pf_saved_put_block(&b, &out);
	assert_true(out.len <= PF_SAVED_BLOCK_MOST);
	put_file(&out, 1, &file);
	assert_int_equal(pf_saved_read(file.data, file.len, NULL, NULL, &n, err, sizeof(err)), 0);
	assert_int_equal(n, b.nstates);
	pf_buf_free(&out);
}

static int not_called(void *ctx, const struct pf_saved_names *names, const struct pf_saved_state *s)
{
	(void)ctx;
	(void)names;
	(void)s;
	fail();
	return 0;
}

/* Cut off anywhere, the sum made right again: nothing of it is taken. */
static void a_part_is_no_file(void **state)
{
	struct rnd r = rnd_seeded();
	pf_saved_block_auto b = {.nstates = 0};
	struct pf_buf out = {0};
	file_auto file = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct pf_saved_state v = random_state(&r, 0, 0);

		pf_saved_add(&b, &v);
	}
	pf_saved_put_block(&b, &out);
	put_file(&out, 1, &file);
	for (size_t len = 8; len < file.len - PF_SAVED_DIGEST_SIZE; len++) {
		uint8_t digest[PF_SAVED_DIGEST_SIZE];
		file_auto part = {0};
		char err[200] = "";
		uint32_t n = 77;
		SHA2_CTX sum;

		pf_put(&part, file.data, len);
		SHA256Init(&sum);
		SHA256Update(&sum, part.data, part.len);
		SHA256Final(digest, &sum);
		pf_put(&part, digest, sizeof(digest));
		assert_int_equal(
			pf_saved_read(part.data, part.len, not_called, NULL, &n, err, sizeof(err)),
			-EINVAL);
		assert_int_equal(n, 77);
		assert_true(*err);
	}
	pf_buf_free(&out);
}

static void another_version_is_refused(void **state)
{
	struct pf_saved_file f;
	file_auto file = {0};
	pf_buf_auto end = {0};
	char err[200] = "";
	uint32_t n;

	(void)state;
	pf_saved_begin(&f, &file);
	pf_saved_end(&f, &end);
	pf_put(&file, end.data, end.len);
	assert_int_equal(pf_saved_read(file.data, file.len, not_called, NULL, &n, err, sizeof(err)),
			 0);
	assert_int_equal(n, 0);
	file.data[4]++;
	assert_int_equal(pf_saved_read(file.data, file.len, not_called, NULL, &n, err, sizeof(err)),
			 -EPROTO);
	assert_true(*err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_come_back),	      cmocka_unit_test(names_are_said_once),
		cmocka_unit_test(a_full_block_is_taken),      cmocka_unit_test(a_part_is_no_file),
		cmocka_unit_test(another_version_is_refused),
	};

	return unit_run(tests);
}
