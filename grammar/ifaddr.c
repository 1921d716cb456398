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
#include <ctype.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "ifdb.h"
#include "parser.h"

static struct pf_ifname *find(const struct pf_ifdb *db, const char *name)
{
	struct pf_ifname *n = db->names;

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	return n;
}

struct pf_ifdb *pf_ifdb_new(void)
{
	struct pf_ifdb *db = calloc(1, sizeof(*db));

	if (db)
		pf_ifdb_read(db);
	return db;
}

/* Routes may be a million: they are read when somebody asks for what they tell. */
static void routes_for(struct pf_ifdb *db, const char *name)
{
	if (name && strcmp(name, PF_GROUP_EGRESS) == 0 && !db->routes_read) {
		db->routes_read = true;
		pf_ifdb_read_routes(db);
	}
}

static struct pf_ifdb *load(struct pf_parser *p)
{
	if (!p->ifdb)
		p->ifdb = pf_ifdb_new();
	if (!p->ifdb)
		pf_error_nomem(p);
	return p->ifdb;
}

void pf_ifdb_free(struct pf_ifdb *db)
{
	if (db)
		pf_arena_free(&db->arena);
	free(db);
}

/* --- names --- */

bool pf_if_may_be_group(const char *name)
{
	size_t len = strlen(name);

	return len && !isdigit((unsigned char)name[len - 1]) && strcmp(name, PF_IF_ANY) != 0;
}

bool pf_if_in_group(const char *name, const char *group)
{
	size_t len = strlen(group);

	return pf_if_may_be_group(group) && strncmp(name, group, len) == 0 &&
	       isdigit((unsigned char)name[len]);
}

static bool in_group(const struct pf_ifname *n, const char *group)
{
	if (strcmp(group, PF_GROUP_EGRESS) == 0)
		return n->egress;
	if (strcmp(group, PF_GROUP_ALL) == 0)
		return true;
	return pf_if_in_group(n->name, group);
}

/* Linux calls it lo. */
static bool is_lo0(const struct pf_ifdb *db, const struct pf_ifname *n, const char *name)
{
	return n->flags & IFF_LOOPBACK && strcmp(name, "lo0") == 0 && !find(db, "lo0");
}

static bool means(const struct pf_ifdb *db, const struct pf_ifname *n, const char *name)
{
	if (find(db, name))
		return strcmp(n->name, name) == 0;
	return is_lo0(db, n, name) || in_group(n, name);
}

enum pf_if_kind pf_ifdb_lookup(struct pf_ifdb *db, const char *name)
{
	enum pf_if_kind kind = PF_IF_UNKNOWN;

	routes_for(db, name);
	if (find(db, name))
		return PF_IF_DEVICE;
	if (strcmp(name, PF_GROUP_EGRESS) == 0 || strcmp(name, PF_GROUP_ALL) == 0)
		return PF_IF_GROUP;
	for (const struct pf_ifname *n = db->names; n; n = n->next) {
		if (is_lo0(db, n, name))
			return PF_IF_DEVICE;
		if (in_group(n, name))
			kind = PF_IF_GROUP;
	}
	return kind;
}

enum pf_if_kind pf_if_lookup(struct pf_parser *p, const char *name)
{
	struct pf_ifdb *db;

	if (strcmp(name, PF_IF_ANY) == 0)
		return PF_IF_DEVICE;
	db = load(p);
	return db ? pf_ifdb_lookup(db, name) : PF_IF_UNKNOWN;
}

bool pf_if_loopback(struct pf_parser *p, const char *name)
{
	struct pf_ifdb *db = load(p);
	bool any = false;

	if (db)
		routes_for(db, name);

	if ((strcmp(name, "lo0") == 0 || strcmp(name, "lo") == 0) && !(db && find(db, name)))
		return true;
	for (const struct pf_ifname *n = db ? db->names : NULL; n; n = n->next) {
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

	for (const struct pf_ifname *i = db ? db->names : NULL; i; i = i->next)
		n++;
	names = pf_stmt_alloc(p, (n + 2) * sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (const struct pf_ifname *i = db ? db->names : NULL; i; i = i->next)
		names[n++] = i->name;
	names[n] = PF_GROUP_EGRESS;
	return pf_suggest(name, names);
}

bool pf_if_cut_modifiers(char *text, unsigned int *modifiers)
{
	static const struct {
		const char *word;
		unsigned int bit;
	} known[] = {{"network", PF_HOST_NETWORK},
		     {"broadcast", PF_HOST_BROADCAST},
		     {"peer", PF_HOST_PEER},
		     {"0", PF_HOST_NOALIAS}};
	char *colon;

	*modifiers = 0;
	while ((colon = strrchr(text, ':'))) {
		unsigned int bit = 0;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(colon + 1, known[i].word) == 0)
				bit = known[i].bit;
		if (!bit)
			return false;
		*modifiers |= bit;
		*colon = '\0';
	}
	return true;
}

bool pf_if_modifiers(struct pf_parser *p, const char *text, const char **name,
		     unsigned int *modifiers)
{
	size_t size = strlen(text) + 1;
	char *copy = pf_stmt_alloc(p, size);

	if (!copy)
		return false;
	memcpy(copy, text, size);
	*name = copy;
	return pf_if_cut_modifiers(copy, modifiers);
}

bool pf_if_modifiers_ok(unsigned int modifiers)
{
	modifiers &= ~(unsigned int)PF_HOST_NOALIAS;
	return !(modifiers & (modifiers - 1));
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
		return a->af == PF_FAMILY_INET ? !got4 : !got6;
	return true;
}

void pf_ifdb_addrs(struct pf_ifdb *db, const char *name, unsigned int modifiers,
		   void (*each)(void *ctx, const struct pf_ifaddr *a), void *ctx)
{
	const char *last = NULL;
	bool got4 = false, got6 = false;

	routes_for(db, name);
	for (const struct pf_ifaddr *a = db->addrs; a; a = a->next) {
		const struct pf_ifname *n = find(db, a->ifname);

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

void pf_if_addrs(struct pf_parser *p, const char *name, unsigned int modifiers,
		 void (*each)(void *ctx, const struct pf_ifaddr *a), void *ctx)
{
	struct pf_ifdb *db = load(p);

	if (db)
		pf_ifdb_addrs(db, name, modifiers, each, ctx);
}

bool pf_ifaddr_pick(const struct pf_ifaddr *a, unsigned int modifiers, long long bits,
		    struct pf_ip *ip, unsigned int *ip_bits)
{
	const unsigned int most = pf_family_bits((enum pf_family)a->af);

	*ip = a->ip;
	if (modifiers & PF_HOST_BROADCAST)
		*ip = a->broadcast;
	if (modifiers & PF_HOST_PEER)
		*ip = a->peer;
	if (modifiers & PF_HOST_NETWORK) {
		*ip = a->net;
		bits = a->bits;
	}
	*ip_bits = bits < 0 ? most : (unsigned int)bits;
	return bits <= (long long)most;
}
