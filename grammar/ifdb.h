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
	struct pf_ifaddr *addrs; /* those of one interface together, IPv4 first */
};

/* Interfaces and addresses; what cannot be had is left out. */
void pf_ifdb_read(struct pf_ifdb *db);
/* Default routes of the main table: pf_ifname.egress. */
void pf_ifdb_read_routes(struct pf_ifdb *db);

#endif /* PF_GRAMMAR_IFDB_H */
