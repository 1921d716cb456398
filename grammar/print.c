// SPDX-License-Identifier: BSD-2-Clause
#include "print.h"

#include <assert.h>
#include <string.h>

#include "names.h"
#include "words.h"

static const char *const actions[] = {
	[PF_RULE_ACTION_PASS] = "pass",
	[PF_RULE_ACTION_BLOCK] = "block",
};

static const char *const unary_ops[] = {
	[PF_PORT_EQ] = "=",  [PF_PORT_NE] = "!=", [PF_PORT_LT] = "<",
	[PF_PORT_LE] = "<=", [PF_PORT_GT] = ">",  [PF_PORT_GE] = ">=",
};
static_assert(sizeof(unary_ops) / sizeof(unary_ops[0]) == PF_PORT_RANGE,
	      "the unary operators come before the binary ones");

static const char *const binary_ops[] = {
	[PF_PORT_RANGE] = ":",
	[PF_PORT_INSIDE] = " >< ",
	[PF_PORT_OUTSIDE] = " <> ",
};

static void print_icmp_code(FILE *f, uint16_t icmp, enum pf_family af)
{
	const char *name = pf_icmp_code_name(icmp >> 8, icmp & 255U, af);

	if (name)
		fputs(name, f);
	else
		fprintf(f, "%u", icmp & 255U);
}

static void print_return_icmp(FILE *f, const struct pf_rule *r)
{
	fprintf(f, " return-icmp%s(", r->af == PF_FAMILY_INET6 ? "6" : "");
	if (r->af != PF_FAMILY_INET6)
		print_icmp_code(f, r->return_icmp, PF_FAMILY_INET);
	if (!r->af)
		fputs(", ", f);
	if (r->af != PF_FAMILY_INET)
		print_icmp_code(f, r->return_icmp6, PF_FAMILY_INET6);
	fputc(')', f);
}

static void print_block(FILE *f, const struct pf_rule *r)
{
	switch ((enum pf_block_kind)r->block_kind) {
	case PF_BLOCK_DROP:
		fputs(" drop", f);
		break;
	case PF_BLOCK_RETURN:
		fputs(" return", f);
		break;
	case PF_BLOCK_RETURN_RST:
		fputs(" return-rst", f);
		if (r->return_ttl)
			fprintf(f, "(ttl %u)", r->return_ttl);
		break;
	case PF_BLOCK_RETURN_ICMP:
		print_return_icmp(f, r);
		break;
	}
}

static void print_host(FILE *f, const struct pf_rule_host *h)
{
	char ip[PF_IP_STRLEN];

	if (h->neg)
		fputs("! ", f);
	switch (h->type) {
	case PF_HOST_ANY:
		fputs("any", f);
		break;
	case PF_HOST_TABLE:
		pf_table_name_print(f, h->table);
		break;
	case PF_HOST_PREFIX:
		pf_ip_format((enum pf_family)h->af, &h->ip, h->bits, ip, sizeof(ip));
		fputs(ip, f);
		break;
	}
}

static void print_port_number(FILE *f, uint16_t port, uint8_t proto, unsigned int flags)
{
	const char *name = flags & PF_PRINT_PORT_NAMES ? pf_service_name(port, proto) : NULL;

	/* only a name that leads back to the port */
	if (name && pf_word_plain(name) && pf_service_by_name(name) == port)
		fputs(name, f);
	else
		fprintf(f, "%u", port);
}

static void print_port(FILE *f, const struct pf_rule_port *p, uint8_t proto, unsigned int flags)
{
	if (p->op == PF_PORT_ANY)
		return;
	fputs(" port ", f);
	if (p->op < PF_PORT_RANGE) {
		/* only equality is worth a name */
		if (p->op != PF_PORT_EQ && p->op != PF_PORT_NE)
			flags = 0;
		fprintf(f, "%s ", unary_ops[p->op]);
		print_port_number(f, p->lo, proto, flags);
	} else {
		fprintf(f, "%u%s%u", p->lo, binary_ops[p->op], p->hi);
	}
}

static void print_hosts(FILE *f, const struct pf_rule *r, unsigned int flags)
{
	if (r->src.type == PF_HOST_ANY && r->dst.type == PF_HOST_ANY && !r->src.neg &&
	    !r->dst.neg && r->sport.op == PF_PORT_ANY && r->dport.op == PF_PORT_ANY) {
		fputs(" all", f);
		return;
	}
	fputs(" from ", f);
	print_host(f, &r->src);
	print_port(f, &r->sport, r->proto, flags);
	fputs(" to ", f);
	print_host(f, &r->dst);
	print_port(f, &r->dport, r->proto, flags);
}

