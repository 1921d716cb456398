/* SPDX-License-Identifier: BSD-2-Clause */
/* pfd's core: the firewall of one network namespace, and what can be done to it. */
#ifndef PF_LOADER_ENGINE_H
#define PF_LOADER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "attach.h"
#include "bound.h"
#include "datapath.h"
#include "egress.h"
#include "events.h"
#include "generation.h"
#include "limiters.h"
#include "loop.h"
#include "netif.h"
#include "patch.h"
#include "pflog.h"
#include "resting.h"
#include "say.h"
#include "shortage.h"
#include "states.h"
#include "tables.h"

struct pf_engine {
	struct pf_loop *loop;
	int pin_lock;
	struct pf_datapath dp;
	struct pf_netifs ifs;
	struct pf_egress egress;
	struct pf_bound bound;
	struct pf_attach attach;
	struct pf_tables tables;
	struct pf_generations gens;
	struct pf_generation *active;
	struct pf_generation *fallback;	       /* until the active one is confirmed */
	struct pf_generation *retiring;	       /* its last log records are being written */
	const struct pf_patch *retiring_patch; /* the same, of rules that a patch has replaced */
	struct pf_pflog log;
	struct pf_events events;
	struct pf_shortage shortage;
	struct pf_resting resting;
	struct pf_timer sweep;
	struct pf_timer confirm;
	struct pf_timer written;   /* tables that the datapath writes */
	struct pf_leaving leaving; /* ... and sources that are to leave them */
};

struct pf_engine_options {
	const char *pin_dir;
	const char *log_path;
	enum pf_attach_kind attach;
	enum pf_emitter emitter;
};

/* Are the pins those of another network namespace, which lives? */
bool pf_engine_foreign_pins(const char *pin_dir);
/* Takes over what is there, or begins with an empty ruleset, enabled. */
int pf_engine_open(struct pf_engine *g, struct pf_loop *loop, const struct pf_engine_options *o,
		   struct pf_error_text *err);
/* Lets go; the firewall goes on. */
void pf_engine_close(struct pf_engine *g);

/* What is to be said of a load. */
struct pf_loaded {
	uint32_t adopted; /* older connections taken in */
	uint32_t skipped; /* those of netfilter's that could not be */
	uint32_t room;	  /* states that memory was found for; 0: all that the limit allows */
};

/*
 * Loads a ruleset, given as bytes of a model, at an anchor's path or as the main one
 * (""), or leaves everything as it is.  Of what an anchor says only rules count.
 * confirm: seconds after which it goes back to what was before, unless
 * pf_engine_confirm() comes; 0 never.
 */
int pf_engine_load(struct pf_engine *g, const char *path, const void *model, size_t len,
		   uint32_t confirm, struct pf_loaded *out, struct pf_error_text *err);
int pf_engine_confirm(struct pf_engine *g, struct pf_error_text *err);
/* An empty ruleset at that path, for good: all else, options and persistent tables stay. */
int pf_engine_flush_rules(struct pf_engine *g, const char *path, struct pf_error_text *err);

/* Options, skipped interfaces and the debug level as they are at first; the rules stay. */
int pf_engine_reset(struct pf_engine *g, struct pf_error_text *err);
void pf_engine_debug(struct pf_engine *g, uint32_t level);

int pf_engine_enable(struct pf_engine *g, bool on, struct pf_error_text *err);

/* Numbers of all rules, the parts that live states hold and the last clearing considered. */
int pf_engine_rule_stats(struct pf_engine *g, struct pf_wire_rule *out, struct pf_error_text *err);
void pf_engine_clear_rule_stats(struct pf_engine *g);
void pf_engine_status(struct pf_engine *g, struct pf_wire_status *out);
void pf_engine_clear_status(struct pf_engine *g);

/*
 * The rules in force once more, with all that they have counted: they mean other tables
 * from now on.
 */
int pf_engine_remake(struct pf_engine *g, struct pf_error_text *err);

/* --- engineif.c --- */

/* Does the ruleset in force leave the interface alone? */
bool pf_engine_skips(const struct pf_engine *g, const struct pf_netif *i);
/* At first: what the datapath is to know of all of them, and what an earlier pfd has left. */
void pf_engine_know_netifs(struct pf_engine *g);
/* For pf_netifs_open(). */
void pf_engine_netif_changed(void *ctx, struct pf_netif *i, bool gone);
/* For pf_egress_init(). */
void pf_engine_egress_changed(void *ctx, int ifindex);
/* First, if there are rules in force: they are told of the group again. */
void pf_engine_take_over_egress(struct pf_engine *g);
/*
 * Before a generation comes into force: its interfaces are attached, with the rules of
 * before.  Those that it skips are let go afterwards, by pf_engine_settle().
 */
int pf_engine_attach(struct pf_engine *g, const struct pf_generation *gen,
		     struct pf_error_text *err);
/* Each is attached, or not, as it should be; failures are said.  0 or -EIO. */
int pf_engine_settle(struct pf_engine *g);

/* --- enginetables.c --- */

/* The table of an anchor's path, "" the main ruleset, and name; NULL with a message. */
struct pf_binding *pf_engine_table(struct pf_engine *g, const char *path, const char *name,
				   struct pf_error_text *err);
/* The same, made if it is not there: *made.  If dry, NULL with *made is one that would be. */
struct pf_binding *pf_engine_table_make(struct pf_engine *g, const char *path, const char *name,
					bool dry, bool *made, struct pf_error_text *err);
/* Unmakes one; *n: how many there were.  The main ruleset's that rules need become inactive. */
int pf_engine_kill_table(struct pf_engine *g, const char *path, const char *name, bool dry,
			 uint32_t *n, struct pf_error_text *err);
/* Unmakes all of one ruleset, and if `below` of those below it. */
int pf_engine_flush_tables(struct pf_engine *g, const char *path, bool below, uint32_t *n,
			   struct pf_error_text *err);
/* Is a path this one, or if `below` one below it? */
bool pf_engine_is_in(const char *path, const char *of, bool below);
/* Is there such a ruleset, one below it, or a table of these? */
bool pf_engine_anchor_exists(const struct pf_engine *g, const char *path);

#endif /* PF_LOADER_ENGINE_H */
