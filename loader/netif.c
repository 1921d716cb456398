// SPDX-License-Identifier: BSD-2-Clause
#include "netif.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/ifdb.h"
#include "../grammar/netlink.h"
#include "egress.h"

uint64_t pf_netns_cookie(void)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		cookie = 0;
	if (fd >= 0)
		close(fd);
	return cookie;
}

struct pf_netif *pf_netif_by_index(const struct pf_netifs *n, int ifindex)
{
	struct pf_netif *i = n->first;

	while (i && i->ifindex != ifindex)
		i = i->next;
	return i;
}

struct pf_netif *pf_netif_by_name(const struct pf_netifs *n, const char *name)
{
	struct pf_netif *i = n->first;

	while (i && strcmp(i->name, name) != 0)
		i = i->next;
	return i;
}

bool pf_netif_is(const struct pf_netif *i, const char *name)
{
	if (strcmp(name, PF_IF_ANY) == 0)
		return !i->loopback;
	return strcmp(i->name, name) == 0 || (i->loopback && strcmp(name, "lo0") == 0);
}

static bool in_group(const struct pf_netifs *n, const struct pf_netif *i, const char *group)
{
	if (strcmp(group, PF_GROUP_EGRESS) == 0)
		return n->egress && !i->loopback && pf_egress_has(n->egress, i->ifindex);
	return strcmp(group, PF_GROUP_ALL) == 0 || pf_if_in_group(i->name, group);
}

bool pf_netif_meant(const struct pf_netifs *n, const struct pf_netif *i, const char *name)
{
	return pf_netif_is(i, name) || (in_group(n, i, name) && !pf_netif_by_name(n, name));
}

static void free_addrs(struct pf_netif *i)
{
	while (i->addrs) {
		struct pf_netif_addr *next = i->addrs->next;

		free(i->addrs);
		i->addrs = next;
	}
}

/* --- links --- */

static int link_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;

	if (mnl_attr_type_valid(attr, IFLA_MAX) >= 0)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* IFLA_INFO_SLAVE_KIND, or NULL: what kind of interface this one is a port of. */
static const char *port_kind(const struct nlattr *linkinfo)
{
	const struct nlattr *attr;

	if (!linkinfo)
		return NULL;
	mnl_attr_for_each_nested (attr, linkinfo) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			return mnl_attr_get_str(attr);
	}
	return NULL;
}

static struct pf_netif *get_netif(struct pf_netifs *n, int ifindex)
{
	struct pf_netif *i = pf_netif_by_index(n, ifindex);

	if (i)
		return i;
	i = calloc(1, sizeof(*i));
	if (!i)
		return NULL;
	i->ifindex = ifindex;
	i->next = n->first;
	n->first = i;
	return i;
}

static void link_gone(struct pf_netifs *n, int ifindex)
{
	for (struct pf_netif **p = &n->first; *p; p = &(*p)->next) {
		struct pf_netif *i = *p;

		if (i->ifindex != ifindex)
			continue;
		*p = i->next;
		if (n->changed)
			n->changed(n->ctx, i, true);
		free_addrs(i);
		free(i);
		return;
	}
}

static void link_message(struct pf_netifs *n, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFLA_MAX + 1] = {NULL};
	const char *kind;
	struct pf_netif *i;

	/* a bridge speaks of its ports in messages of its own family */
	if (ifi->ifi_family != AF_UNSPEC)
		return;
	if (nlh->nlmsg_type == RTM_DELLINK) {
		link_gone(n, ifi->ifi_index);
		return;
	}
	mnl_attr_parse(nlh, sizeof(*ifi), link_attr, tb);
	if (!tb[IFLA_IFNAME])
		return;
	i = get_netif(n, ifi->ifi_index);
	if (!i) {
		pf_say(LOG_ERR, "out of memory: an interface is not filtered");
		return;
	}
	strncpy(i->name, mnl_attr_get_str(tb[IFLA_IFNAME]), sizeof(i->name) - 1);
	kind = tb[IFLA_MASTER] ? port_kind(tb[IFLA_LINKINFO]) : NULL;
	i->type = ifi->ifi_type;
	i->up = ifi->ifi_flags & IFF_UP;
	i->loopback = ifi->ifi_flags & IFF_LOOPBACK;
	i->bridge_port = kind && strcmp(kind, "bridge") == 0;
	i->bond_port = kind && (strcmp(kind, "bond") == 0 || strcmp(kind, "team") == 0);
	i->seen = true;
	if (n->changed)
		n->changed(n->ctx, i, false);
}

/* --- addresses --- */

