/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Labels of rules that are no longer in force, but whose states live on: the map
 * pf_labels keeps them, so that a later pfd knows them as well.
 */
#ifndef PF_LOADER_LABELS_H
#define PF_LOADER_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "rulestats.h"
#include "say.h"

struct pf_labels {
	int fd;
};

/* 0, or the error of a descriptor that cannot be had. */
int pf_labels_open(struct pf_labels *l, const struct pf_datapath *dp, struct pf_error_text *err);
void pf_labels_close(struct pf_labels *l);

/*
 * These rules, of these ids, will be released next.  Those that nothing else uses are
 * kept if they have a label and states; what has no states any more is forgotten.
 */
void pf_labels_keep(const struct pf_labels *l, const struct pf_rulestats *s, const uint32_t *ids,
		    const struct pf_rule *const *rules, size_t n);

/* Sets in `marks`, PF_MAX_RULE_IDS, the ids of kept rules that have the label; 0 or -ENOMEM. */
int pf_labels_mark(const struct pf_labels *l, const struct pf_rulestats *s, const char *label,
		   uint8_t *marks);

#endif /* PF_LOADER_LABELS_H */
