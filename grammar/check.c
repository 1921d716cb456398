// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

#include <string.h>

#include "names.h"

static bool has_ports(const struct pf_rule *r)
{
	return r->sport.op != PF_PORT_ANY || r->dport.op != PF_PORT_ANY;
}

static const char *fail(enum pf_rule_part *part, enum pf_rule_part what, const char *msg)
{
	*part = what;
	return msg;
}

/* Answers are unreachable ones, of both families where one may be needed. */
static bool return_ok(const struct pf_rule *r)
{
	bool needed = r->action == PF_RULE_ACTION_BLOCK &&
		      (r->block_kind == PF_BLOCK_RETURN || r->block_kind == PF_BLOCK_RETURN_ICMP);

	if (needed && (!r->return_icmp || !r->return_icmp6))
		return false;
	return (!r->return_icmp || r->return_icmp >> 8 == 3) &&
	       (!r->return_icmp6 || r->return_icmp6 >> 8 == 1);
}

/* OpenBSD's filter_consistency(), with its words. */
const char *pf_rule_check(const struct pf_rule *r, enum pf_rule_part *part)
{
	bool icmp = r->proto == PF_PROTO_ICMP || r->proto == PF_PROTO_ICMP6;

	if (has_ports(r) && r->proto != PF_PROTO_TCP && r->proto != PF_PROTO_UDP)
		return fail(part, PF_PART_PORT, "port only applies to tcp/udp");
	if ((r->icmp_type || r->icmp_code) && !icmp)
		return fail(part, PF_PART_ICMP, "icmp-type/code only applies to icmp");
	if ((r->icmp_type || r->icmp_code) && !r->af)
		return fail(part, PF_PART_ICMP, "must indicate address family with icmp-type/code");
	if (r->icmp_code && !r->icmp_type)
		return fail(part, PF_PART_ICMP, "icmp code without a type");
	if (r->proto == PF_PROTO_ICMP && r->af == PF_FAMILY_INET6)
		return fail(part, PF_PART_RULE, "proto icmp doesn't match address family inet6");
	if (r->proto == PF_PROTO_ICMP6 && r->af == PF_FAMILY_INET)
		return fail(part, PF_PART_RULE,
			    "proto ipv6-icmp doesn't match address family inet");
	if (r->flagset && r->proto && r->proto != PF_PROTO_TCP)
		return fail(part, PF_PART_RULE, "flags only apply to tcp");
	if (r->flags & ~r->flagset)
		return fail(part, PF_PART_RULE, "flags can never match");
	if (r->allow_opts && r->action != PF_RULE_ACTION_PASS)
		return fail(part, PF_PART_RULE, "allow-opts can only be specified for pass rules");
	if (r->block_kind == PF_BLOCK_RETURN_RST && r->proto != PF_PROTO_TCP)
		return fail(part, PF_PART_BLOCK, "return-rst can only be applied to TCP rules");
	if (r->keep_state && r->action != PF_RULE_ACTION_PASS)
		return fail(part, PF_PART_STATE, "keep state is great, but only for pass rules");
	if (r->fragment && (has_ports(r) || r->flagset || r->icmp_type))
		return fail(part, PF_PART_RULE,
			    "fragments can be filtered only on IP header fields");
	if (!return_ok(r))
		return fail(part, PF_PART_BLOCK, "a blocked packet is answered with unreachable");
	return NULL;
}

bool pf_name_ok(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	if (len == 0 || len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= 0x20 || c == 0x7f || c == '\\' || c == '"' || c == '<' || c == '>')
			return false;
	}
	return true;
}
