/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rulesets of a generation: the main one, and those of its anchors by path.
 * They come from several loads, so generations share them.
 */
#ifndef PF_LOADER_ANCHORS_H
#define PF_LOADER_ANCHORS_H

#include <stdbool.h>

#include "../compiler/policy.h"
#include "../lib/wire.h"

/* A ruleset as it was loaded, and how many use it. */
struct pf_loaded_rules {
	struct pf_ruleset *rs;
	unsigned int refs;
};

struct pf_anchor_rules {
	char *path; /* "" is the main ruleset */
	struct pf_block *block;
	struct pf_loaded_rules *from;
	bool fresh; /* came with the last load */
};

struct pf_anchors {
	struct pf_anchor_rules *v;
	size_t n, capacity;
};

/*
 * What there is after rs, which it then owns also on failure, was loaded at `path`:
 * the rulesets in its braces replace those of the same name, and those of its files
 * (load anchor) come after them, with its options; all others of `old`, which may be
 * NULL, stay.  0 or -ENOMEM.
 */
int pf_anchors_load(const struct pf_anchors *old, const char *path, struct pf_ruleset *rs,
		    struct pf_anchors *out);
/* The same once more, none of it fresh. */
int pf_anchors_copy(const struct pf_anchors *from, struct pf_anchors *out);
void pf_anchors_free(struct pf_anchors *a);

/* The ruleset of that path, or NULL; the whole of what it was loaded with. */
const struct pf_anchor_rules *pf_anchors_find(const struct pf_anchors *a, const char *path);

int pf_anchors_policy(const struct pf_anchors *a, struct pf_policy **out);

/* As bytes, and back; -EINVAL, -EPROTO, -ENOMEM with a message in err. */
void pf_anchors_encode(const struct pf_anchors *a, struct pf_buf *out);
int pf_anchors_decode(struct pf_cursor *c, struct pf_anchors *out, char *err, size_t errsize);

#endif /* PF_LOADER_ANCHORS_H */
