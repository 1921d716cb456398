// SPDX-License-Identifier: BSD-2-Clause
/* One rule of any list but the Ethernet one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "printer.h"
#include "words.h"

static const char *const actions[] = {
	[PF_RULE_ACTION_PASS] = "pass",		[PF_RULE_ACTION_BLOCK] = "block",
	[PF_RULE_ACTION_MATCH] = "match",	[PF_RULE_ACTION_SCRUB] = "scrub",
	[PF_RULE_ACTION_NO_SCRUB] = "no scrub", [PF_RULE_ACTION_NAT] = "nat",
	[PF_RULE_ACTION_NO_NAT] = "no nat",	[PF_RULE_ACTION_RDR] = "rdr",
	[PF_RULE_ACTION_NO_RDR] = "no rdr",	[PF_RULE_ACTION_BINAT] = "binat",
	[PF_RULE_ACTION_NO_BINAT] = "no binat", [PF_RULE_ACTION_DUMMYNET] = "dummynet",
};
static_assert(sizeof(actions) / sizeof(actions[0]) == PF_RULE_ACTION_MAX, "each has a name");

/* An anchor's keyword tells the list that it is in. */
static const char *const anchors[PF_LIST_MAX] = {
	[PF_LIST_SCRUB] = "scrub-anchor",	[PF_LIST_NAT] = "nat-anchor",
	[PF_LIST_RDR] = "rdr-anchor",		[PF_LIST_BINAT] = "binat-anchor",
	[PF_LIST_DUMMYNET] = "dummynet-anchor", [PF_LIST_FILTER] = "anchor",
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

/* --- the head --- */

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

static void print_block_kind(FILE *f, const struct pf_rule *r)
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

static void print_action(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	if (x->anchor) {
		fputs(anchors[pf_action_list((enum pf_rule_action)r->action)], f);
		if (x->anchor->path) {
			fputc(' ', f);
			pf_word_print_quoted(f, x->anchor->path);
		}
		return;
	}
	fputs(actions[r->action], f);
	if (x->nat_pass)
		fputs(" pass", f);
	if (r->action == PF_RULE_ACTION_BLOCK)
		print_block_kind(f, r);
}

static void print_log(FILE *f, const struct pf_rule_ext *x)
{
	struct pf_printed_list options = {f, " (", ", ", 0};

	fputs(" log", f);
	if (x->log_all)
		pf_printed_list_add(&options, "all");
	if (x->log_matches)
		pf_printed_list_add(&options, "matches");
	if (x->log_user)
		pf_printed_list_add(&options, "user");
	if (x->logif)
		pf_printed_list_add(&options, "to pflog%u", x->logif);
	pf_printed_list_end(&options);
}

static void print_route(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	static const char *const kinds[] = {
		[PF_ROUTE_TO] = "route-to",
		[PF_REPLY_TO] = "reply-to",
		[PF_DUP_TO] = "dup-to",
	};

	if (!x->route)
		return;
	fprintf(f, " %s ", kinds[x->route_kind]);
	pf_pool_print(f, x->route, (enum pf_family)r->af);
}

static void print_family(FILE *f, uint8_t af)
{
	fputs(af == PF_FAMILY_INET ? " inet" : " inet6", f);
}

static void print_proto(FILE *f, uint8_t proto)
{
	const char *name = pf_proto_name(proto);

	if (name && pf_word_plain(name))
		fprintf(f, " proto %s", name);
	else
		fprintf(f, " proto %u", proto);
}

static void print_head(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	static const char *const dirs[] = {"", " in", " out"};

	print_action(f, r, x);
	fputs(dirs[r->dir], f);
	if (r->log)
		print_log(f, x);
	if (r->quick)
		fputs(" quick", f);
	if (r->ifname) {
		fputs(r->ifnot ? " on ! " : " on ", f);
		pf_print_ifname(f, r->ifname);
	} else if (x->rdomain) {
		fprintf(f, " on %srdomain %u", r->ifnot ? "! " : "", x->rdomain - 1U);
	}
	if (x->route_kind && x->route_old)
		print_route(f, r, x);
	if (r->af)
		print_family(f, r->af);
	if (r->proto)
		print_proto(f, r->proto);
}

/* --- what the packet is asked --- */

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

static void print_hosts(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x,
			unsigned int flags)
{
	enum pf_family af = (enum pf_family)r->af;

	if (r->src.type == PF_HOST_ANY && r->dst.type == PF_HOST_ANY && !r->src.neg &&
	    !r->dst.neg && r->sport.op == PF_PORT_ANY && r->dport.op == PF_PORT_ANY && !x->os) {
		fputs(" all", f);
		return;
	}
	fputs(" from ", f);
	pf_print_host(f, &r->src, af);
	print_port(f, &r->sport, r->proto, flags);
	if (x->os) {
		fputs(" os ", f);
		pf_word_print_quoted(f, x->os);
	}
	fputs(" to ", f);
	pf_print_host(f, &r->dst, af);
	print_port(f, &r->dport, r->proto, flags);
}

static void print_id(FILE *f, const char *key, const struct pf_rule_id *id)
{
	if (id->op == PF_PORT_ANY)
		return;
	fprintf(f, " %s ", key);
	if (id->op >= PF_PORT_RANGE)
		fprintf(f, "%u%s%u", id->lo, binary_ops[id->op], id->hi);
	else if (id->lo == PF_ID_UNKNOWN)
		fprintf(f, "%s unknown", unary_ops[id->op]);
	else
		fprintf(f, "%s %u", unary_ops[id->op], id->lo);
}

static void print_tcp_flags(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	char set[9], mask[9];

	if (r->flags || r->flagset) {
		pf_tcp_flags_format(r->flags, set);
		pf_tcp_flags_format(r->flagset, mask);
		fprintf(f, " flags %s/%s", set, mask);
	} else if (r->action == PF_RULE_ACTION_PASS && (!r->proto || r->proto == PF_PROTO_TCP) &&
		   !r->fragment && r->keep_state && !x->anchor) {
		/* nothing would be read as S/SA */
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

static void print_match(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x,
			unsigned int flags)
{
	print_hosts(f, r, x, flags);
	if (x->received_on) {
		fputs(x->received_not ? " !received-on " : " received-on ", f);
		pf_print_ifname(f, x->received_on);
	}
	print_id(f, "user", &x->user);
	print_id(f, "group", &x->group);
	print_tcp_flags(f, r, x);
	print_icmp(f, r);
	if (x->tos_given)
		fprintf(f, " tos 0x%02x", x->tos);
	if (x->prio)
		fprintf(f, " prio %u", x->prio - 1U);
	if (x->max_pkt_rate.limit)
		fprintf(f, " max-pkt-rate %u/%u", x->max_pkt_rate.limit, x->max_pkt_rate.seconds);
	if (x->max_pkt_size)
		fprintf(f, " max-pkt-size %u", x->max_pkt_size);
}

/* --- states --- */

static void add_source_options(struct pf_printed_list *l, const struct pf_state_opts *o)
{
	if (o->source_track)
		pf_printed_list_add(l, "source-track %s",
				    o->source_track == PF_TRACK_RULE ? "rule" : "global");
	if (o->max_src_states)
		pf_printed_list_add(l, "max-src-states %u", o->max_src_states);
	if (o->max_src_conn)
		pf_printed_list_add(l, "max-src-conn %u", o->max_src_conn);
	if (o->max_src_conn_rate.limit)
		pf_printed_list_add(l, "max-src-conn-rate %u/%u", o->max_src_conn_rate.limit,
				    o->max_src_conn_rate.seconds);
	if (o->max_src_nodes)
		pf_printed_list_add(l, "max-src-nodes %u", o->max_src_nodes);
	if (o->overload) {
		pf_printed_list_add(l, "overload ");
		pf_table_name_print(l->f, o->overload);
		if (o->flush || o->flush_global)
			fputs(" flush", l->f);
		if (o->flush_global)
			fputs(" global", l->f);
	}
}

static void add_state_options(struct pf_printed_list *l, const struct pf_state_opts *o,
			      unsigned int flags)
{
	if (o->max)
		pf_printed_list_add(l, "max %u", o->max);
	if (o->no_sync)
		pf_printed_list_add(l, "no-sync");
	add_source_options(l, o);
	if (o->if_bound)
		pf_printed_list_add(l, "if-bound");
	else if (o->floating || flags & PF_PRINT_IF_BOUND)
		pf_printed_list_add(l, "floating");
	if (o->sloppy)
		pf_printed_list_add(l, "sloppy");
	if (o->pflow)
		pf_printed_list_add(l, "pflow");
	if (o->allow_related)
		pf_printed_list_add(l, "allow-related");
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		if (o->timeout[i])
			pf_printed_list_add(l, "%s %u", pf_timeout_names[i], o->timeout[i]);
}

static void print_state(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x,
			unsigned int flags)
{
	static const struct pf_state_opts none;
	struct pf_printed_list options = {f, " (", ", ", 0};

	switch ((enum pf_state_kind)r->keep_state) {
	case PF_STATE_NO:
		if (r->action == PF_RULE_ACTION_PASS && !x->anchor)
			fputs(" no state", f);
		return;
	case PF_STATE_KEEP:
		/* the default, which has no word unless there is more to say */
		options.open = " keep state (";
		break;
	case PF_STATE_MODULATE:
		fputs(" modulate state", f);
		break;
	case PF_STATE_SYNPROXY:
		fputs(" synproxy state", f);
		break;
	}
	add_state_options(&options, x->state ? x->state : &none, flags);
	pf_printed_list_end(&options);
}

static void print_limiter(FILE *f, const char *kind, const struct pf_rule_limiter *l)
{
	if (!l->name && !l->id)
		return;
	fprintf(f, " %s limiter ", kind);
	if (l->id)
		fprintf(f, "id %u", l->id);
	else
		pf_word_print_quoted(f, l->name);
	if (l->action_given)
		fputs(l->action == PF_LIMITER_BLOCK ? " (block)" : " (no-match)", f);
}

static void cut_zeroes(char *number)
{
	char *end = number + strlen(number);

	while (end > number && end[-1] == '0')
		end--;
	if (end > number && end[-1] == '.')
		end--;
	*end = '\0';
}

/*
 * OpenBSD's text has six decimals of what is left of 2^32; but it reads percents of
 * UINT32_MAX.  Where that comes to another number, more decimals or the right divisor
 * give the same one.
 */
static void print_probability(FILE *f, uint32_t prob)
{
	static const double wholes[] = {UINT32_MAX + 1.0, UINT32_MAX};
	char text[32];

	for (int i = 0; i < 14; i++) {
		snprintf(text, sizeof(text), "%.*f", 6 + i / 2, prob * 100.0 / wholes[i % 2]);
		cut_zeroes(text);
		/* the parser rounds down; nothing here is negative */
		if ((uint64_t)(strtod(text, NULL) / 100 * UINT32_MAX + 0.5) == prob)
			break;
	}
	fprintf(f, " probability %s%%", text);
}

/* --- what is done --- */

static void add_queues(FILE *f, const struct pf_rule_ext *x)
{
	fputs(x->pqueue ? "queue(" : "queue ", f);
	pf_word_print(f, x->queue);
	if (x->pqueue) {
		fputs(", ", f);
		pf_word_print(f, x->pqueue);
		fputc(')', f);
	}
}

static void print_set(FILE *f, const struct pf_rule_ext *x)
{
	struct pf_printed_list set = {f, " set (", ", ", 0};

	if (x->set_prio_given && x->set_prio[0] == x->set_prio[1])
		pf_printed_list_add(&set, "prio %u", x->set_prio[0]);
	else if (x->set_prio_given)
		pf_printed_list_add(&set, "prio(%u, %u)", x->set_prio[0], x->set_prio[1]);
	if (x->queue && x->set_queue) {
		pf_printed_list_next(&set);
		add_queues(f, x);
	}
	if (x->set_tos_given)
		pf_printed_list_add(&set, "tos 0x%02x", x->set_tos);
	if (x->set_delay_given)
		pf_printed_list_add(&set, "delay %u", x->set_delay);
	pf_printed_list_end(&set);
}

/* "scrub (no-df)" of a filter rule. */
static void print_scrub_options(FILE *f, const struct pf_scrub *s)
{
	struct pf_printed_list options = {f, " scrub (", " ", 0};

	if (s->no_df)
		pf_printed_list_add(&options, "no-df");
	if (s->random_id)
		pf_printed_list_add(&options, "random-id");
	if (s->min_ttl)
		pf_printed_list_add(&options, "min-ttl %u", s->min_ttl);
	if (s->reassemble_tcp)
		pf_printed_list_add(&options, "reassemble tcp");
	if (s->max_mss)
		pf_printed_list_add(&options, "max-mss %u", s->max_mss);
	pf_printed_list_end(&options);
}

/* Those of a scrub rule. */
static void print_old_scrub_options(FILE *f, const struct pf_scrub *s)
{
	if (s->no_df)
		fputs(" no-df", f);
	if (s->random_id)
		fputs(" random-id", f);
	if (s->min_ttl)
		fprintf(f, " min-ttl %u", s->min_ttl);
	if (s->max_mss)
		fprintf(f, " max-mss %u", s->max_mss);
	if (s->set_tos_given)
		fprintf(f, " set-tos 0x%02x", s->set_tos);
}

static void print_scrub(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	bool old = pf_action_list((enum pf_rule_action)r->action) == PF_LIST_SCRUB && !x->anchor;

	if (old)
		print_old_scrub_options(f, &x->scrub);
	else if (x->scrub_given && pf_action_list((enum pf_rule_action)r->action) == PF_LIST_FILTER)
		print_scrub_options(f, &x->scrub);
	if (r->allow_opts)
		fputs(" allow-opts", f);
	if (!old)
		return;
	if (x->scrub.reassemble_tcp)
		fputs(" reassemble tcp", f);
	if (r->action == PF_RULE_ACTION_NO_SCRUB)
		return;
	fputs(x->scrub.fragment_no_reassemble ? " fragment no reassemble" : " fragment reassemble",
	      f);
}

static void print_labels(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	if (r->label)
		pf_print_label(f, r->label);
	for (int i = 0; i < PF_LABELS_MOST - 1; i++)
		if (x->labels[i])
			pf_print_label(f, x->labels[i]);
}

static void print_queues(FILE *f, const struct pf_rule_ext *x)
{
	const char *dn = x->dn_queue ? "dnqueue" : "dnpipe";

	if (x->dn_given && x->dn_pair)
		fprintf(f, " %s(%u, %u)", dn, x->dn[0], x->dn[1]);
	else if (x->dn_given)
		fprintf(f, " %s %u", dn, x->dn[0]);
	if (x->queue && !x->set_queue) {
		fputc(' ', f);
		add_queues(f, x);
	}
}

static void print_divert(FILE *f, const struct pf_divert *d)
{
	enum pf_family af = (enum pf_family)d->af;
	char ip[PF_IP_STRLEN];

	switch ((enum pf_divert_type)d->type) {
	case PF_DIVERT_NONE:
		break;
	case PF_DIVERT_TO:
		if (d->name) {
			fprintf(f, " divert-to %s port %u", d->name, d->port);
			break;
		}
		if (!af) {
			fprintf(f, " divert-to %u", d->port);
			break;
		}
		pf_ip_format(af, &d->ip, pf_family_bits(af), ip, sizeof(ip));
		fprintf(f, " divert-to %s port %u", ip, d->port);
		break;
	case PF_DIVERT_REPLY:
		fputs(" divert-reply", f);
		break;
	case PF_DIVERT_PACKET:
		fprintf(f, " divert-packet port %u", d->port);
		break;
	}
}

static void print_pool(FILE *f, const char *key, const struct pf_pool *p, uint8_t af)
{
	if (!p)
		return;
	fprintf(f, " %s ", key);
	pf_pool_print(f, p, (enum pf_family)af);
}

static void print_translation(FILE *f, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	if (x->af_to) {
		fputs(" af-to", f);
		print_family(f, x->af_to);
		print_pool(f, "from", x->nat, x->af_to);
		print_pool(f, "to", x->rdr, x->af_to);
	} else {
		print_pool(f, "nat-to", x->nat, r->af);
		print_pool(f, "rdr-to", x->rdr, r->af);
	}
	if (x->route_kind && !x->route_old)
		print_route(f, r, x);
	print_pool(f, "->", x->target, r->af);
}

void pf_print_rule(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags,
		   unsigned int depth)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	pf_print_margin(f, nr, flags, depth);
	print_head(f, r, x);
	print_match(f, r, x, flags);
	print_set(f, x);
	print_state(f, r, x, flags);
	print_limiter(f, "state", &x->state_limiter);
	print_limiter(f, "source", &x->source_limiter);
	if (x->prob)
		print_probability(f, x->prob);
	if (r->fragment)
		fputs(" fragment", f);
	print_scrub(f, r, x);
	print_labels(f, r, x);
	if (x->once)
		fputs(" once", f);
	if (x->ridentifier)
		fprintf(f, " ridentifier %u", x->ridentifier);
	print_queues(f, x);
	pf_print_tags(f, x->tag, x->tagged_not, x->tagged);
	if (x->rtable)
		fprintf(f, " rtable %u", x->rtable - 1U);
	print_divert(f, &x->divert);
	print_translation(f, r, x);
	pf_print_anchor_end(f, x->anchor, flags, depth);
}

void pf_rule_print_at(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags,
		      unsigned int depth)
{
	pf_print_rule(f, r, nr, flags, depth);
}

void pf_rule_print(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags)
{
	pf_print_rule(f, r, nr, flags, 0);
}
