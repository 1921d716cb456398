// SPDX-License-Identifier: BSD-2-Clause
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adopt.h"

/* How many entries this network namespace has.  Where the file is not, there are none. */
#define COUNT_FILE    "/proc/sys/net/netfilter/nf_conntrack_count"

#define BUFFER_SIZE   (MNL_SOCKET_BUFFER_SIZE * 4)
#define WSCALE_MOST   14 /* RFC 7323 section 2.3 */
#define ECHO_REQUEST4 8
#define ECHO_REQUEST6 128

/* One direction of an entry. */
struct tuple {
	struct pf_addr src, dst;
	__be16 sport, dport; /* as in keys of states */
	uint8_t af, proto;
	bool zone;
};

struct entry {
	struct tuple orig, reply;
	uint32_t status; /* IPS_* */
	uint16_t zone;
	uint8_t tcp_state;
	uint8_t wscale[2];
	uint8_t tcp_flags[2]; /* IP_CT_TCP_FLAG_*; [0] of who began */
};

struct reader {
	const struct pf_datapath *dp;
	const struct pf_netifs *ifs;
	uint64_t jiffies;
	struct pf_conntracked n;
};

/* --- reading an entry --- */

struct attrs {
	const struct nlattr *v[32];
};

static int keep_attr(const struct nlattr *attr, void *data)
{
	struct attrs *a = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < sizeof(a->v) / sizeof(a->v[0]))
		a->v[type] = attr;
	return MNL_CB_OK;
}

static struct attrs nested(const struct nlattr *of)
{
	struct attrs a = {{NULL}};

	if (of)
		mnl_attr_parse_nested(of, keep_attr, &a);
	return a;
}

/* An attribute of that size at least, or zeroes. */
static void get(const struct nlattr *attr, void *out, size_t size)
{
	memset(out, 0, size);
	if (attr && mnl_attr_get_payload_len(attr) >= size)
		memcpy(out, mnl_attr_get_payload(attr), size);
}

/* A type and an id stand for the ports: see icmp_set_ports() of bpf/icmp.h. */
static bool get_echo(const struct attrs *p, struct tuple *t)
{
	bool v4 = t->proto == IPPROTO_ICMP;
	uint8_t type;

	get(p->v[v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE], &type, sizeof(type));
	get(p->v[v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID], &t->sport, sizeof(t->sport));
	t->dport = htons(type);
	return type == (v4 ? ECHO_REQUEST4 : ECHO_REQUEST6);
}

/* What pf sees of it as well; `query`: that of ICMP must be one. */
static bool get_tuple(const struct nlattr *attr, bool query, struct tuple *t)
{
	struct attrs a = nested(attr), ip = nested(a.v[CTA_TUPLE_IP]),
		     p = nested(a.v[CTA_TUPLE_PROTO]);
	bool v4 = ip.v[CTA_IP_V4_SRC] != NULL;
	size_t size = v4 ? 4 : 16;

	memset(t, 0, sizeof(*t));
	t->af = v4 ? PF_AF_INET : PF_AF_INET6;
	get(ip.v[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], &t->src, size);
	get(ip.v[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], &t->dst, size);
	get(p.v[CTA_PROTO_NUM], &t->proto, sizeof(t->proto));
	t->zone = a.v[CTA_TUPLE_ZONE] != NULL;
	switch (t->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		get(p.v[CTA_PROTO_SRC_PORT], &t->sport, sizeof(t->sport));
		get(p.v[CTA_PROTO_DST_PORT], &t->dport, sizeof(t->dport));
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return get_echo(&p, t) || !query;
	default:
		return false;
	}
}

static void get_tcp(const struct nlattr *info, struct entry *e)
{
	struct attrs a = nested(info), tcp = nested(a.v[CTA_PROTOINFO_TCP]);
	struct nf_ct_tcp_flags flags;

	get(tcp.v[CTA_PROTOINFO_TCP_STATE], &e->tcp_state, 1);
	get(tcp.v[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL], &e->wscale[0], 1);
	get(tcp.v[CTA_PROTOINFO_TCP_WSCALE_REPLY], &e->wscale[1], 1);
	get(tcp.v[CTA_PROTOINFO_TCP_FLAGS_ORIGINAL], &flags, sizeof(flags));
	e->tcp_flags[0] = flags.flags;
	get(tcp.v[CTA_PROTOINFO_TCP_FLAGS_REPLY], &flags, sizeof(flags));
	e->tcp_flags[1] = flags.flags;
}

