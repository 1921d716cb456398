// SPDX-License-Identifier: BSD-2-Clause
#include "saved.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../grammar/check.h"

/* A part of a file: its kind, and how many bytes follow. */
enum part { PART_BLOCK = 1, PART_END = 2 };
#define PART_HEAD   (2 * sizeof(uint32_t))
#define END_LEN	    (sizeof(uint64_t) + PF_SAVED_DIGEST_SIZE)

/* Beyond this many bytes no state is added: with the largest one a block still fits. */
#define BLOCK_FULL  ((size_t)128 * 1024)

#define TCP	    6
#define SCTP	    132
#define WSCALE_MOST 14 /* RFC 7323 section 2.3 */
#define WIN_MOST    65535

/* --- writing --- */

void pf_saved_block_free(struct pf_saved_block *b)
{
	pf_buf_free(&b->rules);
	pf_buf_free(&b->tags);
	pf_buf_free(&b->ifnames);
	pf_buf_free(&b->states);
	b->nstates = 0;
}

uint32_t pf_saved_add_rule(struct pf_saved_block *b, const struct pf_saved_rule *r)
{
	pf_put(&b->rules, r, sizeof(*r));
	return (uint32_t)(b->rules.len / sizeof(*r));
}

static uint32_t add_name(struct pf_buf *b, const char *text)
{
	struct pf_saved_name name = {{0}};

	strncpy(name.text, text, sizeof(name.text) - 1);
	for (size_t at = 0; at < b->len; at += sizeof(name))
		if (memcmp(b->data + at, &name, sizeof(name)) == 0)
			return (uint32_t)(at / sizeof(name)) + 1;
	pf_put(b, &name, sizeof(name));
	return (uint32_t)(b->len / sizeof(name));
}

uint32_t pf_saved_add_tag(struct pf_saved_block *b, const char *name)
{
	return add_name(&b->tags, name);
}

uint32_t pf_saved_add_ifname(struct pf_saved_block *b, const char *name)
{
	return add_name(&b->ifnames, name);
}

static void put_peer(struct pf_buf *b, const struct pf_saved_state *v, int i)
{
	const struct pf_state_peer *p = &v->s.peer[i];

	pf_put_u64(b, p->packets);
	pf_put_u64(b, p->bytes);
	pf_put_u32(b, p->seqlo);
	pf_put_u32(b, p->other_seqhi);
	pf_put_u32(b, p->max_win);
	pf_put_u32(b, p->seqdiff);
	pf_put_u16(b, p->mss);
	pf_put_u32(b, p->tsval);
	pf_put_u8(b, v->s.peer_state[i]);
	pf_put_u8(b, v->s.wscale[i]);
	pf_put_u64(b, v->idle[i]);
}

void pf_saved_add(struct pf_saved_block *to, const struct pf_saved_state *v)
{
	struct pf_buf *b = &to->states;
	const struct pf_state *s = &v->s;

	pf_put(b, &s->key, sizeof(s->key));
	pf_put(b, &s->stack, sizeof(s->stack));
	put_peer(b, v, 0);
	put_peer(b, v, 1);
	pf_put_u8(b, s->timeout);
	pf_put_u8(b, s->flags);
	pf_put_u8(b, s->dir);
	pf_put_u8(b, s->route);
	pf_put_u8(b, s->nmatch);
	pf_put_u64(b, v->age);
	pf_put_u32(b, v->rule);
	pf_put_u32(b, v->anchor);
	pf_put_u32(b, v->tag);
	pf_put_u32(b, v->ifname);
	if (s->route) {
		pf_put(b, &v->gateway, sizeof(v->gateway));
		pf_put_u32(b, v->gateway_if);
	}
	for (int i = 0; i < s->nmatch; i++)
		pf_put_u32(b, v->match[i]);
	to->nstates++;
}

static size_t block_len(const struct pf_saved_block *b)
{
	return 4 * sizeof(uint32_t) + b->rules.len + b->tags.len + b->ifnames.len + b->states.len;
}

bool pf_saved_block_full(const struct pf_saved_block *b)
{
	return block_len(b) >= BLOCK_FULL;
}

