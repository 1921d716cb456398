// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bytes of a file of states.  The input is what stands between the header and the
 * checksum, which are put around it, right.  What is accepted is written and read once
 * more: it says the same.
 */
#include <errno.h>

#include "fuzz.h"

#include "../../lib/saved.h"

#define HEAD_SIZE (2 * sizeof(uint32_t))

struct copy {
	struct pf_saved_block block;
	uint32_t n;
};

static uint32_t copy_rule(struct copy *c, const struct pf_saved_names *names, uint32_t number)
{
	REQUIRE(number <= names->nrules);
	return number ? pf_saved_add_rule(&c->block, &names->rules[number - 1]) : 0;
}

static int each(void *ctx, const struct pf_saved_names *names, const struct pf_saved_state *s)
{
	struct pf_saved_state v = *s;
	struct copy *c = ctx;

	REQUIRE(pf_saved_state_ok(s));
	REQUIRE(s->tag <= names->ntags && s->ifname <= names->nifnames);
	v.rule = copy_rule(c, names, s->rule);
	v.anchor = copy_rule(c, names, s->anchor);
	for (int i = 0; i < s->s.nmatch; i++)
		v.match[i] = copy_rule(c, names, s->match[i]);
	if (s->tag)
		v.tag = pf_saved_add_tag(&c->block, names->tags[s->tag - 1].text);
	if (s->ifname)
		v.ifname = pf_saved_add_ifname(&c->block, names->ifnames[s->ifname - 1].text);
	pf_saved_add(&c->block, &v);
	c->n++;
	return 0;
}

/* Header, `parts`, and the sum over both. */
static void surround(const uint8_t *parts, size_t size, struct pf_buf *out)
{
	uint8_t digest[PF_SAVED_DIGEST_SIZE];
	SHA2_CTX sum;

	pf_put_u32(out, PF_SAVED_MAGIC);
	pf_put_u32(out, PF_SAVED_VERSION);
	pf_put(out, parts, size);
	SHA256Init(&sum);
	SHA256Update(&sum, out->data, out->len);
	SHA256Final(digest, &sum);
	pf_put(out, digest, sizeof(digest));
}

/* All blocks of it as one. */
static void write_file(const struct pf_saved_block *b, struct pf_buf *out)
{
	struct pf_saved_file f;
	struct pf_buf block = {0}, end = {0};

	pf_saved_begin(&f, out);
	pf_saved_put_block(b, &block);
	pf_saved_block_written(&f, block.data, block.len);
	pf_put(out, block.data, block.len);
	pf_saved_end(&f, &end);
	pf_put(out, end.data, end.len);
	pf_buf_free(&block);
	pf_buf_free(&end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct copy once = {.n = 0}, twice = {.n = 0};
	struct pf_buf file = {0}, again = {0};
	char err[200] = "";
	uint32_t n = 0, m = 0;
	int r;

	surround(data, size, &file);
	r = pf_saved_read(file.data, file.len, each, &once, &n, err, sizeof(err));
	REQUIRE(r == 0 || (r == -EINVAL && *err && !once.n));
	if (r == 0) {
		REQUIRE(once.n == n);
		write_file(&once.block, &again);
		REQUIRE(!pf_saved_read(again.data, again.len, each, &twice, &m, err, sizeof(err)));
		REQUIRE(n == m && once.block.nstates == twice.block.nstates);
		REQUIRE(fuzz_same_bytes(&once.block.states, &twice.block.states));
		REQUIRE(fuzz_same_bytes(&once.block.rules, &twice.block.rules));
		REQUIRE(fuzz_same_bytes(&once.block.tags, &twice.block.tags));
		REQUIRE(fuzz_same_bytes(&once.block.ifnames, &twice.block.ifnames));
	}
	pf_saved_block_free(&once.block);
	pf_saved_block_free(&twice.block);
	pf_buf_free(&file);
	pf_buf_free(&again);
	return 0;
}

/* --- seeds --- */

static struct pf_saved_state seed_state(uint8_t af, uint8_t proto)
{
	struct pf_saved_state v = {.age = 5000, .idle = {10, 20}};

	v.s.key = (struct pf_state_key){.port = {1, 2}, .proto = proto, .af = af};
	v.s.key.addr[0].w[0] = 1;
	v.s.stack = v.s.key;
	v.s.dir = PF_IN;
	v.s.timeout = proto == 6 ? PFTM_TCP_ESTABLISHED : PFTM_UDP_SINGLE;
	v.s.wscale[0] = v.s.wscale[1] = PF_WSCALE_FLAG | 7;
	return v;
}

static void write_seed(const char *directory, const char *name, const struct pf_saved_block *b)
{
	struct pf_buf file = {0};
	char path[4096];
	FILE *f;

	write_file(b, &file);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "w");
	REQUIRE(f && fwrite(file.data + HEAD_SIZE, 1, file.len - HEAD_SIZE - PF_SAVED_DIGEST_SIZE,
			    f) == file.len - HEAD_SIZE - PF_SAVED_DIGEST_SIZE);
	fclose(f);
	pf_buf_free(&file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct pf_saved_rule rule = {{1, 2, 3}};
	struct pf_saved_block b = {.nstates = 0};
	struct pf_saved_state v;

	if (*argc < 3 || strcmp((*argv)[1], "--encode") != 0)
		return 0;
	write_seed((*argv)[2], "none", &b);
	v = seed_state(PF_AF_INET6, 6);
	pf_saved_add(&b, &v);
	write_seed((*argv)[2], "tcp", &b);
	v = seed_state(PF_AF_INET, 17);
	v.rule = pf_saved_add_rule(&b, &rule);
	v.anchor = v.match[0] = pf_saved_add_rule(&b, &rule);
	v.tag = pf_saved_add_tag(&b, "T");
	v.ifname = pf_saved_add_ifname(&b, "eth0");
	v.s.flags = PF_SF_TAGGED | PF_SF_NAT;
	v.s.stack.port[0] = 3;
	v.s.nmatch = 1;
	pf_saved_add(&b, &v);
	write_seed((*argv)[2], "all", &b);
	pf_saved_block_free(&b);
	exit(0);
}
