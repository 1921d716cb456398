/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network interfaces of the namespace, by rtnetlink: a list that is kept up
 * to date, and calls for what changes.
 */
#ifndef PF_LOADER_NETIF_H
#define PF_LOADER_NETIF_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "loop.h"
#include "say.h"

struct pf_netif_addr {
	struct pf_netif_addr *next;
	uint8_t af; /* enum pf_family */
	uint8_t bits;
	bool linklocal;
	struct pf_ip ip;
};

struct pf_netif {
	struct pf_netif *next;
	int ifindex;
	char name[IFNAMSIZ];
	uint16_t type; /* ARPHRD_* */
	bool up;
	bool loopback;
	bool bridge_port;
	bool bond_port;	      /* or a team's: filtered as the bond */
	bool seen;	      /* by the dump at hand */
	bool hooked;	      /* whoever filters there says so */
	char taken[IFNAMSIZ]; /* its name, if a group has none because of it that rules name */
	struct pf_netif_addr *addrs;
};

struct mnl_socket;
struct pf_egress;

struct pf_netifs {
	struct pf_netif *first;
	const struct pf_egress *egress; /* NULL: none is in it */
	struct mnl_socket *monitor;
	struct pf_source source;
	/* An interface is new or has changed (name, addresses, port of a bridge); `gone`: it was.
	 */
	void (*changed)(void *ctx, struct pf_netif *i, bool gone);
	void *ctx;
};

/* Reads all interfaces, without calls to `changed`, and then listens. */
int pf_netifs_open(struct pf_netifs *n, struct pf_loop *loop,
		   void (*changed)(void *ctx, struct pf_netif *i, bool gone), void *ctx,
		   struct pf_error_text *err);
void pf_netifs_close(struct pf_netifs *n, struct pf_loop *loop);

/* A number that no other network namespace has had since the system started; 0: unknown. */
uint64_t pf_netns_cookie(void);

struct pf_netif *pf_netif_by_index(const struct pf_netifs *n, int ifindex);

struct pf_netif *pf_netif_by_name(const struct pf_netifs *n, const char *name);

/* Is it called so?  "lo0" is the loopback interface, too. */
bool pf_netif_is(const struct pf_netif *i, const char *name);
/* Or does a rule with the name mean it because it is in that group, which no interface is called?
 */
bool pf_netif_meant(const struct pf_netifs *n, const struct pf_netif *i, const char *name);

#endif /* PF_LOADER_NETIF_H */
