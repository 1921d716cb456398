// SPDX-License-Identifier: BSD-2-Clause
/* The interfaces of the engine: where the filter is attached, and what it knows of them. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../grammar/ifdb.h"
#include "engine.h"

static bool skipped_by(const struct pf_engine *g, const struct pf_ruleset *rs,
		       const struct pf_netif *i)
{
	if (i->bond_port)
		return true;
	for (size_t n = 0; rs && n < rs->nskip; n++)
		if (pf_netif_meant(&g->ifs, i, rs->skip[n]))
			return true;
	return false;
}

/* In a rule, or by `set skip on'. */
static bool names(const struct pf_generation *gen, const char *name)
{
	for (size_t n = 0; gen && n < gen->rs->nskip; n++)
		if (strcmp(gen->rs->skip[n], name) == 0)
			return true;
	return gen && pf_iface_bit(gen->code, name) >= 0;
}

static const struct pf_ruleset *rules_of(const struct pf_engine *g)
{
	return g->active ? g->active->rs : NULL;
}

/* The name of a group, but for this interface, that somebody asks for; or "". */
static const char *taken_name(const struct pf_engine *g, const struct pf_netif *i)
{
	bool asked = pf_if_may_be_group(i->name) &&
		     (names(g->active, i->name) || names(g->fallback, i->name));

	return asked ? i->name : "";
}

bool pf_engine_skips(const struct pf_engine *g, const struct pf_netif *i)
{
	return skipped_by(g, rules_of(g), i);
}

/* What the datapath must know of an interface. */
static void tell_iface(const struct pf_engine *g, const struct pf_netif *i, bool gone)
{
	struct pf_iface info = {.flags = (i->bridge_port ? PF_IFACE_BRIDGED : 0) |
					 (i->hooked ? PF_IFACE_HOOKED : 0)};
	uint32_t ifindex = (uint32_t)i->ifindex;
	int map = pf_datapath_map(&g->dp, "pf_ifaces");

	for (const struct pf_netif_addr *a = i->addrs; a; a = a->next) {
		struct pf_addr *slot;

		if (a->af == PF_FAMILY_INET) {
			if (!info.addr4)
				memcpy(&info.addr4, a->ip.b, sizeof(info.addr4));
			continue;
		}
		slot = a->linklocal ? &info.linklocal : &info.addr6;
		if (!slot->w[0])
			memcpy(slot, a->ip.b, sizeof(*slot));
	}
	if (gone)
		bpf_map_delete_elem(map, &ifindex);
	else if (bpf_map_update_elem(map, &ifindex, &info, BPF_ANY))
		pf_say(LOG_ERR, "%s: nothing is answered in its name: %s", i->name,
		       strerror(errno));
}

/* By the pfd before this one. */
static bool was_hooked(const struct pf_engine *g, const struct pf_netif *i)
{
	uint32_t ifindex = (uint32_t)i->ifindex;
	struct pf_iface info;

	return !bpf_map_lookup_elem(pf_datapath_map(&g->dp, "pf_ifaces"), &ifindex, &info) &&
	       (info.flags & PF_IFACE_HOOKED);
}

static void set_hooked(const struct pf_engine *g, struct pf_netif *i, bool hooked)
{
	if (i->hooked == hooked)
		return;
	i->hooked = hooked;
	tell_iface(g, i, false);
}

/* Attached or not, as it should be.  A failure is said: others must go on. */
static int settle(struct pf_engine *g, struct pf_netif *i)
{
	bool wanted = g->dp.config->enabled && !pf_engine_skips(g, i);
	struct pf_error_text e;
	int err;

	snprintf(i->taken, sizeof(i->taken), "%s", taken_name(g, i));
	if (!wanted) {
		set_hooked(g, i, false);
		pf_attach_off(&g->attach, i);
		return 0;
	}
	err = pf_attach_on(&g->attach, i, &e);
	set_hooked(g, i, !err);
	if (err)
		pf_say(LOG_ERR, "%s: its packets are not filtered", e.text);
	return err;
}