void pf_saved_put_block(const struct pf_saved_block *b, struct pf_buf *out)
{
	pf_put_u32(out, PART_BLOCK);
	pf_put_u32(out, (uint32_t)block_len(b));
	pf_put_u32(out, (uint32_t)(b->rules.len / sizeof(struct pf_saved_rule)));
	pf_put_u32(out, (uint32_t)(b->tags.len / sizeof(struct pf_saved_name)));
	pf_put_u32(out, (uint32_t)(b->ifnames.len / sizeof(struct pf_saved_name)));
	pf_put_u32(out, b->nstates);
	pf_put(out, b->rules.data, b->rules.len);
	pf_put(out, b->tags.data, b->tags.len);
	pf_put(out, b->ifnames.data, b->ifnames.len);
	pf_put(out, b->states.data, b->states.len);
	out->failed |= b->rules.failed | b->tags.failed | b->ifnames.failed | b->states.failed;
}

void pf_saved_begin(struct pf_saved_file *f, struct pf_buf *out)
{
	SHA256Init(&f->sum);
	f->blocks = 0;
	pf_put_u32(out, PF_SAVED_MAGIC);
	pf_put_u32(out, PF_SAVED_VERSION);
	if (!out->failed)
		SHA256Update(&f->sum, out->data, out->len);
}

void pf_saved_block_written(struct pf_saved_file *f, const void *block, size_t len)
{
	SHA256Update(&f->sum, block, len);
	f->blocks++;
}

void pf_saved_end(struct pf_saved_file *f, struct pf_buf *out)
{
	uint8_t digest[PF_SAVED_DIGEST_SIZE];

	pf_put_u32(out, PART_END);
	pf_put_u32(out, END_LEN);
	pf_put_u64(out, f->blocks);
	if (!out->failed)
		SHA256Update(&f->sum, out->data, out->len);
	SHA256Final(digest, &f->sum);
	pf_put(out, digest, sizeof(digest));
}

/* --- what a state may be --- */

static bool addr_ok(const struct pf_addr *a, uint8_t af)
{
	return af == PF_AF_INET6 || (!a->w[1] && !a->w[2] && !a->w[3]);
}

static bool key_ok(const struct pf_state_key *k)
{
	return (k->af == PF_AF_INET || k->af == PF_AF_INET6) && !k->rdomain &&
	       addr_ok(&k->addr[0], k->af) && addr_ok(&k->addr[1], k->af);
}

static bool wscale_ok(uint8_t wscale)
{
	return !wscale || ((wscale & PF_WSCALE_FLAG) && (wscale & ~PF_WSCALE_FLAG) <= WSCALE_MOST);
}

static bool peer_ok(const struct pf_state *s, int i)
{
	int most = s->key.proto == TCP	  ? TCPS_TIME_WAIT
		   : s->key.proto == SCTP ? SCTPS_ENDED
					  : PF_MULTIPLE;

	return s->peer_state[i] <= most && wscale_ok(s->wscale[i]) &&
	       s->peer[i].max_win <= WIN_MOST;
}

static bool timeout_ok(uint8_t timeout)
{
	return timeout < PFTM_FRAG ||
	       (timeout >= PFTM_SCTP_FIRST_PACKET && timeout <= PFTM_SCTP_CLOSED);
}

bool pf_saved_state_ok(const struct pf_saved_state *v)
{
	const struct pf_state *s = &v->s;
	bool nat = s->flags & PF_SF_NAT, tagged = s->flags & PF_SF_TAGGED;

	return key_ok(&s->key) && key_ok(&s->stack) && s->key.af == s->stack.af &&
	       s->key.proto == s->stack.proto &&
	       nat == (memcmp(&s->key, &s->stack, sizeof(s->key)) != 0) &&
	       tagged == (v->tag != 0) && !(s->flags & ~PF_SF_ALL) &&
	       (s->dir == PF_IN || s->dir == PF_OUT) && s->route <= PF_OUT &&
	       addr_ok(&v->gateway, s->key.af) && peer_ok(s, 0) && peer_ok(s, 1) &&
	       timeout_ok(s->timeout) && s->nmatch <= PF_MATCH_MOST;
}

