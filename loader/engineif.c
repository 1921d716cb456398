// SPDX-License-Identifier: BSD-2-Clause
/* The interfaces of the engine: where the filter is attached, and what it knows of them. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "../grammar/ifdb.h"
#include "engine.h"

static bool in_group(const struct pf_engine *g, const struct pf_netif *i, const char *group)
{
	if (strcmp(group, "egress") == 0)
		return !i->loopback && pf_egress_has(&g->egress, i->ifindex);
	return strcmp(group, "all") == 0 || pf_if_in_group(i->name, group);
}

/* `set skip on' has the interface's name, or that of a group, which no interface has. */
static bool skipped_by(const struct pf_engine *g, const struct pf_ruleset *rs,
		       const struct pf_netif *i)
{
	if (i->bond_port)
		return true;
	for (size_t n = 0; rs && n < rs->nskip; n++)
		if (pf_netif_is(i, rs->skip[n]) ||
		    (in_group(g, i, rs->skip[n]) && !pf_netif_by_name(&g->ifs, rs->skip[n])))
			return true;
	return false;
}

static bool skips_egress(const struct pf_ruleset *rs)
{
	for (size_t n = 0; rs && n < rs->nskip; n++)
		if (strcmp(rs->skip[n], "egress") == 0)
			return true;
	return false;
}

static const struct pf_ruleset *rules_of(const struct pf_engine *g)
{
	return g->active ? g->active->rs : NULL;
}

static bool is_in_skip(const struct pf_engine *g, const struct pf_netif *i)
{
	const struct pf_ruleset *rs = rules_of(g);

	for (size_t n = 0; rs && n < rs->nskip; n++)
		if (strcmp(i->name, rs->skip[n]) == 0)
			return true;
	return false;
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

	i->in_skip = is_in_skip(g, i);
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

/* The group egress is followed as long as it is needed. */
static void settle_egress(struct pf_engine *g)
{
	struct pf_error_text e;

	if (!skips_egress(rules_of(g)) && !(g->fallback && skips_egress(g->fallback->rs)))
		pf_egress_leave(&g->egress);
	else if (pf_egress_follow(&g->egress, &e))
		pf_say(LOG_ERR, "%s: none of egress is skipped", e.text);
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

int pf_engine_attach(struct pf_engine *g, const struct pf_ruleset *rs, struct pf_error_text *e)
{
	bool hurry = pf_attach_hurry_begin();
	int err = skips_egress(rs) ? pf_egress_follow(&g->egress, e) : 0;

	for (const struct pf_netif *i = g->ifs.first; i && !err; i = i->next)
		if (g->dp.config->enabled && !skipped_by(g, rs, i))
			err = pf_attach_on(&g->attach, i, e);
	pf_attach_hurry_end(hurry);
	return err;
}

static void tell_rules(const struct pf_generation *gen, const struct pf_netif *i, bool gone)
{
	int err = gen ? pf_program_netif(&gen->program, gen->code, i, gone) : 0;

	if (err)
		pf_say(LOG_ERR, "%s: no rule that names an interface matches there%s: %s", i->name,
		       err == -E2BIG ? ", until the rules are loaded again" : "", strerror(-err));
}

void pf_engine_netif_changed(void *ctx, struct pf_netif *i, bool gone)
{
	struct pf_engine *g = ctx;
	bool was_in_skip = i->in_skip;

	if (gone)
		pf_bound_gone(&g->bound, i->name, (uint32_t)i->ifindex);
	else
		pf_bound_come(&g->bound, i->name, (uint32_t)i->ifindex);
	/* first what the rules need to know, then the packets */
	tell_iface(g, i, gone);
	tell_rules(g->active, i, gone);
	tell_rules(g->fallback, i, gone);
	pf_hops_refresh(&g->gens.hops);
	if (gone)
		pf_attach_forget(&g->attach, i->ifindex);
	else
		settle(g, i);
	/* the name was an interface's, and is a group's now; or the other way round */
	if (was_in_skip != (!gone && i->in_skip))
		pf_engine_settle(g);
	pf_egress_netif(&g->egress, i->ifindex);
}

void pf_engine_egress_changed(void *ctx, int ifindex)
{
	struct pf_engine *g = ctx;
	struct pf_netif *i = pf_netif_by_index(&g->ifs, ifindex);

	/* one that is not known yet comes with what is known then */
	if (i)
		settle(g, i);
}

void pf_engine_know_netifs(struct pf_engine *g)
{
	for (struct pf_netif *i = g->ifs.first; i; i = i->next) {
		i->hooked = was_hooked(g, i);
		tell_iface(g, i, false);
	}
}