/* False: there can be no states of it. */
static bool get_entry(const struct nlmsghdr *nlh, struct entry *e)
{
	struct attrs a = {{NULL}};
	uint32_t status;

	memset(e, 0, sizeof(*e));
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), keep_attr, &a);
	get(a.v[CTA_STATUS], &status, sizeof(status));
	get(a.v[CTA_ZONE], &e->zone, sizeof(e->zone));
	e->status = ntohl(status);
	get_tcp(a.v[CTA_PROTOINFO], e);
	if (!get_tuple(a.v[CTA_TUPLE_ORIG], true, &e->orig) ||
	    !get_tuple(a.v[CTA_TUPLE_REPLY], false, &e->reply))
		return false;
	return !e->zone && !e->orig.zone && !e->reply.zone && e->orig.af == e->reply.af;
}

/* --- making states --- */

static bool is_local(const struct reader *r, uint8_t af, const struct pf_addr *addr)
{
	enum pf_family family = af == PF_AF_INET ? PF_FAMILY_INET : PF_FAMILY_INET6;

	/* 127.0.0.0/8 */
	if (af == PF_AF_INET && ntohl(addr->w[0]) >> 24 == IN_LOOPBACKNET)
		return true;
	for (const struct pf_netif *i = r->ifs->first; i; i = i->next)
		for (const struct pf_netif_addr *a = i->addrs; a; a = a->next)
			if (a->af == family && memcmp(&a->ip, addr, af == PF_AF_INET ? 4 : 16) == 0)
				return true;
	return false;
}

/* Multicast and broadcast: what comes for such an address is not taken to be forwarded. */
static bool is_many(uint8_t af, const struct pf_addr *addr)
{
	uint32_t first = ntohl(addr->w[0]);

	return af == PF_AF_INET ? first >> 28 == 0xe || first == INADDR_BROADCAST
				: first >> 24 == 0xff;
}

/* Opened and not yet closed from both ends: others are soon over, or to be judged as new. */
static bool tcp_lives(const struct entry *e)
{
	return e->tcp_state == TCP_CONNTRACK_ESTABLISHED ||
	       e->tcp_state == TCP_CONNTRACK_FIN_WAIT || e->tcp_state == TCP_CONNTRACK_CLOSE_WAIT ||
	       e->tcp_state == TCP_CONNTRACK_LAST_ACK;
}

static void fill_tcp(const struct entry *e, struct pf_state *s)
{
	bool scaled = e->tcp_flags[0] & e->tcp_flags[1] & IP_CT_TCP_FLAG_WINDOW_SCALE;
	bool unseen = (e->tcp_flags[0] | e->tcp_flags[1]) & IP_CT_TCP_FLAG_BE_LIBERAL;

	for (int p = 0; p < 2; p++) {
		bool closing = e->tcp_state != TCP_CONNTRACK_ESTABLISHED &&
			       (e->tcp_state == TCP_CONNTRACK_LAST_ACK ||
				(e->tcp_flags[p] & IP_CT_TCP_FLAG_CLOSE_INIT));

		s->peer_state[p] = closing ? TCPS_CLOSING : TCPS_ESTABLISHED;
		/* whose SYNs netfilter has not seen either may have any scale */
		if (scaled || unseen)
			s->wscale[p] = PF_WSCALE_FLAG |
				       (scaled && e->wscale[p] <= WSCALE_MOST ? e->wscale[p]
									      : WSCALE_MOST);
	}
	s->timeout = e->tcp_state == TCP_CONNTRACK_ESTABLISHED ? PFTM_TCP_ESTABLISHED
							       : PFTM_TCP_CLOSING;
}

