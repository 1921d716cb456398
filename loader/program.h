/* SPDX-License-Identifier: BSD-2-Clause */
/* A generation's rules in the kernel: the maps of its program, and the program. */
#ifndef PF_LOADER_PROGRAM_H
#define PF_LOADER_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "../compiler/compiler.h"
#include "datapath.h"
#include "netif.h"
#include "say.h"

/* Descriptors, -1 if it is not there. */
struct pf_program {
	int prog;
	int infos, nats, evals, ifaces, ifaces_far, jump;
	int sets, calls, callees, nodes, entries, rules; /* emitter B's */
};

void pf_program_init(struct pf_program *p);
void pf_program_close(struct pf_program *p);

/*
 * Makes the maps, fills them, and loads the program: all of *c is in the kernel
 * then.  On failure what was made is left to pf_program_close().
 */
int pf_program_load(struct pf_program *p, const struct pf_datapath *dp, struct pf_compiled *c,
		    const struct pf_netifs *ifs, struct pf_error_text *err);

/* What an earlier pfd has loaded, whose descriptors are in *p: its maps are filled again. */
int pf_program_refill(const struct pf_program *p, const struct pf_datapath *dp,
		      const struct pf_compiled *c, const struct pf_netifs *ifs,
		      struct pf_error_text *err);

/* Writes what a patch has added to *c; nothing leads there yet.  *lead is for pf_program_lead(). */
int pf_program_append(const struct pf_program *p, const struct pf_compiled *c,
		      const struct pf_compiled_patch *patch, void **lead);
/* Packets that come to the anchor from now on meet the new set, by one write; if it is wanted. */
void pf_program_lead(void *lead, const struct pf_compiled_patch *patch, bool wanted);

/*
 * An interface has come, changed or gone: which rules mean it.  -E2BIG: there are more
 * than four times as many as when the rules were loaded, and more than 2048.
 */
int pf_program_netif(const struct pf_program *p, const struct pf_compiled *c,
		     const struct pf_netifs *ifs, const struct pf_netif *i, bool gone);

/* How often each of the rules was evaluated, c->nrules of them. */
int pf_program_evaluations(const struct pf_program *p, const struct pf_datapath *dp,
			   const struct pf_compiled *c, uint64_t *out);

#endif /* PF_LOADER_PROGRAM_H */
