// SPDX-License-Identifier: BSD-2-Clause
#include "egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROUPS	   (RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | 1U << (RTNLGRP_NEXTHOP - 1))

/*
 * The kernel tells of an interface or address before it takes its routes away, and a list
 * of routes need not wait for that: it is read once more, that much later.
 */
#define SETTLED_MS 1000
/* Between two readings, in parts of what one takes: the table may be large. */
#define REST	   4
#define RETRY_MS   1000

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- reading --- */

static void keep_hop(void *ctx, const struct pf_route_hop *hop)
{
	struct pf_route_hops *h = ctx;

	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 8;
		struct pf_route_hop *more = reallocarray(h->v, room, sizeof(*more));

		if (!more) {
			h->failed = true;
			return;
		}
		h->v = more;
		h->room = room;
	}
	h->v[h->n++] = *hop;
}

static bool lead_to(const struct pf_route_hops *h, int ifindex)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].index == ifindex && !h->v[i].dead)
			return true;
	return false;
}

bool pf_egress_has(const struct pf_egress *e, int ifindex)
{
	return lead_to(&e->hops, ifindex);
}

/* Tells of those of `some` that were not, or are not now; of each once. */
static void tell(struct pf_egress *e, const struct pf_route_hops *some,
		 const struct pf_route_hops *others)
{
	for (size_t i = 0; i < some->n; i++) {
		const struct pf_route_hops before = {.v = some->v, .n = i};
		int index = some->v[i].index;

		if (!some->v[i].dead && !lead_to(&before, index) && !lead_to(others, index))
			e->changed(e->ctx, index);
	}
}

/* If it fails, what was known stays.  *old is for the caller to free. */
static int read_hops(struct pf_egress *e, struct pf_route_hops *old)
{
	struct pf_route_hops now = {NULL};
	uint64_t begun = now_ms(), ended;
	int err = pf_default_routes(keep_hop, &now);

	ended = now_ms();
	e->rest = ended + REST * (ended - begun);
	if (!err && now.failed)
		err = -ENOMEM;
	if (err) {
		free(now.v);
		return err;
	}
	*old = e->hops;
	e->hops = now;
	return 0;
}

/* At the given time, or when they may be read, if it is not to be earlier already. */
static void read_at(struct pf_egress *e, uint64_t ms)
{
	uint64_t now = now_ms();

	if (ms < e->rest)
		ms = e->rest;
	if (e->due && e->due <= ms)
		return;
	e->due = ms > now ? ms : now + 1;
	pf_timer_once(&e->timer, e->due - now);
}

static void fire(void *ctx)
{
	struct pf_egress *e = ctx;
	struct pf_route_hops old;
	int err = read_hops(e, &old);

	e->due = 0;
	if (err) {
		pf_say(LOG_ERR, "cannot read the default routes: %s", strerror(-err));
		read_at(e, now_ms() + RETRY_MS);
		return;
	}
	/* first who is to be filtered now */
	tell(e, &old, &e->hops);
	tell(e, &e->hops, &old);
	free(old.v);
	if (now_ms() < e->unsettled)
		read_at(e, e->unsettled);
}

/* --- listening --- */

/* To next-hop objects, and default routes of the main table. */
static int listen_to_few(int fd)
{
	static const unsigned int type = offsetof(struct nlmsghdr, nlmsg_type);
	static const unsigned int bits = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len);
	static const unsigned int table = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_table);
	/* a message is in the byte order of the host, and loaded from that of networks */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, type),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 4),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, bits),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, table),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_MAIN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* Does a change of objects matter? */
static bool by_objects(const struct pf_egress *e)
{
	bool any = false;

	for (size_t i = 0; i < e->hops.n; i++)
		any |= e->hops.v[i].object;
	return any;
}

static void monitor_ready(void *ctx, uint32_t events)
{
	struct pf_egress *e = ctx;
	bool changed = false;
	char buf[32768];

	(void)events;
	for (;;) {
		const struct nlmsghdr *nlh = (const void *)buf;
		ssize_t got = mnl_socket_recvfrom(e->monitor, buf, sizeof(buf));

		if (got < 0 && errno != ENOBUFS)
			break;
		changed |= got < (ssize_t)sizeof(*nlh) || nlh->nlmsg_type == RTM_NEWROUTE ||
			   nlh->nlmsg_type == RTM_DELROUTE || by_objects(e);
	}
	if (changed)
		read_at(e, now_ms());
}

void pf_egress_netif(struct pf_egress *e, int ifindex)
{
	bool matters = false;

	for (size_t i = 0; i < e->hops.n; i++)
		matters |= e->hops.v[i].index == ifindex || e->hops.v[i].address;
	if (!matters)
		return;
	e->unsettled = now_ms() + SETTLED_MS;
	read_at(e, now_ms());
}

void pf_egress_init(struct pf_egress *e, struct pf_loop *loop,
		    void (*changed)(void *ctx, int ifindex), void *ctx)
{
	*e = (struct pf_egress){.loop = loop,
				.source = {.fd = -1},
				.timer = {.source = {.fd = -1}},
				.changed = changed,
				.ctx = ctx};
}

static int begin(struct pf_egress *e)
{
	struct pf_route_hops none;
	int err;

	e->monitor = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!e->monitor || listen_to_few(mnl_socket_get_fd(e->monitor)) ||
	    mnl_socket_bind(e->monitor, GROUPS, MNL_SOCKET_AUTOPID))
		return -errno;
	e->source.fd = mnl_socket_get_fd(e->monitor);
	e->source.ready = monitor_ready;
	e->source.ctx = e;
	err = pf_timer_init(e->loop, &e->timer, fire, e);
	if (!err)
		err = pf_loop_add(e->loop, &e->source, EPOLLIN);
	/* what has changed since it listens is read again */
	return err ? err : read_hops(e, &none);
}

int pf_egress_follow(struct pf_egress *e, struct pf_error_text *err)
{
	int rc = e->monitor ? 0 : begin(e);

	if (!rc)
		return 0;
	pf_egress_leave(e);
	return pf_fail(err, rc, "cannot follow the default routes: %s", strerror(-rc));
}

void pf_egress_leave(struct pf_egress *e)
{
	pf_timer_close(e->loop, &e->timer);
	if (e->source.fd >= 0)
		pf_loop_remove(e->loop, &e->source);
	if (e->monitor)
		mnl_socket_close(e->monitor);
	free(e->hops.v);
	pf_egress_init(e, e->loop, e->changed, e->ctx);
}
