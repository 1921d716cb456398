// SPDX-License-Identifier: BSD-2-Clause
#include "names.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const char *const pf_timeout_names[PF_TIMEOUT_MAX + 1] = {
	[PF_TIMEOUT_TCP_FIRST] = "tcp.first",
	[PF_TIMEOUT_TCP_OPENING] = "tcp.opening",
	[PF_TIMEOUT_TCP_ESTABLISHED] = "tcp.established",
	[PF_TIMEOUT_TCP_CLOSING] = "tcp.closing",
	[PF_TIMEOUT_TCP_FINWAIT] = "tcp.finwait",
	[PF_TIMEOUT_TCP_CLOSED] = "tcp.closed",
	[PF_TIMEOUT_UDP_FIRST] = "udp.first",
	[PF_TIMEOUT_UDP_SINGLE] = "udp.single",
	[PF_TIMEOUT_UDP_MULTIPLE] = "udp.multiple",
	[PF_TIMEOUT_ICMP_FIRST] = "icmp.first",
	[PF_TIMEOUT_ICMP_ERROR] = "icmp.error",
	[PF_TIMEOUT_OTHER_FIRST] = "other.first",
	[PF_TIMEOUT_OTHER_SINGLE] = "other.single",
	[PF_TIMEOUT_OTHER_MULTIPLE] = "other.multiple",
	[PF_TIMEOUT_FRAG] = "frag",
	[PF_TIMEOUT_INTERVAL] = "interval",
	[PF_TIMEOUT_ADAPTIVE_START] = "adaptive.start",
	[PF_TIMEOUT_ADAPTIVE_END] = "adaptive.end",
	[PF_TIMEOUT_SRC_TRACK] = "src.track",
	[PF_TIMEOUT_TCP_TSDIFF] = "tcp.tsdiff",
	[PF_TIMEOUT_SCTP_FIRST] = "sctp.first",
	[PF_TIMEOUT_SCTP_OPENING] = "sctp.opening",
	[PF_TIMEOUT_SCTP_ESTABLISHED] = "sctp.established",
	[PF_TIMEOUT_SCTP_CLOSING] = "sctp.closing",
	[PF_TIMEOUT_SCTP_CLOSED] = "sctp.closed",
};

const char *const pf_limit_names[PF_LIMIT_ALL + 1] = {
	[PF_LIMIT_STATES] = "states",
	[PF_LIMIT_SRC_NODES] = "src-nodes",
	[PF_LIMIT_FRAGS] = "frags",
	[PF_LIMIT_TABLES] = "tables",
	[PF_LIMIT_TABLE_ENTRIES] = "table-entries",
	[PF_LIMIT_ETHER_RULES] = "eth-rules",
	[PF_LIMIT_ANCHORS] = "anchors",
	[PF_LIMIT_PKTDELAY] = "pktdelay-pkts",
};

struct name_number {
	const char *name;
	unsigned int number;
};

static int by_name(const struct name_number *t, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(t[i].name, name) == 0)
			return (int)t[i].number;
	return -1;
}

static const char *by_number(const struct name_number *t, size_t n, unsigned int number)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].number == number)
			return t[i].name;
	return NULL;
}