static int addr_attr(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;

	if (mnl_attr_type_valid(attr, IFA_MAX) >= 0)
		tb[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static void drop_addr(struct pf_netif *i, const struct pf_netif_addr *a)
{
	for (struct pf_netif_addr **p = &i->addrs; *p; p = &(*p)->next) {
		struct pf_netif_addr *old = *p;

		if (old->af != a->af || !pf_ip_equal(&old->ip, &a->ip))
			continue;
		*p = old->next;
		free(old);
		return;
	}
}

static void keep_addr(struct pf_netif *i, const struct pf_netif_addr *a)
{
	struct pf_netif_addr *copy = malloc(sizeof(*copy)), **end = &i->addrs;

	drop_addr(i, a);
	if (!copy)
		return;
	*copy = *a;
	copy->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = copy;
}

static void addr_message(struct pf_netifs *n, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_MAX + 1] = {NULL}, *attr;
	struct pf_netif *i = pf_netif_by_index(n, (int)ifa->ifa_index);
	struct pf_netif_addr a = {.bits = ifa->ifa_prefixlen};
	size_t len;

	if (!i || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return;
	mnl_attr_parse(nlh, sizeof(*ifa), addr_attr, tb);
	/* on a point-to-point link IFA_ADDRESS is the peer's */
	attr = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	a.af = ifa->ifa_family == AF_INET ? PF_FAMILY_INET : PF_FAMILY_INET6;
	len = a.af == PF_FAMILY_INET ? 4 : 16;
	if (!attr || mnl_attr_get_payload_len(attr) < len)
		return;
	memcpy(a.ip.b, mnl_attr_get_payload(attr), len);
	a.linklocal = ifa->ifa_scope == RT_SCOPE_LINK;
	if (nlh->nlmsg_type == RTM_DELADDR)
		drop_addr(i, &a);
	else
		keep_addr(i, &a);
	if (n->changed)
		n->changed(n->ctx, i, false);
}

static int message(const struct nlmsghdr *nlh, void *data)
{
	struct pf_netifs *n = data;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_message(n, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		addr_message(n, nlh);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* --- dumps --- */

static int dump(struct pf_netifs *n, uint16_t type)
{
	struct rtgenmsg gen = {.rtgen_family = AF_UNSPEC};

	return pf_netlink_ask(NETLINK_ROUTE, type, NLM_F_DUMP, &gen, sizeof(gen), message, n);
}

/* Everything anew: what the dump does not show is gone. */
static int resync(struct pf_netifs *n)
{
	int err;

	for (struct pf_netif *i = n->first; i; i = i->next) {
		i->seen = false;
		free_addrs(i);
	}
	err = dump(n, RTM_GETLINK);
	if (!err)
		err = dump(n, RTM_GETADDR);
	for (struct pf_netif *i = n->first, *next; i && !err; i = next) {
		next = i->next;
		if (!i->seen)
			link_gone(n, i->ifindex);
	}
	return err;
}

/* --- listening --- */

static void monitor_ready(void *ctx, uint32_t events)
{
	struct pf_netifs *n = ctx;
	char buf[32768];

	(void)events;
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(n->monitor, buf, sizeof(buf));

		if (got < 0 && errno == ENOBUFS) {
			pf_say(LOG_NOTICE, "changes of interfaces were lost: reading them all");
			resync(n);
			continue;
		}
		if (got <= 0)
			return;
		mnl_cb_run(buf, (size_t)got, 0, 0, message, n);
	}
}

int pf_netifs_open(struct pf_netifs *n, struct pf_loop *loop,
		   void (*changed)(void *ctx, struct pf_netif *i, bool gone), void *ctx,
		   struct pf_error_text *e)
{
	static const int groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
	int err;

	memset(n, 0, sizeof(*n));
	n->source.fd = -1;
	/* first listen, then read: nothing falls in between */
	n->monitor = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!n->monitor || mnl_socket_bind(n->monitor, groups, MNL_SOCKET_AUTOPID))
		return pf_fail(e, -errno, "rtnetlink: %s", strerror(errno));
	err = resync(n);
	if (err)
		return pf_fail(e, err, "cannot read the interfaces: %s", strerror(-err));
	n->changed = changed;
	n->ctx = ctx;
	n->source.fd = mnl_socket_get_fd(n->monitor);
	n->source.ready = monitor_ready;
	n->source.ctx = n;
	err = pf_loop_add(loop, &n->source, EPOLLIN);
	return err ? pf_fail(e, err, "epoll: %s", strerror(-err)) : 0;
}

void pf_netifs_close(struct pf_netifs *n, struct pf_loop *loop)
{
	pf_loop_remove(loop, &n->source);
	if (n->monitor)
		mnl_socket_close(n->monitor);
	while (n->first) {
		struct pf_netif *i = n->first;

		n->first = i->next;
		free_addrs(i);
		free(i);
	}
	memset(n, 0, sizeof(*n));
	n->source.fd = -1;
}