static void fill(const struct entry *e, struct pf_state *s)
{
	bool answered = e->status & IPS_SEEN_REPLY;

	switch (e->orig.proto) {
	case IPPROTO_TCP:
		fill_tcp(e, s);
		break;
	case IPPROTO_UDP:
		s->peer_state[0] = answered ? PF_MULTIPLE : PF_SINGLE;
		s->peer_state[1] = answered ? PF_MULTIPLE : PF_NO_TRAFFIC;
		s->timeout = answered ? PFTM_UDP_MULTIPLE : PFTM_UDP_FIRST_PACKET;
		break;
	default:
		s->timeout = answered ? PFTM_ICMP_ERROR_REPLY : PFTM_ICMP_FIRST_PACKET;
		break;
	}
}

/* The outside is who began it where it came in, and who answers where it goes out. */
static int insert(const struct reader *r, const struct entry *e, enum pf_dir dir)
{
	const struct tuple *t = dir == PF_IN ? &e->orig : &e->reply;
	struct pf_state s = {.dir = (uint8_t)dir};

	s.key = (struct pf_state_key){.addr = {t->src, t->dst},
				      .port = {t->sport, t->dport},
				      .proto = t->proto,
				      .af = t->af};
	/* of an echo the type is that of the query, on the side of who answers */
	if (dir == PF_OUT && (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6)) {
		s.key.port[0] = e->orig.dport;
		s.key.port[1] = t->sport;
	}
	fill(e, &s);
	pf_adopt_begin(&s, r->jiffies);
	return pf_datapath_insert(r->dp, &s, true);
}

static void adopt(struct reader *r, const struct entry *e)
{
	/* who answers may be another one than was asked */
	bool from_us = is_local(r, e->orig.af, &e->orig.src),
	     to_us = is_local(r, e->reply.af, &e->reply.src);
	int in = PF_INSERT_EXISTS, out = PF_INSERT_EXISTS;

	if (!from_us || to_us)
		in = insert(r, e, PF_IN);
	if (from_us || (!to_us && !is_many(e->reply.af, &e->reply.src)))
		out = insert(r, e, PF_OUT);
	if (in == PF_INSERTED || out == PF_INSERTED)
		r->n.made++;
	else if (in != PF_INSERT_EXISTS || out != PF_INSERT_EXISTS)
		r->n.skipped++;
}

static int message(const struct nlmsghdr *nlh, void *data)
{
	struct reader *r = data;
	struct entry e;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return MNL_CB_OK;
	if (!get_entry(nlh, &e))
		r->n.skipped++;
	else if (!(e.status & IPS_DYING) && (e.orig.proto != IPPROTO_TCP || tcp_lives(&e)))
		adopt(r, &e);
	return MNL_CB_OK;
}

/* --- the dump --- */

static bool any_entries(void)
{
	FILE *f = fopen(COUNT_FILE, "re");
	unsigned int n = 0;
	bool any = f && fscanf(f, "%u", &n) == 1 && n;

	if (f)
		fclose(f);
	return any;
}

static int dump(struct reader *r, struct mnl_socket *nl, char *buf)
{
	uint32_t seq = (uint32_t)time(NULL);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;
	int ret = 1;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > 0) {
		ssize_t got = mnl_socket_recvfrom(nl, buf, BUFFER_SIZE);

		ret = got < 0 ? -1
			      : mnl_cb_run(buf, (size_t)got, seq, mnl_socket_get_portid(nl),
					   message, r);
	}
	return ret < 0 ? -errno : 0;
}

int pf_adopt_conntrack(const struct pf_datapath *dp, const struct pf_netifs *ifs,
		       struct pf_conntracked *out, struct pf_error_text *e)
{
	struct reader r = {.dp = dp, .ifs = ifs, .jiffies = pf_datapath_jiffies(dp)};
	struct mnl_socket *nl;
	char *buf;
	int err;

	*out = r.n;
	/* to ask would load modules that nobody has asked for */
	if (!any_entries())
		return 0;
	buf = malloc(BUFFER_SIZE);
	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!buf)
		err = -ENOMEM;
	else
		err = nl ? dump(&r, nl, buf) : -errno;
	if (nl)
		mnl_socket_close(nl);
	free(buf);
	if (err)
		return pf_fail(e, err, "cannot read netfilter's connections: %s", strerror(-err));
	*out = r.n;
	return 0;
}
