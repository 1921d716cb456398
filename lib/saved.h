/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * States as bytes that outlive the kernel they are of: what pfctl-linux -S keeps and -L
 * gives back.  Rules, tags and interfaces are named by what they are called after a
 * reboot, too; times are spans, for the clocks begin anew.
 *
 * A file is a header, blocks, and an end with a checksum of all before it.  Each block
 * has the names that its states refer to, by their numbers.  Numbers are in host order:
 * a file goes back to where it came from.
 */
#ifndef PF_LIB_SAVED_H
#define PF_LIB_SAVED_H

#include <sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"
#include "wire.h"

/* The version changes with every change of the encoding. */
#define PF_SAVED_MAGIC	     0x70665331 /* "pfS1" */
#define PF_SAVED_VERSION     2

#define PF_SAVED_MOST	     ((size_t)4 << 30) /* bytes: all states that there can be */
#define PF_SAVED_BLOCK_MOST  ((size_t)1 << 20)
#define PF_SAVED_DIGEST_SIZE SHA256_DIGEST_LENGTH
#define PF_SAVED_NAME_SIZE   64

/* A rule by a checksum of what it says and of the ruleset that it is in. */
struct pf_saved_rule {
	uint8_t digest[PF_SAVED_DIGEST_SIZE];
};
struct pf_saved_name {
	char text[PF_SAVED_NAME_SIZE];
};

struct pf_saved_state {
	/* all but what follows here, and what no file can know: status, index, id */
	struct pf_state s;
	uint64_t age;	  /* milliseconds */
	uint64_t idle[2]; /* since the peer's last packet that renewed it */
	/* numbers of names in the block; 0 none, 1 the first */
	uint32_t rule, anchor; /* none: the default rule; no anchor */
	uint32_t tag, ifname;
	/* if s.route */
	struct pf_addr gateway;
	uint32_t gateway_if;
	uint32_t match[PF_MATCH_MOST]; /* s.nmatch of them */
};

/* --- writing --- */

/* A block in the making. */
struct pf_saved_block {
	struct pf_buf rules, tags, ifnames, states;
	uint32_t nstates;
};
void pf_saved_block_free(struct pf_saved_block *b);
#define pf_saved_block_auto __attribute__((cleanup(pf_saved_block_free))) struct pf_saved_block

/* The number of a name; a rule's is always a new one. */
uint32_t pf_saved_add_rule(struct pf_saved_block *b, const struct pf_saved_rule *r);
uint32_t pf_saved_add_tag(struct pf_saved_block *b, const char *name);
uint32_t pf_saved_add_ifname(struct pf_saved_block *b, const char *name);
/* Is it one that a file may hold? */
bool pf_saved_state_ok(const struct pf_saved_state *s);
void pf_saved_add(struct pf_saved_block *b, const struct pf_saved_state *s);
/* Is it time for the next block? */
bool pf_saved_block_full(const struct pf_saved_block *b);
void pf_saved_put_block(const struct pf_saved_block *b, struct pf_buf *out);

/* A file around blocks: each part is written as it comes out. */
struct pf_saved_file {
	SHA2_CTX sum;
	uint64_t blocks;
};
void pf_saved_begin(struct pf_saved_file *f, struct pf_buf *out);
void pf_saved_block_written(struct pf_saved_file *f, const void *block, size_t len);
void pf_saved_end(struct pf_saved_file *f, struct pf_buf *out);

/* --- reading --- */

/* The names of a block, in the file's own bytes. */
struct pf_saved_names {
	const struct pf_saved_rule *rules;
	const struct pf_saved_name *tags, *ifnames;
	uint32_t nrules, ntags, nifnames;
};

/*
 * Trusts nothing.  The whole file is checked before `each`, which may be NULL, is called
 * for the first state; a negative value from it ends it.  0 and *n, the number of states;
 * -EPROTO if it is another version's, -EINVAL if it is damaged, both with a message in err.
 */
int pf_saved_read(const void *data, size_t len,
		  int (*each)(void *ctx, const struct pf_saved_names *names,
			      const struct pf_saved_state *s),
		  void *ctx, uint32_t *n, char *err, size_t errsize);

#endif /* PF_LIB_SAVED_H */
