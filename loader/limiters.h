/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State limiters and source limiters, which are the main ruleset's: what is defined goes to the
 * datapath, and what it has counted is read.  States keep theirs as long as one with its id is
 * defined.
 */
#ifndef PF_LOADER_LIMITERS_H
#define PF_LOADER_LIMITERS_H

#include "../grammar/rule.h"
#include "../lib/proto.h"
#include "datapath.h"
#include "generation.h"
#include "kill.h"
#include "rulestats.h"
#include "tables.h"

#define PF_LIMITER_SECOND 1000000000ULL /* ns */

/*
 * What one state takes of the time that gathers, and how much of it gathers.  Rounded up, and
 * so many of the one in the other as the rate says: no more ever come at once, and in the long
 * run none is let in too early.  0: there is no rate.
 */
static inline uint64_t pf_limiter_token(const struct pf_rate *r)
{
	return r->limit ? (r->seconds * PF_LIMITER_SECOND + r->limit - 1) / r->limit : 0;
}

static inline uint64_t pf_limiter_bucket(const struct pf_rate *r)
{
	return pf_limiter_token(r) * r->limit;
}

/*
 * May rs come after `old`, which may be NULL?  The masks of a source limiter that has sources
 * cannot change, as in pf.  0 or -EBUSY with a message.
 */
int pf_limiters_check(const struct pf_ruleset *rs, const struct pf_ruleset *old,
		      const struct pf_datapath *dp, struct pf_error_text *err);
/*
 * Those of its ruleset are there before its rules come into force; others stay.  0, or a
 * negative errno with a message, and nothing is changed; never for those that are there.
 */
int pf_limiters_define(struct pf_tables *t, const struct pf_generation *gen,
		       struct pf_error_text *err);
/*
 * Those that neither ruleset defines (b may be NULL) go: states that have them have none
 * from now on.  Their rules are not in force any more.  0 or a negative errno.
 */
int pf_limiters_settle(const struct pf_datapath *dp, const struct pf_rulestats *stats,
		       const struct pf_ruleset *a, const struct pf_ruleset *b);

/*
 * Sources that have fewer states than `below' leave the tables of their limiters.  Looked for
 * when the datapath has said so, and, for it takes time with many sources, seldom.
 */
struct pf_leaving {
	uint64_t seen; /* of what the datapath has said */
	uint64_t next; /* ms */
};
void pf_limiters_poll(struct pf_leaving *l, struct pf_tables *t);
/* At once. */
int pf_limiters_let_out(struct pf_tables *t, struct pf_error_text *err);

/* One for each definition of rs. */
void pf_limiters_list(const struct pf_datapath *dp, const struct pf_ruleset *rs,
		      struct pf_wire_limiter *out);

/* Sources of source limiters, by limiter and address; the caller frees *out. */
int pf_limited_list(const struct pf_datapath *dp, struct pf_wire_limited **out, size_t *n);
/* Takes out those that are in the host's network, or that the host is in; *n grows. */
int pf_limited_kill(const struct pf_datapath *dp, const struct pf_kill_host *host, uint32_t *n);

#endif /* PF_LOADER_LIMITERS_H */
