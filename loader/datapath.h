/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The static part of the datapath: its maps and programs, made or taken over
 * from the pins of an earlier pfd, and the state table behind them.
 */
#ifndef PF_LOADER_DATAPATH_H
#define PF_LOADER_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/abi.h"
#include "say.h"

struct pf_datapath_skel;
struct pf_states_skel;

/* Programs that are attached to interfaces. */
enum pf_hook {
	PF_HOOK_IN,
	PF_HOOK_OUT,
	PF_HOOK_IN_L3,
	PF_HOOK_OUT_L3,
	PF_HOOK_UNKNOWN,
	PF_HOOK_MAX,
};

struct pf_datapath {
	char pin_dir[256];
	struct pf_datapath_skel *skel;
	struct pf_config *config; /* shared with the kernel */
	struct pf_status *status;
	struct pf_state *states;     /* config->slots of them */
	struct pf_opt_set *opt_sets; /* PF_MAX_OPT_SETS */
	struct pf_limiter *limiters; /* PF_LIMITERS */
	size_t states_size;	     /* of the mapping */
	int ncpus;
	bool adopted;	   /* the maps were there already */
	bool timer_failed; /* the kernel does not sweep: call pf_datapath_sweep() */
};

/*
 * Opens or makes the datapath below pin_dir, for `states` states at least.
 * 0, or a negative errno with a message.
 */
int pf_datapath_open(struct pf_datapath *dp, const char *pin_dir, uint32_t states,
		     struct pf_error_text *err);
/* Lets go of it; everything that is pinned goes on. */
void pf_datapath_close(struct pf_datapath *dp);
/* The network namespace whose pins these are, as pf_netns_cookie(); 0: there are none. */
uint64_t pf_datapath_owner(const char *pin_dir);
/* Takes the pins away: what is not attached any more then ends. */
int pf_datapath_unpin(const char *pin_dir, struct pf_error_text *err);

/* File descriptor of a map by its name, which must be one of the datapath's. */
int pf_datapath_map(const struct pf_datapath *dp, const char *name);
int pf_datapath_hook(const struct pf_datapath *dp, enum pf_hook hook);
/* The program that a generation's rules end in. */
int pf_datapath_apply(const struct pf_datapath *dp);

/* States that fit in the table as it is. */
uint32_t pf_datapath_capacity(const struct pf_datapath *dp);
/* `states`, or as many as a fair part of the memory that is free now can hold. */
uint32_t pf_datapath_affordable(uint32_t states);

/* Now, on the clock of states; and seconds to ticks and back. */
uint64_t pf_datapath_jiffies(const struct pf_datapath *dp);
uint32_t pf_datapath_ticks(const struct pf_datapath *dp, uint64_t seconds);

/* A counter summed over the CPUs. */
uint64_t pf_datapath_counter(const struct pf_datapath *dp, uint32_t which);

/* What pf_datapath_insert() says, the datapath's enum create_result. */
enum pf_inserted {
	PF_INSERTED,
	PF_INSERT_EXISTS,
	PF_INSERT_CLASH, /* a key of it is another connection's */
	PF_INSERT_LIMIT,
	PF_INSERT_MEMORY,
};

/*
 * Puts a state in; its status and index do not matter.  `fresh`: it is a new one,
 * which is counted, and numbered if its id is 0.  enum pf_inserted, or a negative errno.
 */
int pf_datapath_insert(const struct pf_datapath *dp, const struct pf_state *s, bool fresh);

/*
 * A datapath for more states, which shares all but the state table with `old`
 * and has copies of its states.  It is not pinned yet, and nothing is attached:
 * that is for the caller, who then calls pf_datapath_grown(); or goes back and gives
 * `old' its sweep_slice again, for nothing expires there from now on.
 */
int pf_datapath_grow(struct pf_datapath *dp, const struct pf_datapath *old, uint32_t states,
		     struct pf_error_text *err);
/*
 * The hooks run on the new one: takes over what happened in the old one
 * meanwhile, and its pins.  The old one is closed.
 */
int pf_datapath_grown(struct pf_datapath *dp, struct pf_datapath *old, struct pf_error_text *err);

/* Does it count still, for its source, limiters and options?  What has ended does until it is out.
 */
static inline bool pf_state_counts(const struct pf_state *s)
{
	uint32_t status = __atomic_load_n(&s->status, __ATOMIC_ACQUIRE);

	return status == PF_SLOT_LIVE || status == PF_SLOT_ENDED;
}

/* Ends the states in slots of [from, to) whose `kill` is set, and takes out what has ended. */
void pf_datapath_purge(const struct pf_datapath *dp, uint32_t from, uint32_t to);

/* The clock of states, in units of 1 << PF_TICK_SHIFT jiffies. */
uint32_t pf_datapath_tick(const struct pf_datapath *dp);
/*
 * Slots of states that ended in that tick or before are free again, though they have not
 * rested for as long as others do.  False: the tick is not over yet.
 */
bool pf_datapath_drain(const struct pf_datapath *dp, uint32_t tick);

/* Takes the node out, whatever states it has; false if there is none. */
bool pf_datapath_forget_source(const struct pf_datapath *dp, const struct pf_src_key *key);
/* The same of a source of a source limiter. */
bool pf_datapath_forget_limited(const struct pf_datapath *dp, const struct pf_src_key *key);
/* One of a limiter that is to leave its table is out of it from now on; true: it was to. */
bool pf_datapath_left(const struct pf_datapath *dp, const struct pf_src_key *key);

/* One slice of the sweep. */
void pf_datapath_sweep(const struct pf_datapath *dp);

#endif /* PF_LOADER_DATAPATH_H */