static void tell_rules(const struct pf_engine *g, const struct pf_generation *gen,
		       const struct pf_netif *i, bool gone)
{
	int err = gen ? pf_program_netif(&gen->program, gen->code, &g->ifs, i, gone) : 0;

	if (err)
		pf_say(LOG_ERR, "%s: no rule that names an interface matches there%s: %s", i->name,
		       err == -E2BIG ? ", until the rules are loaded again" : "", strerror(-err));
}

static void tell_all_rules(const struct pf_engine *g, const struct pf_netif *i, bool gone)
{
	tell_rules(g, g->active, i, gone);
	tell_rules(g, g->fallback, i, gone);
}

/* `gen` is about to come into force, or NULL. */
static int follow_egress(struct pf_engine *g, const struct pf_generation *gen,
			 struct pf_error_text *e)
{
	bool known = g->egress.monitor;
	int err = pf_egress_follow(&g->egress, e);

	/* the rules were made when nobody knew who is in it */
	for (const struct pf_netif *i = g->ifs.first; i && !err && !known; i = i->next) {
		tell_all_rules(g, i, false);
		tell_rules(g, gen, i, false);
	}
	return err;
}

/* The group egress is followed as long as it is needed. */
static void settle_egress(struct pf_engine *g)
{
	struct pf_error_text e;

	if (!names(g->active, PF_GROUP_EGRESS) && !names(g->fallback, PF_GROUP_EGRESS))
		pf_egress_leave(&g->egress);
	else if (follow_egress(g, NULL, &e))
		pf_say(LOG_ERR, "%s: no interface is of egress", e.text);
}

int pf_engine_settle(struct pf_engine *g)
{
	bool hurry = pf_attach_hurry_begin();
	int err = 0;

	settle_egress(g);
	for (struct pf_netif *i = g->ifs.first; i; i = i->next)
		err = settle(g, i) ? -EIO : err;
	pf_attach_hurry_end(hurry);
	return err;
}

int pf_engine_attach(struct pf_engine *g, const struct pf_generation *gen, struct pf_error_text *e)
{
	bool hurry = pf_attach_hurry_begin();
	int err = names(gen, PF_GROUP_EGRESS) ? follow_egress(g, gen, e) : 0;

	for (const struct pf_netif *i = g->ifs.first; i && !err; i = i->next)
		if (g->dp.config->enabled && !skipped_by(g, gen->rs, i))
			err = pf_attach_on(&g->attach, i, e);
	pf_attach_hurry_end(hurry);
	return err;
}

void pf_engine_take_over_egress(struct pf_engine *g)
{
	struct pf_error_text e;

	if (follow_egress(g, NULL, &e))
		pf_say(LOG_ERR, "%s: no interface is of egress", e.text);
}

static void tell_of_all(struct pf_engine *g)
{
	for (const struct pf_netif *i = g->ifs.first; i; i = i->next)
		tell_all_rules(g, i, false);
	pf_engine_settle(g);
}

void pf_engine_netif_changed(void *ctx, struct pf_netif *i, bool gone)
{
	struct pf_engine *g = ctx;
	bool swap = strcmp(i->taken, gone ? "" : taken_name(g, i)) != 0;

	if (gone)
		pf_bound_gone(&g->bound, i->name, (uint32_t)i->ifindex);
	else
		pf_bound_come(&g->bound, i->name, (uint32_t)i->ifindex);
	/* first what the rules need to know, then the packets */
	tell_iface(g, i, gone);
	tell_all_rules(g, i, gone);
	pf_hops_refresh(&g->gens.hops);
	if (gone)
		pf_attach_forget(&g->attach, i->ifindex);
	else
		settle(g, i);
	/* a name was an interface's, and is a group's now; or the other way round */
	if (swap)
		tell_of_all(g);
	pf_egress_netif(&g->egress, i->ifindex);
}

void pf_engine_egress_changed(void *ctx, int ifindex)
{
	struct pf_engine *g = ctx;
	struct pf_netif *i = pf_netif_by_index(&g->ifs, ifindex);

	/* one that is not known yet comes with what is known then */
	if (!i)
		return;
	tell_all_rules(g, i, false);
	settle(g, i);
}

void pf_engine_know_netifs(struct pf_engine *g)
{
	for (struct pf_netif *i = g->ifs.first; i; i = i->next) {
		i->hooked = was_hooked(g, i);
		tell_iface(g, i, false);
	}
}
