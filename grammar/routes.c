// SPDX-License-Identifier: BSD-2-Clause
#include "routes.h"

#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>

#include "netlink.h"

struct reader {
	void (*each)(void *ctx, const struct pf_route_hop *hop);
	void *ctx;
	struct pf_route_hop hop; /* what is known of those of the route at hand */
};

static void tell(struct reader *r, int index, unsigned int flags)
{
	r->hop.index = index;
	r->hop.dead = flags & RTNH_F_DEAD;
	r->each(r->ctx, &r->hop);
}

/* --- objects of ip-nexthop(8) --- */

static int ask_object(uint32_t id, mnl_cb_t each, struct reader *r)
{
	const struct {
		struct nhmsg nhm;
		struct nlattr attr;
		uint32_t id;
	} body = {.attr = {.nla_len = sizeof(body.attr) + sizeof(id), .nla_type = NHA_ID},
		  .id = id};

	return pf_netlink_ask(NETLINK_ROUTE, RTM_GETNEXTHOP, 0, &body, sizeof(body), each, r);
}

static int hop_object(const struct nlmsghdr *nlh, void *data)
{
	const struct nhmsg *nhm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	mnl_attr_for_each (attr, nlh, sizeof(*nhm))
		if (mnl_attr_get_type(attr) == NHA_OIF)
			tell(data, (int)mnl_attr_get_u32(attr), nhm->nh_flags);
	return MNL_CB_OK;
}

/* A group of them, which is of no groups, or one. */
static int any_object(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each (attr, nlh, sizeof(struct nhmsg)) {
		const struct nexthop_grp *member = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) != NHA_GROUP)
			continue;
		/* one that has gone since is not told of */
		for (size_t n = mnl_attr_get_payload_len(attr) / sizeof(*member); n; n--, member++)
			ask_object(member->id, hop_object, data);
	}
	return hop_object(nlh, data);
}

/* --- routes --- */

static void several_hops(struct reader *r, const struct nlattr *attr)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left) {
		size_t len = RTNH_ALIGN(hop->rtnh_len);

		tell(r, hop->rtnh_ifindex, hop->rtnh_flags);
		if (len >= left)
			break;
		left -= len;
		hop = (const void *)((const char *)hop + len);
	}
}

struct attrs {
	const struct nlattr *a[RTA_MAX + 1];
};

static int keep_attr(const struct nlattr *attr, void *data)
{
	struct attrs *t = data;

	if (mnl_attr_get_type(attr) <= RTA_MAX)
		t->a[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static int route_message(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct attrs t = {{NULL}};
	struct reader *r = data;
	uint32_t table;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_dst_len || rtm->rtm_type != RTN_UNICAST ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*rtm), keep_attr, &t);
	table = t.a[RTA_TABLE] ? mnl_attr_get_u32(t.a[RTA_TABLE]) : rtm->rtm_table;
	if (table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	r->hop.object = t.a[RTA_NH_ID];
	r->hop.address = t.a[RTA_PREFSRC];
	if (t.a[RTA_OIF])
		tell(r, (int)mnl_attr_get_u32(t.a[RTA_OIF]), rtm->rtm_flags);
	else if (t.a[RTA_MULTIPATH])
		several_hops(r, t.a[RTA_MULTIPATH]);
	else if (t.a[RTA_NH_ID]) /* with nexthop_compat_mode=0 */
		ask_object(mnl_attr_get_u32(t.a[RTA_NH_ID]), any_object, r);
	return MNL_CB_OK;
}

int pf_default_routes(void (*each)(void *ctx, const struct pf_route_hop *hop), void *ctx)
{
	struct reader r = {.each = each, .ctx = ctx};
	struct rtmsg rtm = {.rtm_family = AF_UNSPEC};

	return pf_netlink_ask(NETLINK_ROUTE, RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm),
			      route_message, &r);
}
