// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interfaces of this host and their addresses, as rules name them: read once,
 * when they are first asked for.
 *
 * BSD's names are understood where Linux has the thing under another: lo0 is the
 * loopback interface; a name without a number is the group of all interfaces that
 * are called so, with a number ("tun" for tun0 and tun1); egress is the group of
 * the interfaces with a default route (ifconfig(8), "Interface groups").
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "parser.h"

struct ifname {
	struct ifname *next;
	const char *name;
	unsigned int flags;
	bool egress;
};

struct pf_ifdb {
	struct pf_arena arena;
	struct ifname *names;
	struct pf_ifaddr *addrs; /* those of one interface together, IPv4 first */
};

static struct ifname *find(const struct pf_ifdb *db, const char *name)
{
	struct ifname *n = db->names;

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	return n;
}

static struct ifname *add_name(struct pf_ifdb *db, const char *name, unsigned int flags)
{
	struct ifname *n = find(db, name), **end = &db->names;

	if (n)
		return n;
	n = pf_arena_alloc(&db->arena, sizeof(*n));
	if (!n)
		return NULL;
	n->name = pf_arena_strdup(&db->arena, name);
	n->flags = flags;
	while (*end)
		end = &(*end)->next;
	*end = n;
	return n->name ? n : NULL;
}

static bool ip_of(const struct sockaddr *sa, struct pf_ip *ip)
{
	if (!sa)
		return false;
	if (sa->sa_family == AF_INET)
		memcpy(ip->b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(ip->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	else
		return false;
	return true;
}

static uint8_t bits_of(const struct pf_ip *mask)
{
	uint8_t bits = 0;

	while (bits < 128 && mask->b[bits / 8] & (0x80 >> bits % 8))
		bits++;
	return bits;
}

static void add_addr(struct pf_ifdb *db, const struct ifaddrs *i, const struct ifname *n)
{
	struct pf_ifaddr *a = pf_arena_alloc(&db->arena, sizeof(*a)), **end = &db->addrs;
	struct pf_ip mask = {0};

	if (!a || !ip_of(i->ifa_addr, &a->ip))
		return;
	a->ifname = n->name;
	a->flags = i->ifa_flags;
	a->af = i->ifa_addr->sa_family == AF_INET ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (ip_of(i->ifa_netmask, &mask))
		a->bits = bits_of(&mask);
	a->linklocal = a->af == PF_FAMILY_INET6 && a->ip.b[0] == 0xfe &&
		       (a->ip.b[1] & 0xc0) == 0x80;
	/* one member for both: see getifaddrs(3) */
	if (i->ifa_flags & IFF_BROADCAST)
		a->has_broadcast = a->af == PF_FAMILY_INET &&
				   ip_of(i->ifa_broadaddr, &a->broadcast);
	else if (i->ifa_flags & IFF_POINTOPOINT)
		a->has_peer = ip_of(i->ifa_dstaddr, &a->peer);
	while (*end && strcmp((*end)->ifname, n->name) != 0)
		end = &(*end)->next;
	while (*end && strcmp((*end)->ifname, n->name) == 0)
		end = &(*end)->next;
	a->next = *end;
	*end = a;
}

/* --- default routes --- */

static void egress(struct pf_ifdb *db, const char *name)
{
	struct ifname *n = find(db, name);

	if (n && !(n->flags & IFF_LOOPBACK))
		n->egress = true;
}

/* proc(5): /proc/net/route and /proc/net/ipv6_route of this network namespace */
static void read_routes(struct pf_ifdb *db)
{
	FILE *f = fopen("/proc/thread-self/net/route", "re");
	char line[512], name[64];
	unsigned int dst, mask, flags, bits;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %x %*x %x %*d %*d %*d %x", name, &dst, &flags, &mask) == 4 &&
		    !dst && !mask && flags & 1)
			egress(db, name);
	if (f)
		fclose(f);
	f = fopen("/proc/thread-self/net/ipv6_route", "re");
	while (f && fgets(line, sizeof(line), f)) {
		char to[33];

		if (sscanf(line, "%32s %x %*s %*x %*s %*x %*x %*x %x %63s", to, &bits, &flags,
			   name) != 4 ||
		    bits || strspn(to, "0") != 32 || flags & 0x200 /* RTF_REJECT */)
			continue;
		egress(db, name);
	}
	if (f)
		fclose(f);
}

static struct pf_ifdb *load(struct pf_parser *p)
{
	struct ifaddrs *all = NULL;

	if (p->ifdb)
		return p->ifdb;
	p->ifdb = calloc(1, sizeof(*p->ifdb));
	if (!p->ifdb) {
		pf_error_nomem(p);
		return NULL;
	}
	if (getifaddrs(&all))
		return p->ifdb;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct ifname *n = add_name(p->ifdb, i->ifa_name, i->ifa_flags);

		if (n && i->ifa_addr)
			add_addr(p->ifdb, i, n);
	}
	freeifaddrs(all);
	read_routes(p->ifdb);
	return p->ifdb;
}