static int by_index(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int pf_timeout_by_name(const char *name)
{
	return by_index(pf_timeout_names, PF_TIMEOUT_MAX, name);
}

int pf_limit_by_name(const char *name)
{
	return by_index(pf_limit_names, PF_LIMIT_ALL, name);
}

/*
 * The protocols that rulesets name, so that they load on a system without
 * /etc/protocols.  The first name of a number is the one that is printed.
 */
static const struct name_number protos[] = {
	{"icmp", 1},   {"igmp", 2},   {"ipencap", 4},  {"tcp", 6},   {"udp", 17},
	{"ipv6", 41},  {"gre", 47},   {"esp", 50},     {"ah", 51},   {"ipv6-icmp", 58},
	{"icmp6", 58}, {"ospf", 89},  {"etherip", 97}, {"pim", 103}, {"carp", 112},
	{"vrrp", 112}, {"sctp", 132}, {"pfsync", 240},
};

const char *const pf_proto_names[] = {
	"icmp",	 "igmp", "tcp", "udp",	"ipv6", "gre",	"esp",	  "ah", "ipv6-icmp",
	"icmp6", "ospf", "pim", "carp", "vrrp", "sctp", "pfsync", NULL,
};

int pf_proto_by_name(const char *name)
{
	int n = by_name(protos, ARRAY_SIZE(protos), name);
	struct protoent *p;

	if (n >= 0)
		return n;
	p = getprotobyname(name);
	return p ? p->p_proto : -1;
}

const char *pf_proto_name(uint8_t proto)
{
	const char *name = by_number(protos, ARRAY_SIZE(protos), proto);
	struct protoent *p;

	if (name)
		return name;
	p = getprotobynumber(proto);
	return p ? p->p_name : NULL;
}

/*
 * Services that the BSDs and macOS have in /etc/services, and Linux has not (IANA's
 * registry of service names): rulesets come from there.
 */
static const struct name_number bsd_services[] = {
	{"aim", 5190},
	{"aol", 5190},
	{"apertus-ldp", 539},
	{"bfd-control", 3784},
	{"bfd-echo", 3785},
	{"canon-bjnp1", 8611},
	{"cvsup", 5999},
	{"eyetv", 2170},
	{"hosts2-ns", 81},
	{"icslap", 2869},
	{"imap4-ssl", 585},
	{"ipsec-msft", 4500},
	{"ircd", 6667},
	{"ms-wbt-server", 3389},
	{"msnp", 1863},
	{"ni-mail", 61},
	{"personal-agent", 5555},
	{"pip", 1321},
	{"pptp", 1723},
	{"privoxy", 8118},
	{"rfb", 5900},
	{"sae-urn", 4500},
	{"spamd", 8025},
	{"spamd-cfg", 8026},
	{"spamd-sync", 8025},
	{"squid", 3128},
	{"ssdp", 1900},
	{"vnc-server", 5900},
	{"wsman", 5985},
	{"xmpp-bosh", 5280},
};

int pf_service_by_name(const char *name)
{
	struct servent *s = getservbyname(name, "tcp");

	if (!s)
		s = getservbyname(name, "udp");
	return s ? ntohs((uint16_t)s->s_port)
		 : by_name(bsd_services, ARRAY_SIZE(bsd_services), name);
}

const char *pf_service_name(uint16_t port, uint8_t proto)
{
	struct servent *s = getservbyport(htons(port), proto == PF_PROTO_TCP ? "tcp" : "udp");

	return s ? s->s_name : NULL;
}

static const struct name_number icmp_types[] = {
	{"echoreq", 8},	   {"echorep", 0},    {"unreach", 3},	 {"squench", 4},
	{"redir", 5},	   {"althost", 6},    {"routeradv", 9},	 {"routersol", 10},
	{"timex", 11},	   {"paramprob", 12}, {"timereq", 13},	 {"timerep", 14},
	{"inforeq", 15},   {"inforep", 16},   {"maskreq", 17},	 {"maskrep", 18},
	{"trace", 30},	   {"dataconv", 31},  {"mobredir", 32},	 {"ipv6-where", 33},
	{"ipv6-here", 34}, {"mobregreq", 35}, {"mobregrep", 36}, {"skip", 39},
	{"photuris", 40},
};

static const struct name_number icmp6_types[] = {
	{"unreach", 1},	      {"toobig", 2},	   {"timex", 3},	{"paramprob", 4},
	{"echoreq", 128},     {"echorep", 129},	   {"groupqry", 130},	{"listqry", 130},
	{"grouprep", 131},    {"listenrep", 131},  {"groupterm", 132},	{"listendone", 132},
	{"routersol", 133},   {"routeradv", 134},  {"neighbrsol", 135}, {"neighbradv", 136},
	{"redir", 137},	      {"routrrenum", 138}, {"wrureq", 139},	{"wrurep", 140},
	{"fqdnreq", 139},     {"fqdnrep", 140},	   {"niqry", 139},	{"nirep", 140},
	{"listenrepv2", 143}, {"mtraceresp", 200}, {"mtrace", 201},
};

struct icmp_code {
	const char *name;
	uint8_t type;
	uint8_t code;
};

static const struct icmp_code icmp_codes[] = {
	{"net-unr", 3, 0},	  {"host-unr", 3, 1},	    {"proto-unr", 3, 2},
	{"port-unr", 3, 3},	  {"needfrag", 3, 4},	    {"srcfail", 3, 5},
	{"net-unk", 3, 6},	  {"host-unk", 3, 7},	    {"isolate", 3, 8},
	{"net-prohib", 3, 9},	  {"host-prohib", 3, 10},   {"net-tos", 3, 11},
	{"host-tos", 3, 12},	  {"filter-prohib", 3, 13}, {"host-preced", 3, 14},
	{"cutoff-preced", 3, 15}, {"redir-net", 5, 0},	    {"redir-host", 5, 1},
	{"redir-tos-net", 5, 2},  {"redir-tos-host", 5, 3}, {"normal-adv", 9, 0},
	{"common-adv", 9, 16},	  {"transit", 11, 0},	    {"reassemb", 11, 1},
	{"badhead", 12, 0},	  {"optmiss", 12, 1},	    {"badlen", 12, 2},
	{"unknown-ind", 40, 1},	  {"auth-fail", 40, 2},	    {"decrypt-fail", 40, 3},
};

static const struct icmp_code icmp6_codes[] = {
	{"admin-unr", 1, 1},  {"noroute-unr", 1, 0},   {"beyond-unr", 1, 2},
	{"notnbr-unr", 1, 2}, {"addr-unr", 1, 3},      {"port-unr", 1, 4},
	{"transit", 3, 0},    {"reassemb", 3, 1},      {"badhead", 4, 0},
	{"nxthdr", 4, 1},     {"redironlink", 137, 0}, {"redirrouter", 137, 1},
};

int pf_icmp_type_by_name(const char *name, enum pf_family af)
{
	if (af == PF_FAMILY_INET6)
		return by_name(icmp6_types, ARRAY_SIZE(icmp6_types), name);
	return by_name(icmp_types, ARRAY_SIZE(icmp_types), name);
}

const char *pf_icmp_type_name(unsigned int type, enum pf_family af)
{
	if (af == PF_FAMILY_INET6)
		return by_number(icmp6_types, ARRAY_SIZE(icmp6_types), type);
	return by_number(icmp_types, ARRAY_SIZE(icmp_types), type);
}

static const struct icmp_code *codes_of(enum pf_family af, size_t *n)
{
	if (af == PF_FAMILY_INET6) {
		*n = ARRAY_SIZE(icmp6_codes);
		return icmp6_codes;
	}
	*n = ARRAY_SIZE(icmp_codes);
	return icmp_codes;
}

int pf_icmp_code_by_name(unsigned int type, const char *name, enum pf_family af)
{
	size_t n;
	const struct icmp_code *c = codes_of(af, &n);

	for (size_t i = 0; i < n; i++)
		if (c[i].type == type && strcmp(c[i].name, name) == 0)
			return c[i].code;
	return -1;
}

const char *pf_icmp_code_name(unsigned int type, unsigned int code, enum pf_family af)
{
	size_t n;
	const struct icmp_code *c = codes_of(af, &n);

	for (size_t i = 0; i < n; i++)
		if (c[i].type == type && c[i].code == code)
			return c[i].name;
	return NULL;
}

/* In the order of the header's bits, from the lowest. */
static const char tcp_flags[] = "FSRPAUEW";
static_assert(sizeof(tcp_flags) == 9, "one letter for each of the eight flags");

int pf_tcp_flags_parse(const char *text)
{
	int flags = 0;

	for (; *text; text++) {
		const char *p = strchr(tcp_flags, *text);

		if (!p)
			return -1;
		flags |= 1 << (p - tcp_flags);
	}
	return flags;
}

void pf_tcp_flags_format(uint8_t flags, char buf[9])
{
	for (int i = 0; i < 8; i++)
		if (flags & (1 << i))
			*buf++ = tcp_flags[i];
	*buf = '\0';
}
