/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this host, as rtnetlink(7) tells them. */
#ifndef PF_GRAMMAR_IFDB_H
#define PF_GRAMMAR_IFDB_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "arena.h"

struct pf_ifname {
	struct pf_ifname *next;
	const char *name;
	int index;
	unsigned int flags; /* IFF_* */
	bool egress;	    /* a default route leads there */
};

struct pf_ifaddr {
	struct pf_ifaddr *next;
	const char *ifname;
	unsigned int flags; /* IFF_* */
	uint8_t af;
	uint8_t bits; /* of net */
	bool linklocal, has_broadcast, has_peer;
	struct pf_ip ip, net, broadcast, peer;
};

struct pf_ifdb {
	struct pf_arena arena;
	struct pf_ifname *names;
	bool routes_read;
	/*
	 * Those of one interface together: IPv4, then IPv6, link-local ones last; otherwise in
	 * the order in which they were assigned.
	 */
	struct pf_ifaddr *addrs;
};

enum pf_if_kind { PF_IF_UNKNOWN, PF_IF_DEVICE, PF_IF_GROUP };

/*
 * "tun" for tun0: a name without a number is the group of all that have one behind it.
 * Of egress and all it does not know.
 */
bool pf_if_in_group(const char *name, const char *group);
/* A group, unless an interface is called so? */
bool pf_if_may_be_group(const char *name);

/* NULL when memory is short. */
struct pf_ifdb *pf_ifdb_new(void);
void pf_ifdb_free(struct pf_ifdb *db);
/* What the name means here; lo0 is the loopback interface. */
enum pf_if_kind pf_ifdb_lookup(struct pf_ifdb *db, const char *name);
/*
 * Calls each() for every address of the interface, group or, NULL, of all
 * interfaces, that the modifiers select.
 */
void pf_ifdb_addrs(struct pf_ifdb *db, const char *name, unsigned int modifiers,
		   void (*each)(void *ctx, const struct pf_ifaddr *a), void *ctx);
/* Cuts the modifiers off "em0:network:0"; false if one is unknown. */
bool pf_if_cut_modifiers(char *text, unsigned int *modifiers);
/* Not two of :network, :broadcast and :peer. */
bool pf_if_modifiers_ok(unsigned int modifiers);
/*
 * What the modifiers make of an address, with the prefix length that was written, or -1.
 * False if that is longer than the address.
 */
bool pf_ifaddr_pick(const struct pf_ifaddr *a, unsigned int modifiers, long long bits,
		    struct pf_ip *ip, unsigned int *ip_bits);

/* Interfaces and addresses; what cannot be had is left out. */
void pf_ifdb_read(struct pf_ifdb *db);
/* Default routes of the main table: pf_ifname.egress. */
void pf_ifdb_read_routes(struct pf_ifdb *db);

#endif /* PF_GRAMMAR_IFDB_H */