void pf_ifdb_free(struct pf_ifdb *db)
{
	if (db)
		pf_arena_free(&db->arena);
	free(db);
}

/* --- names --- */

/* "tun" for tun0: all that has a number behind it */
static bool in_group(const struct ifname *n, const char *group)
{
	size_t len = strlen(group);

	if (strcmp(group, "egress") == 0)
		return n->egress;
	if (strcmp(group, "all") == 0)
		return true;
	return len && !isdigit((unsigned char)group[len - 1]) &&
	       strncmp(n->name, group, len) == 0 && isdigit((unsigned char)n->name[len]);
}

/* Linux calls it lo. */
static bool is_lo0(const struct pf_ifdb *db, const struct ifname *n, const char *name)
{
	return n->flags & IFF_LOOPBACK && strcmp(name, "lo0") == 0 && !find(db, "lo0");
}

static bool means(const struct pf_ifdb *db, const struct ifname *n, const char *name)
{
	if (find(db, name))
		return strcmp(n->name, name) == 0;
	return is_lo0(db, n, name) || in_group(n, name);
}

enum pf_if_kind pf_if_lookup(struct pf_parser *p, const char *name)
{
	const struct pf_ifdb *db;
	enum pf_if_kind kind = PF_IF_UNKNOWN;

	if (strcmp(name, PF_IF_ANY) == 0)
		return PF_IF_DEVICE;
	db = load(p);
	if (!db)
		return PF_IF_UNKNOWN;
	if (find(db, name))
		return PF_IF_DEVICE;
	if (strcmp(name, "egress") == 0 || strcmp(name, "all") == 0)
		return PF_IF_GROUP;
	for (const struct ifname *n = db->names; n; n = n->next) {
		if (is_lo0(db, n, name))
			return PF_IF_DEVICE;
		if (in_group(n, name))
			kind = PF_IF_GROUP;
	}
	return kind;
}

bool pf_if_loopback(struct pf_parser *p, const char *name)
{
	const struct pf_ifdb *db = load(p);
	bool any = false;

	if (strcmp(name, "lo0") == 0 || strcmp(name, "lo") == 0)
		return true;
	for (const struct ifname *n = db ? db->names : NULL; n; n = n->next) {
		if (!means(db, n, name))
			continue;
		if (!(n->flags & IFF_LOOPBACK))
			return false;
		any = true;
	}
	return any;
}

const char *pf_if_suggest(struct pf_parser *p, const char *name)
{
	const struct pf_ifdb *db = load(p);
	const char **names;
	size_t n = 0;

	for (const struct ifname *i = db ? db->names : NULL; i; i = i->next)
		n++;
	names = pf_stmt_alloc(p, (n + 2) * sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (const struct ifname *i = db ? db->names : NULL; i; i = i->next)
		names[n++] = i->name;
	names[n] = "egress";
	return pf_suggest(name, names);
}

bool pf_if_modifiers(struct pf_parser *p, const char *text, const char **name,
		     unsigned int *modifiers)
{
	static const struct {
		const char *word;
		unsigned int bit;
	} known[] = {{"network", PF_HOST_NETWORK},
		     {"broadcast", PF_HOST_BROADCAST},
		     {"peer", PF_HOST_PEER},
		     {"0", PF_HOST_NOALIAS}};
	const char *colon;

	*modifiers = 0;
	*name = text;
	while ((colon = strrchr(*name, ':'))) {
		unsigned int bit = 0;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(colon + 1, known[i].word) == 0)
				bit = known[i].bit;
		if (!bit)
			return false;
		*modifiers |= bit;
		*name = pf_stmt_strndup(p, *name, (size_t)(colon - *name));
		if (!*name)
			return false;
	}
	return true;
}

/* --- addresses --- */

static bool wanted(const struct pf_ifaddr *a, unsigned int modifiers, bool got4, bool got6)
{
	if (modifiers & PF_HOST_BROADCAST && !a->has_broadcast)
		return false;
	if (modifiers & PF_HOST_PEER && !a->has_peer)
		return false;
	if (modifiers & PF_HOST_NETWORK && a->linklocal)
		return false;
	if (modifiers & PF_HOST_NOALIAS)
		return a->af == PF_FAMILY_INET ? !got4 : !got6 && !a->linklocal;
	return true;
}

void pf_if_addrs(struct pf_parser *p, const char *name, unsigned int modifiers,
		 void (*each)(void *ctx, const struct pf_ifaddr *a), void *ctx)
{
	const struct pf_ifdb *db = load(p);
	const char *last = NULL;
	bool got4 = false, got6 = false;

	for (const struct pf_ifaddr *a = db ? db->addrs : NULL; a; a = a->next) {
		const struct ifname *n = find(db, a->ifname);

		if (name && !(n && means(db, n, name)))
			continue;
		if (last != a->ifname)
			got4 = got6 = false;
		last = a->ifname;
		if (!wanted(a, modifiers, got4, got6))
			continue;
		got4 |= a->af == PF_FAMILY_INET;
		got6 |= a->af == PF_FAMILY_INET6;
		each(ctx, a);
	}
}
