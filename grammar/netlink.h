/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions to the kernel by netlink(7). */
#ifndef PF_GRAMMAR_NETLINK_H
#define PF_GRAMMAR_NETLINK_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Asks on NETLINK_ROUTE or another bus; `body` stands behind the header.  With NLM_F_DUMP
 * among the flags the answer is a list.  each() gets every message.  0 or a negative errno.
 */
int pf_netlink_ask(int bus, uint16_t type, uint16_t flags, const void *body, size_t len,
		   mnl_cb_t each, void *ctx);

#endif /* PF_GRAMMAR_NETLINK_H */
