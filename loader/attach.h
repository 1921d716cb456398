/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs on interfaces: tcx links (Linux 6.6) pinned below the pin directory,
 * or clsact filters on older kernels.
 */
#ifndef PF_LOADER_ATTACH_H
#define PF_LOADER_ATTACH_H

#include <stdbool.h>

#include "datapath.h"
#include "netif.h"
#include "say.h"

enum pf_attach_kind { PF_ATTACH_AUTO, PF_ATTACH_TCX, PF_ATTACH_CLSACT };

struct pf_attach {
	const struct pf_datapath *dp;
	enum pf_attach_kind kind;
};

/*
 * Finds out which kind the kernel has, unless `kind` says it.  -ENOTSUP with a
 * message if it is not there.
 */
int pf_attach_init(struct pf_attach *a, const struct pf_datapath *dp, enum pf_attach_kind kind,
		   struct pf_error_text *err);

/* "auto", "tcx", "clsact"; false if it is none. */
bool pf_attach_kind_parse(const char *text, enum pf_attach_kind *out);
const char *pf_attach_kind_name(enum pf_attach_kind kind);

/* Attaches both directions, or puts this pfd's programs in the place of older ones. */
int pf_attach_on(const struct pf_attach *a, const struct pf_netif *i, struct pf_error_text *err);
/* Takes them off; nothing happens if they are not there. */
void pf_attach_off(const struct pf_attach *a, const struct pf_netif *i);
/* The interface is gone: its pins go, too. */
void pf_attach_forget(const struct pf_attach *a, int ifindex);

/*
 * Attaching waits for an RCU grace period each time (29 ms): between these two
 * the kernel hurries.  Both do nothing where that cannot be asked for.
 */
bool pf_attach_hurry_begin(void);
void pf_attach_hurry_end(bool began);

/*
 * Is anything attached by these pins, in whatever network namespace?  Filters of
 * clsact cannot be asked: without any link the answer is yes.
 */
bool pf_attach_alive(const char *pin_dir);

/* What an earlier pfd attached in the other way. */
void pf_attach_other_off(const struct pf_attach *a, const struct pf_netif *i);

/* Takes off whatever a pfd with this pin directory has attached. */
void pf_attach_remove_all(const char *pin_dir, const struct pf_netifs *ifs);

#endif /* PF_LOADER_ATTACH_H */