/* --- reading --- */

static int bad(char *err, size_t errsize, const char *what)
{
	snprintf(err, errsize, "%s", what);
	return -EINVAL;
}

static void get_peer(struct pf_cursor *c, struct pf_saved_state *v, int i)
{
	struct pf_state_peer *p = &v->s.peer[i];

	p->packets = pf_get_u64(c);
	p->bytes = pf_get_u64(c);
	p->seqlo = pf_get_u32(c);
	p->other_seqhi = pf_get_u32(c);
	p->max_win = pf_get_u32(c);
	p->seqdiff = pf_get_u32(c);
	p->mss = pf_get_u16(c);
	p->tsval = pf_get_u32(c);
	v->s.peer_state[i] = pf_get_u8(c);
	v->s.wscale[i] = pf_get_u8(c);
	v->idle[i] = pf_get_u64(c);
}

static void get_state(struct pf_cursor *c, struct pf_saved_state *v)
{
	struct pf_state *s = &v->s;

	memset(v, 0, sizeof(*v));
	pf_get(c, &s->key, sizeof(s->key));
	pf_get(c, &s->stack, sizeof(s->stack));
	get_peer(c, v, 0);
	get_peer(c, v, 1);
	s->timeout = pf_get_u8(c);
	s->flags = pf_get_u8(c);
	s->dir = pf_get_u8(c);
	s->route = pf_get_u8(c);
	s->nmatch = pf_get_u8(c);
	v->age = pf_get_u64(c);
	v->rule = pf_get_u32(c);
	v->anchor = pf_get_u32(c);
	v->tag = pf_get_u32(c);
	v->ifname = pf_get_u32(c);
	if (s->route) {
		pf_get(c, &v->gateway, sizeof(v->gateway));
		v->gateway_if = pf_get_u32(c);
	}
	for (int i = 0; i < s->nmatch && i < PF_MATCH_MOST; i++)
		v->match[i] = pf_get_u32(c);
}

static bool numbers_ok(const struct pf_saved_names *n, const struct pf_saved_state *v)
{
	for (int i = 0; i < v->s.nmatch; i++)
		if (!v->match[i] || v->match[i] > n->nrules)
			return false;
	return v->rule <= n->nrules && v->anchor <= n->nrules && v->tag <= n->ntags &&
	       v->ifname <= n->nifnames && v->gateway_if <= n->nifnames;
}

/* Ends in zeroes. */
static bool text_ok(const struct pf_saved_name *name)
{
	size_t len = strnlen(name->text, sizeof(name->text));

	for (size_t i = len; i < sizeof(name->text); i++)
		if (name->text[i])
			return false;
	return len && len < sizeof(name->text);
}

/* A tag may have blanks, and what else a rule's may: see lib/modelread.c. */
static bool tag_ok(const struct pf_saved_name *name)
{
	if (!text_ok(name))
		return false;
	for (const char *c = name->text; *c; c++)
		if (*c == '"' || (unsigned char)*c < 0x20)
			return false;
	return true;
}

static bool ifname_ok(const struct pf_saved_name *name)
{
	return text_ok(name) && pf_name_ok(name->text, sizeof(name->text));
}

static void check_names(struct pf_cursor *c, const struct pf_saved_name *v, uint32_t n,
			bool (*ok)(const struct pf_saved_name *name))
{
	for (uint32_t i = 0; v && i < n; i++)
		if (!ok(&v[i]))
			pf_cursor_fail(c);
}

/* n things of that size, where they stand; NULL: there are fewer. */
static const void *get_array(struct pf_cursor *c, uint32_t n, size_t size)
{
	const void *at = c->at;

	if (c->bad || n > (size_t)(c->end - c->at) / size) {
		pf_cursor_fail(c);
		return NULL;
	}
	c->at += n * size;
	return at;
}

