/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of tags.  A name keeps its number as long as the pins live: packets on
 * their way and states carry it.
 */
#ifndef PF_LOADER_TAGS_H
#define PF_LOADER_TAGS_H

#include <stdint.h>

#include "datapath.h"
#include "say.h"

struct pf_tags {
	const struct pf_datapath *dp;
	char **name;	  /* by number; [0] none */
	uint32_t n;	  /* numbers below are given out, but for the one that is our mark */
	uint32_t *sorted; /* those that have a name, by it */
	uint32_t nsorted;
};

int pf_tags_open(struct pf_tags *t, const struct pf_datapath *dp, struct pf_error_text *err);
void pf_tags_close(struct pf_tags *t);

/* The tag's number, a new one if need be; -ENOSPC, -ENOMEM. */
int pf_tag_id(struct pf_tags *t, const char *name);
/* NULL: there is no such tag. */
const char *pf_tag_name(const struct pf_tags *t, uint32_t id);

#endif /* PF_LOADER_TAGS_H */
