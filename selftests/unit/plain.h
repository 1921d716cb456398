/* SPDX-License-Identifier: BSD-2-Clause */
/* Criteria of rules, read as plainly as can be. */
#ifndef PF_SELFTESTS_UNIT_PLAIN_H
#define PF_SELFTESTS_UNIT_PLAIN_H

#include "../../grammar/rule.h"

static inline bool plain_in_net(const uint8_t *addr, const uint8_t *net, unsigned int bits)
{
	for (unsigned int i = 0; i < bits; i++)
		if ((addr[i / 8] ^ net[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

static inline bool plain_port_matches(const struct pf_rule_port *p, uint16_t port)
{
	switch (p->op) {
	case PF_PORT_EQ:
		return port == p->lo;
	case PF_PORT_NE:
		return port != p->lo;
	case PF_PORT_LT:
		return port < p->lo;
	case PF_PORT_LE:
		return port <= p->lo;
	case PF_PORT_GT:
		return port > p->lo;
	case PF_PORT_GE:
		return port >= p->lo;
	case PF_PORT_RANGE:
		return port >= p->lo && port <= p->hi;
	case PF_PORT_INSIDE:
		return port > p->lo && port < p->hi;
	case PF_PORT_OUTSIDE:
		return port < p->lo || port > p->hi;
	default:
		return true;
	}
}

#endif /* PF_SELFTESTS_UNIT_PLAIN_H */