static void get_names(struct pf_cursor *c, struct pf_saved_names *n, uint32_t *nstates)
{
	n->nrules = pf_get_u32(c);
	n->ntags = pf_get_u32(c);
	n->nifnames = pf_get_u32(c);
	*nstates = pf_get_u32(c);
	n->rules = get_array(c, n->nrules, sizeof(*n->rules));
	n->tags = get_array(c, n->ntags, sizeof(*n->tags));
	n->ifnames = get_array(c, n->nifnames, sizeof(*n->ifnames));
	check_names(c, n->tags, n->ntags, tag_ok);
	check_names(c, n->ifnames, n->nifnames, ifname_ok);
}

struct visit {
	int (*each)(void *ctx, const struct pf_saved_names *names, const struct pf_saved_state *s);
	void *ctx;
	uint64_t states, blocks;
};

/* 0, or what `each` has said; the cursor is bad if the block is. */
static int read_block(struct pf_cursor *c, struct visit *v)
{
	struct pf_saved_names names = {0};
	struct pf_saved_state s;
	uint32_t nstates;
	int err = 0;

	get_names(c, &names, &nstates);
	for (uint32_t i = 0; i < nstates && !c->bad && !err; i++) {
		get_state(c, &s);
		if (c->bad || !pf_saved_state_ok(&s) || !numbers_ok(&names, &s)) {
			pf_cursor_fail(c);
			break;
		}
		v->states++;
		if (v->each)
			err = v->each(v->ctx, &names, &s);
	}
	v->blocks++;
	return err;
}

/* All blocks, and the end, of which the sum was looked at; the same as above. */
static int read_parts(struct pf_cursor *c, struct visit *v)
{
	while (!c->bad) {
		uint32_t kind = pf_get_u32(c), len = pf_get_u32(c);
		const uint8_t *at = get_array(c, len, 1);
		struct pf_cursor part = {.at = at, .end = c->at, .bad = c->bad};
		int err;

		if (kind == PART_END) {
			if (len != END_LEN || pf_get_u64(&part) != v->blocks || c->at != c->end)
				pf_cursor_fail(c);
			return 0;
		}
		if (kind != PART_BLOCK || len > PF_SAVED_BLOCK_MOST) {
			pf_cursor_fail(c);
			return 0;
		}
		err = read_block(&part, v);
		if (err)
			return err;
		if (!pf_cursor_done(&part))
			pf_cursor_fail(c);
	}
	return 0;
}

static bool sum_ok(const uint8_t *data, size_t len)
{
	uint8_t digest[PF_SAVED_DIGEST_SIZE];
	SHA2_CTX sum;

	if (len < PART_HEAD + END_LEN)
		return false;
	SHA256Init(&sum);
	SHA256Update(&sum, data, len - sizeof(digest));
	SHA256Final(digest, &sum);
	return memcmp(digest, data + len - sizeof(digest), sizeof(digest)) == 0;
}

int pf_saved_read(const void *data, size_t len,
		  int (*each)(void *ctx, const struct pf_saved_names *names,
			      const struct pf_saved_state *s),
		  void *ctx, uint32_t *n, char *err, size_t errsize)
{
	struct pf_cursor c = pf_cursor_of(data, len), parts;
	struct visit check = {.each = NULL}, v = {.each = each, .ctx = ctx};
	uint32_t magic = pf_get_u32(&c), version = pf_get_u32(&c);
	int r;

	if (c.bad || magic != PF_SAVED_MAGIC)
		return bad(err, errsize, "no states saved by pfctl-linux -S of such a machine");
	if (version != PF_SAVED_VERSION) {
		snprintf(err, errsize, "states in version %u of the format: this is version %d",
			 version, PF_SAVED_VERSION);
		return -EPROTO;
	}
	if (!sum_ok(data, len))
		return bad(err, errsize, "damaged: the checksum is wrong");
	parts = c;
	read_parts(&parts, &check);
	if (parts.bad || check.states > UINT32_MAX)
		return bad(err, errsize, "damaged: it holds what is no state");
	*n = (uint32_t)check.states;
	r = each ? read_parts(&c, &v) : 0;
	if (r < 0)
		snprintf(err, errsize, "%s", strerror(-r));
	return r;
}
