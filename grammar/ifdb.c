// SPDX-License-Identifier: BSD-2-Clause
/*
 * By netlink and not by getifaddrs(3), which gives an address's label for its
 * interface, and one member for its broadcast address and its peer.
 */
#include "ifdb.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"
#include "routes.h"

#define ATTRS (IFA_MAX > IFLA_MAX ? IFA_MAX : IFLA_MAX)

struct attrs {
	const struct nlattr *a[ATTRS + 1];
};

static int keep_attr(const struct nlattr *attr, void *data)
{
	struct attrs *t = data;

	if (mnl_attr_get_type(attr) <= ATTRS)
		t->a[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static struct pf_ifname *by_index(const struct pf_ifdb *db, int index)
{
	struct pf_ifname *n = db->names;

	while (n && n->index != index)
		n = n->next;
	return n;
}

/* --- links --- */

static int link_message(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct pf_ifdb *db = data;
	struct pf_ifname *n, **end = &db->names;
	struct attrs t = {{NULL}};

	if (nlh->nlmsg_type != RTM_NEWLINK || ifi->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*ifi), keep_attr, &t);
	if (!t.a[IFLA_IFNAME] || by_index(db, ifi->ifi_index))
		return MNL_CB_OK;
	n = pf_arena_alloc(&db->arena, sizeof(*n));
	if (!n)
		return MNL_CB_ERROR;
	n->name = pf_arena_strdup(&db->arena, mnl_attr_get_str(t.a[IFLA_IFNAME]));
	if (!n->name)
		return MNL_CB_ERROR;
	n->index = ifi->ifi_index;
	n->flags = ifi->ifi_flags;
	while (*end)
		end = &(*end)->next;
	*end = n;
	return MNL_CB_OK;
}

/* --- addresses --- */

static bool ip_of(const struct nlattr *attr, uint8_t af, struct pf_ip *ip)
{
	size_t len = af == PF_FAMILY_INET ? 4 : 16;

	if (!attr || mnl_attr_get_payload_len(attr) < len)
		return false;
	memset(ip, 0, sizeof(*ip));
	memcpy(ip->b, mnl_attr_get_payload(attr), len);
	return true;
}

/* The last address of the network; one of two addresses has none (RFC 3021). */
static bool last_of_network(struct pf_ifaddr *a)
{
	struct pf_ip mask;

	if (a->bits > 30)
		return false;
	memset(&mask, 0xff, sizeof(mask));
	pf_ip_mask(&mask, a->bits);
	for (int i = 0; i < 4; i++)
		a->broadcast.b[i] = (uint8_t)(a->net.b[i] | ~mask.b[i]);
	return true;
}

/*
 * The order of an interface's addresses.  The loopback address is there from the start,
 * whatever the kernel's order says.
 */
static int rank(const struct pf_ifaddr *a)
{
	static const struct pf_ip loopback = {.b = {[15] = 1}};

	if (a->af == PF_FAMILY_INET)
		return 0;
	if (pf_ip_equal(&a->ip, &loopback))
		return 1;
	return a->linklocal ? 3 : 2;
}

/*
 * The kernel lists IPv4 addresses in the order of their assignment, and IPv6 addresses
 * of one scope the other way round: pf's "first address" is the oldest one.
 */
static void put_addr(struct pf_ifdb *db, struct pf_ifaddr *a)
{
	const int before = rank(a) + (a->af == PF_FAMILY_INET);
	struct pf_ifaddr **end = &db->addrs;

	while (*end && (*end)->ifname != a->ifname)
		end = &(*end)->next;
	while (*end && (*end)->ifname == a->ifname && rank(*end) < before)
		end = &(*end)->next;
	a->next = *end;
	*end = a;
}

/* IFA_LOCAL is ours; IFA_ADDRESS is the peer's if it is another, and has the prefix. */
static int addr_message(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct pf_ifdb *db = data;
	const struct pf_ifname *n = by_index(db, (int)ifa->ifa_index);
	struct pf_ifaddr *a;
	struct attrs t = {{NULL}};

	if (nlh->nlmsg_type != RTM_NEWADDR || !n ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(*ifa), keep_attr, &t);
	a = pf_arena_alloc(&db->arena, sizeof(*a));
	if (!a)
		return MNL_CB_ERROR;
	a->ifname = n->name;
	a->flags = n->flags;
	a->af = ifa->ifa_family == AF_INET ? PF_FAMILY_INET : PF_FAMILY_INET6;
	a->bits = ifa->ifa_prefixlen;
	if (!ip_of(t.a[IFA_ADDRESS], a->af, &a->net))
		return MNL_CB_OK;
	if (!ip_of(t.a[IFA_LOCAL], a->af, &a->ip))
		a->ip = a->net;
	a->has_peer = !pf_ip_equal(&a->ip, &a->net);
	a->peer = a->net;
	if (a->af == PF_FAMILY_INET && n->flags & IFF_BROADCAST && !a->has_peer)
		a->has_broadcast = ip_of(t.a[IFA_BROADCAST], a->af, &a->broadcast) ||
				   last_of_network(a);
	a->linklocal = a->af == PF_FAMILY_INET6 && a->ip.b[0] == 0xfe &&
		       (a->ip.b[1] & 0xc0) == 0x80;
	put_addr(db, a);
	return MNL_CB_OK;
}

/* --- default routes --- */

static void egress(void *ctx, const struct pf_route_hop *hop)
{
	struct pf_ifname *n = by_index(ctx, hop->index);

	if (n && !hop->dead && !(n->flags & IFF_LOOPBACK))
		n->egress = true;
}

void pf_ifdb_read_routes(struct pf_ifdb *db)
{
	pf_default_routes(egress, db);
}

/* --- all --- */

static void dump(struct pf_ifdb *db, uint16_t type, mnl_cb_t each)
{
	struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};

	/* an ifaddrmsg is shorter, and begins with the family, too */
	pf_netlink_ask(NETLINK_ROUTE, type, NLM_F_DUMP, &ifi, sizeof(ifi), each, db);
}

void pf_ifdb_read(struct pf_ifdb *db)
{
	dump(db, RTM_GETLINK, link_message);
	dump(db, RTM_GETADDR, addr_message);
}
