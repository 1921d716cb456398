// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What `overload' will do, for the tests: adds a prefix to a table, on the maps of a
 * firewall that runs.  Behind the Ethernet header stands which; returns how it went.
 */
#include "../../bpf/delta.h"

SEC("tc")
int table_add(struct __sk_buff *skb)
{
	struct pf_table_net h;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &h, sizeof(h)))
		return -1;
	return table_add_net(h.slot, h.af, h.bits, &h.addr);
}
