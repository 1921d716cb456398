// SPDX-License-Identifier: BSD-2-Clause
#include "hops.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_SIZE 8192

void pf_hops_open(struct pf_hops *h, const struct pf_datapath *dp, const struct pf_netifs *ifs)
{
	*h = (struct pf_hops){.dp = dp, .ifs = ifs, .source.fd = -1};
}

void pf_hops_close(struct pf_hops *h)
{
	if (h->monitor) {
		pf_loop_remove(h->loop, &h->source);
		mnl_socket_close(h->monitor);
	}
	if (h->ask)
		mnl_socket_close(h->ask);
	h->monitor = h->ask = NULL;
	h->source.fd = -1;
}

/* --- the way to an address --- */

struct way {
	struct pf_addr via; /* whom to send it to */
	uint32_t ifindex;   /* 0: there is none */
	uint32_t af;
};

static int route_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;

	if (mnl_attr_type_valid(attr, RTA_MAX) >= 0)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static int route_message(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[RTA_MAX + 1] = {NULL};
	struct way *way = data;
	size_t len = way->af == PF_FAMILY_INET ? 4 : 16;

	/* to an own address leads no way */
	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*rtm), route_attr, tb);
	/* RTA_VIA: IPv4 by way of an IPv6 router */
	if (!tb[RTA_OIF] || tb[RTA_VIA])
		return MNL_CB_OK;
	if (tb[RTA_GATEWAY] && mnl_attr_get_payload_len(tb[RTA_GATEWAY]) >= len)
		memcpy(&way->via, mnl_attr_get_payload(tb[RTA_GATEWAY]), len);
	way->ifindex = mnl_attr_get_u32(tb[RTA_OIF]);
	return MNL_CB_OK;
}

static struct mnl_socket *ask_socket(struct pf_hops *h)
{
	if (h->ask)
		return h->ask;
	h->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (h->ask && mnl_socket_bind(h->ask, 0, MNL_SOCKET_AUTOPID)) {
		mnl_socket_close(h->ask);
		h->ask = NULL;
	}
	return h->ask;
}

static void find_way(struct pf_hops *h, struct way *way)
{
	static uint32_t seq;
	struct mnl_socket *nl = ask_socket(h);
	char buf[ANSWER_SIZE] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	size_t len = way->af == PF_FAMILY_INET ? 4 : 16;
	ssize_t got;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = ++seq;
	rtm->rtm_family = way->af == PF_FAMILY_INET ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (unsigned char)(len * 8);
	mnl_attr_put(nlh, RTA_DST, len, &way->via);
	got = nl && mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) > 0
		      ? mnl_socket_recvfrom(nl, buf, sizeof(buf))
		      : -1;
	/* an error in the answer is that there is none */
	if (got <= 0 || mnl_cb_run(buf, (size_t)got, seq, 0, route_message, way) < 0)
		way->ifindex = 0;
}

/* --- gateways --- */

static struct way way_to(struct pf_hops *h, const struct pf_hop *hop)
{
	struct way way = {.via = hop->addr, .af = hop->af};

	if (!*hop->ifname) {
		find_way(h, &way);
		return way;
	}
	for (const struct pf_netif *i = h->ifs->first; i; i = i->next)
		if (pf_netif_is(i, hop->ifname))
			way.ifindex = (uint32_t)i->ifindex;
	return way;
}

/*
 * Packets may take it meanwhile: never to a neighbour at the other one's interface, nor to
 * one that is half the old one.  A pfd that ended in between left the number odd.
 */
static void set_way(struct pf_opt_set *set, const struct way *way)
{
	struct pf_hop *hop = &set->hop;
	uint32_t moves = __atomic_load_n(&set->hop_moves, __ATOMIC_RELAXED) | 1;

	if (!(set->hop_moves & 1) && hop->ifindex == way->ifindex &&
	    memcmp(&hop->via, &way->via, sizeof(way->via)) == 0)
		return;
	__atomic_exchange_n(&set->hop_moves, moves, __ATOMIC_SEQ_CST);
	memcpy(&hop->via, &way->via, sizeof(hop->via));
	hop->ifindex = way->ifindex;
	__atomic_store_n(&set->hop_moves, moves + 1, __ATOMIC_RELEASE);
}

static void routes_changed(void *ctx, uint32_t events)
{
	struct pf_hops *h = ctx;
	char buf[32768];
	ssize_t got;

	(void)events;
	/* whatever it was, or that it was too much */
	do
		got = mnl_socket_recvfrom(h->monitor, buf, sizeof(buf));
	while (got > 0 || (got < 0 && errno == ENOBUFS));
	pf_hops_refresh(h);
}

/* First listen, then look. */
static void watch(struct pf_hops *h)
{
	static const uint32_t groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
				       1U << (RTNLGRP_IPV6_RULE - 1) | 1U << (RTNLGRP_NEXTHOP - 1);

	if (!h->loop || h->monitor)
		return;
	h->monitor = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (h->monitor && mnl_socket_bind(h->monitor, groups, MNL_SOCKET_AUTOPID) == 0) {
		h->source.fd = mnl_socket_get_fd(h->monitor);
		h->source.ready = routes_changed;
		h->source.ctx = h;
		if (!pf_loop_add(h->loop, &h->source, EPOLLIN))
			return;
	}
	pf_say(LOG_ERR, "changes of routes are not seen: the ways to gateways are those of now");
	if (h->monitor)
		mnl_socket_close(h->monitor);
	h->monitor = NULL;
}

void pf_hops_find(struct pf_hops *h, struct pf_hop *hop)
{
	struct way way;

	h->some = true;
	if (!*hop->ifname)
		watch(h);
	way = way_to(h, hop);
	hop->via = way.via;
	hop->ifindex = way.ifindex;
}

void pf_hops_of(struct pf_hops *h, const struct pf_rule *r, struct pf_hop *out)
{
	const struct pf_pool_host *host = &r->x->route->hosts[0];

	memset(out, 0, sizeof(*out));
	out->af = host->host.af;
	memcpy(&out->addr, host->host.ip.b, out->af == PF_FAMILY_INET ? 4 : 16);
	if (host->ifname)
		strncpy(out->ifname, host->ifname, sizeof(out->ifname) - 1);
	pf_hops_find(h, out);
}

void pf_hops_refresh(struct pf_hops *h)
{
	for (uint32_t i = 1; h->some && i < PF_MAX_OPT_SETS; i++) {
		struct pf_opt_set *set = &h->dp->opt_sets[i];
		struct way way;

		if (!(set->flags & PF_OPTS_USED) || !set->hop.af)
			continue;
		if (!*set->hop.ifname)
			watch(h);
		way = way_to(h, &set->hop);
		set_way(set, &way);
	}
}

void pf_hops_listen(struct pf_hops *h, struct pf_loop *loop)
{
	h->loop = loop;
	h->some = true;
	pf_hops_refresh(h);
	h->some = false;
	for (uint32_t i = 1; i < PF_MAX_OPT_SETS; i++)
		h->some |= h->dp->opt_sets[i].hop.af != 0;
}
