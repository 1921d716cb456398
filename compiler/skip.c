// SPDX-License-Identifier: BSD-2-Clause
/*
 * Skip steps (pf_calc_skip_steps() of OpenBSD): rules that follow each other
 * and agree in a criterion are left out together when the first does not match
 * in it.
 */
#include <assert.h>
#include <string.h>

#include "compiler.h"

const char *const pf_skip_names[PF_SKIP_MAX] = {
	[PF_SKIP_IFP] = "i",	   [PF_SKIP_DIR] = "d",	      [PF_SKIP_RDOM] = "r",
	[PF_SKIP_AF] = "f",	   [PF_SKIP_PROTO] = "p",     [PF_SKIP_SRC_ADDR] = "sa",
	[PF_SKIP_DST_ADDR] = "da", [PF_SKIP_SRC_PORT] = "sp", [PF_SKIP_DST_PORT] = "dp",
};

static bool same_iface(const struct pf_rule *a, const struct pf_rule *b)
{
	if (!a->ifname || !b->ifname)
		return a->ifname == b->ifname;
	return a->ifnot == b->ifnot && strcmp(a->ifname, b->ifname) == 0;
}

static bool same_host(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	if (a->type != b->type || a->neg != b->neg)
		return false;
	switch (a->type) {
	case PF_HOST_ANY:
		return true;
	case PF_HOST_TABLE:
		return strcmp(a->table, b->table) == 0;
	case PF_HOST_PREFIX:
		return a->af == b->af && a->bits == b->bits && pf_ip_equal(&a->ip, &b->ip);
	case PF_HOST_RANGE:
		return a->af == b->af && pf_ip_equal(&a->ip, &b->ip) && pf_ip_equal(a->hi, b->hi);
	default:
		return false;
	}
}

static bool same_port(const struct pf_rule_port *a, const struct pf_rule_port *b)
{
	return a->op == b->op && a->lo == b->lo && a->hi == b->hi;
}

/*
 * Two neighbours agree.  A port is only looked at in TCP and UDP packets, and
 * the protocol comes first: that a rule of another protocol has no port is
 * agreement enough with one that has none.
 */
bool pf_skip_agrees(enum pf_skip what, const struct pf_rule *a, const struct pf_rule *b)
{
	switch (what) {
	case PF_SKIP_IFP:
		return same_iface(a, b);
	case PF_SKIP_DIR:
		return a->dir == b->dir;
	case PF_SKIP_RDOM:
		return true;
	case PF_SKIP_AF:
		return a->af == b->af;
	case PF_SKIP_PROTO:
		return a->proto == b->proto;
	case PF_SKIP_SRC_ADDR:
		return same_host(&a->src, &b->src);
	case PF_SKIP_DST_ADDR:
		return same_host(&a->dst, &b->dst);
	case PF_SKIP_SRC_PORT:
		return same_port(&a->sport, &b->sport);
	case PF_SKIP_DST_PORT:
		return same_port(&a->dport, &b->dport);
	case PF_SKIP_MAX:
		break;
	}
	return false;
}

void pf_skips_compute(const struct pf_rule_list *l, struct pf_skips *skips)
{
	for (size_t i = l->n; i-- > 0;) {
		for (int what = 0; what < PF_SKIP_MAX; what++) {
			uint32_t to = (uint32_t)i + 1;

			if (to < l->n && pf_skip_agrees((enum pf_skip)what, &l->v[i], &l->v[to]))
				to = skips[to].to[what];
			skips[i].to[what] = to;
		}
	}
}