static void print_tcp_flags(FILE *f, const struct pf_rule *r)
{
	char set[9], mask[9];

	if (r->flags || r->flagset) {
		pf_tcp_flags_format(r->flags, set);
		pf_tcp_flags_format(r->flagset, mask);
		fprintf(f, " flags %s/%s", set, mask);
	} else if (r->action == PF_RULE_ACTION_PASS && (!r->proto || r->proto == PF_PROTO_TCP) &&
		   !r->fragment && r->keep_state) {
		fputs(" flags any", f);
	}
}

static void print_icmp(FILE *f, const struct pf_rule *r)
{
	enum pf_family af = (enum pf_family)r->af;
	unsigned int type = r->icmp_type - 1U, code = r->icmp_code - 1U;
	const char *name;

	if (!r->icmp_type)
		return;
	fputs(af == PF_FAMILY_INET6 ? " icmp6-type " : " icmp-type ", f);
	name = pf_icmp_type_name(type, af);
	if (name)
		fputs(name, f);
	else
		fprintf(f, "%u", type);
	if (!r->icmp_code)
		return;
	name = pf_icmp_code_name(type, code, af);
	if (name)
		fprintf(f, " code %s", name);
	else
		fprintf(f, " code %u", code);
}

static void print_interface(FILE *f, const struct pf_rule *r)
{
	fprintf(f, " on %s", r->ifnot ? "! " : "");
	if (strcmp(r->ifname, PF_IF_ANY) == 0)
		fputs(r->ifname, f);
	else
		pf_word_print(f, r->ifname);
}

static void print_label(FILE *f, const char *label)
{
	fputs(" label ", f);
	pf_word_print_quoted(f, label);
}

void pf_rule_print(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags)
{
	static const char *const dirs[] = {"", " in", " out"};
	const char *proto;

	if (flags & PF_PRINT_NUMBER)
		fprintf(f, "@%zu ", nr);
	fputs(actions[r->action], f);
	if (r->action == PF_RULE_ACTION_BLOCK)
		print_block(f, r);
	fputs(dirs[r->dir], f);
	if (r->log)
		fputs(" log", f);
	if (r->quick)
		fputs(" quick", f);
	if (r->ifname)
		print_interface(f, r);
	if (r->af)
		fputs(r->af == PF_FAMILY_INET ? " inet" : " inet6", f);
	if (r->proto) {
		proto = pf_proto_name(r->proto);
		if (proto && pf_word_plain(proto))
			fprintf(f, " proto %s", proto);
		else
			fprintf(f, " proto %u", r->proto);
	}
	print_hosts(f, r, flags);
	print_tcp_flags(f, r);
	print_icmp(f, r);
	if (!r->keep_state && r->action == PF_RULE_ACTION_PASS)
		fputs(" no state", f);
	if (r->fragment)
		fputs(" fragment", f);
	if (r->allow_opts)
		fputs(" allow-opts", f);
	if (r->label)
		print_label(f, r->label);
	fputc('\n', f);
}

void pf_table_print(FILE *f, const struct pf_table_def *t)
{
	char ip[PF_IP_STRLEN];

	fputs("table ", f);
	pf_table_name_print(f, t->name);
	if (t->constant)
		fputs(" const", f);
	if (t->persist)
		fputs(" persist", f);
	if (t->has_list) {
		fputs(" {", f);
		for (size_t i = 0; i < t->nentries; i++) {
			const struct pf_table_entry *e = &t->entries[i];

			pf_ip_format((enum pf_family)e->af, &e->ip, e->bits, ip, sizeof(ip));
			fprintf(f, " %s%s", e->neg ? "!" : "", ip);
		}
		fputs(" }", f);
	}
	fputc('\n', f);
}

void pf_ruleset_print(FILE *f, const struct pf_ruleset *rs, unsigned int flags)
{
	for (size_t i = 0; i < rs->nitems; i++) {
		const struct pf_item *item = &rs->items[i];

		switch (item->kind) {
		case PF_ITEM_TEXT:
			fprintf(f, "%s\n", item->text);
			break;
		case PF_ITEM_TABLE:
			pf_table_print(f, &rs->tables[item->index]);
			break;
		case PF_ITEM_RULE:
			pf_rule_print(f, &rs->rules[item->index], item->index, flags);
			break;
		}
	}
}
