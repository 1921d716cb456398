// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#include <string.h>

#include "../grammar/check.h"
#include "model_int.h"

static void put_host(struct pf_buf *b, const struct pf_rule_host *h)
{
	pf_put_u8(b, (uint8_t)h->type);
	pf_put_u8(b, h->neg);
	if (h->type == PF_HOST_PREFIX) {
		pf_put_u8(b, h->af);
		pf_put_u8(b, h->bits);
		pf_put(b, h->ip.b, sizeof(h->ip.b));
	} else if (h->type == PF_HOST_RANGE) {
		pf_put_u8(b, h->af);
		pf_put(b, h->ip.b, sizeof(h->ip.b));
		pf_put(b, h->hi->b, sizeof(h->hi->b));
	} else if (h->type == PF_HOST_TABLE) {
		pf_put_string(b, h->table);
	} /* the reader knows no others */
}

static void put_port(struct pf_buf *b, const struct pf_rule_port *p)
{
	pf_put_u8(b, (uint8_t)p->op);
	pf_put_u16(b, p->lo);
	pf_put_u16(b, p->hi);
}

/* One that the datapath has: of one address or prefix. */
static void put_pool(struct pf_buf *b, const struct pf_pool *p)
{
	put_host(b, &p->hosts[0].host);
	pf_put_u8(b, p->type);
	pf_put_u8(b, p->static_port);
	pf_put_u16(b, p->port);
	pf_put_u16(b, p->port_hi);
}

/* The same: of one address. */
static void put_route(struct pf_buf *b, const struct pf_rule_ext *x)
{
	const struct pf_pool_host *h = &x->route->hosts[0];

	pf_put_u8(b, x->route_kind);
	pf_put_u8(b, x->route_old);
	pf_put_u8(b, x->route->type);
	put_host(b, &h->host);
	pf_put_string(b, h->ifname ? h->ifname : "");
}

static uint8_t rule_flags(const struct pf_rule *r)
{
	return (uint8_t)((r->log ? RULE_LOG : 0) | (r->quick ? RULE_QUICK : 0) |
			 (r->ifnot ? RULE_IFNOT : 0) | (r->keep_state ? RULE_KEEP : 0) |
			 (r->allow_opts ? RULE_ALLOW_OPTS : 0) | (r->fragment ? RULE_FRAGMENT : 0));
}

static void put_table(struct pf_buf *b, const struct pf_table_def *t)
{
	pf_put_string(b, t->name);
	pf_put_u8(b,
		  (uint8_t)((t->persist ? TABLE_PERSIST : 0) | (t->constant ? TABLE_CONST : 0) |
			    (t->has_list ? TABLE_LIST : 0) | (t->automatic ? TABLE_AUTOMATIC : 0) |
			    (t->counters ? TABLE_COUNTERS : 0)));
	pf_put_u32(b, (uint32_t)t->nentries);
	for (size_t i = 0; i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		pf_put_u8(b, e->af);
		pf_put_u8(b, e->bits);
		pf_put_u8(b, e->neg);
		pf_put(b, e->ip.b, sizeof(e->ip.b));
	}
}

static void put_block(struct pf_buf *b, const struct pf_block *block);

/* NOLINTBEGIN(misc-no-recursion): the parser bounds the depth of braces and loads */

static void put_anchor(struct pf_buf *b, const struct pf_anchor *a)
{
	pf_put_string(b, a->path);
	pf_put_u8(b, a->block != NULL);
	if (a->block)
		put_block(b, a->block);
}

static bool more_labels(const struct pf_rule_ext *x)
{
	for (int i = 0; i < PF_LABELS_MOST - 1; i++)
		if (x->labels[i])
			return true;
	return false;
}

static uint32_t ext_bits(const struct pf_rule_ext *x)
{
	return (uint32_t)((x->received_on ? EXT_RECEIVED : 0) |
			  (x->received_not ? EXT_RECEIVED_NOT : 0) | (x->tos_given ? EXT_TOS : 0) |
			  (x->prob ? EXT_PROB : 0) | (x->tagged ? EXT_TAGGED : 0) |
			  (x->tagged_not ? EXT_TAGGED_NOT : 0) | (x->tag ? EXT_TAG : 0) |
			  (x->anchor ? EXT_ANCHOR : 0) | (x->nat ? EXT_NAT : 0) |
			  (x->rdr ? EXT_RDR : 0) | (x->state ? EXT_STATE : 0) |
			  (x->state_limiter.id || x->source_limiter.id ? EXT_LIMITERS : 0) |
			  (x->once ? EXT_ONCE : 0) | (x->max_pkt_rate.limit ? EXT_PKT_RATE : 0) |
			  (more_labels(x) ? EXT_LABELS : 0) | (x->route ? EXT_ROUTE : 0));
}

static void put_limiter(struct pf_buf *b, const struct pf_rule_limiter *l)
{
	pf_put_u8(b, l->id);
	pf_put_u8(b, (uint8_t)((l->action == PF_LIMITER_BLOCK ? LIMITER_BLOCK : 0) |
			       (l->action_given ? LIMITER_GIVEN : 0)));
}

static void put_state(struct pf_buf *b, const struct pf_state_opts *o)
{
	uint32_t given = 0;

	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		given |= o->timeout[i] ? 1U << i : 0;
	pf_put_u8(b,
		  (uint8_t)((o->no_sync ? STATE_NO_SYNC : 0) | (o->if_bound ? STATE_IF_BOUND : 0) |
			    (o->sloppy ? STATE_SLOPPY : 0) | (o->floating ? STATE_FLOATING : 0) |
			    (o->source_track == PF_TRACK_GLOBAL ? STATE_TRACK_GLOBAL : 0) |
			    (o->source_track == PF_TRACK_RULE ? STATE_TRACK_RULE : 0) |
			    (o->flush ? STATE_FLUSH : 0) |
			    (o->flush_global ? STATE_FLUSH_GLOBAL : 0)));
	pf_put_u32(b, o->max);
	if (o->source_track) {
		pf_put_u32(b, o->max_src_nodes);
		pf_put_u32(b, o->max_src_states);
		pf_put_u32(b, o->max_src_conn);
		pf_put_u32(b, o->max_src_conn_rate.limit);
		pf_put_u32(b, o->max_src_conn_rate.seconds);
		pf_put_string(b, o->overload ? o->overload : "");
	}
	pf_put_u32(b, given);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		if (o->timeout[i])
			pf_put_u32(b, o->timeout[i]);
}

static void put_ext(struct pf_buf *b, const struct pf_rule *r)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	if (!pf_rule_ext_enforced(r))
		b->failed = true;
	pf_put_u32(b, ext_bits(x));
	if (b->failed) /* a pool may be anything then */
		return;
	if (x->received_on)
		pf_put_string(b, x->received_on);
	if (x->tos_given)
		pf_put_u8(b, x->tos);
	if (x->prob)
		pf_put_u32(b, x->prob);
	if (x->tagged)
		pf_put_string(b, x->tagged);
	if (x->tag)
		pf_put_string(b, x->tag);
	if (x->anchor)
		put_anchor(b, x->anchor);
	if (x->nat)
		put_pool(b, x->nat);
	if (x->rdr)
		put_pool(b, x->rdr);
	if (x->state)
		put_state(b, x->state);
	if (x->state_limiter.id || x->source_limiter.id) {
		put_limiter(b, &x->state_limiter);
		put_limiter(b, &x->source_limiter);
	}
	if (x->max_pkt_rate.limit) {
		pf_put_u32(b, x->max_pkt_rate.limit);
		pf_put_u32(b, x->max_pkt_rate.seconds);
	}
	for (int i = 0; more_labels(x) && i < PF_LABELS_MOST - 1; i++)
		pf_put_string(b, x->labels[i]);
	if (x->route)
		put_route(b, x);
}

static void put_rule(struct pf_buf *b, const struct pf_rule *r)
{
	if (r->keep_state > PF_STATE_KEEP)
		b->failed = true;
	pf_put_u32(b, r->line);
	pf_put_u8(b, r->action);
	pf_put_u8(b, r->dir);
	pf_put_u8(b, r->af);
	pf_put_u8(b, r->proto);
	pf_put_u8(b, r->block_kind);
	pf_put_u8(b, r->return_ttl);
	pf_put_u16(b, r->return_icmp);
	pf_put_u16(b, r->return_icmp6);
	pf_put_u8(b, r->flags);
	pf_put_u8(b, r->flagset);
	pf_put_u16(b, r->icmp_type);
	pf_put_u16(b, r->icmp_code);
	pf_put_u8(b, rule_flags(r));
	pf_put_string(b, r->ifname);
	pf_put_string(b, r->label);
	put_host(b, &r->src);
	put_host(b, &r->dst);
	put_port(b, &r->sport);
	put_port(b, &r->dport);
	put_ext(b, r);
}

static void put_block(struct pf_buf *b, const struct pf_block *block)
{
	const struct pf_rule_list *l = &block->list[PF_LIST_FILTER];

	for (int k = 0; k < PF_LIST_MAX; k++)
		if (k != PF_LIST_FILTER && block->list[k].n)
			b->failed = true;
	if (block->nether)
		b->failed = true;
	pf_put_u32(b, (uint32_t)block->ntables);
	for (size_t i = 0; i < block->ntables; i++)
		put_table(b, &block->tables[i]);
	pf_put_u32(b, (uint32_t)l->n);
	for (size_t i = 0; i < l->n; i++)
		put_rule(b, &l->v[i]);
}

static void put_load(struct pf_buf *b, const struct pf_load *load)
{
	pf_buf_auto model = {0};

	pf_model_encode(load->rs, &model);
	if (model.failed)
		b->failed = true;
	pf_put_string(b, load->path);
	pf_put_u32(b, (uint32_t)model.len);
	pf_put(b, model.data, model.len);
}

void pf_model_encode_rule(const struct pf_rule *r, struct pf_buf *b)
{
	struct pf_rule rule = *r;
	struct pf_rule_ext x;
	struct pf_anchor call;

	rule.line = 0;
	if (r->x && r->x->anchor) {
		call = (struct pf_anchor){.path = r->x->anchor->path};
		memcpy(&x, r->x, sizeof(x));
		x.anchor = &call;
		rule.x = &x;
	}
	put_rule(b, &rule);
}

static void put_limiter_def(struct pf_buf *b, const struct pf_limiter_def *d)
{
	pf_put_u8(b, d->source);
	pf_put_u8(b, d->id);
	pf_put_string(b, d->name);
	pf_put_u32(b, d->limit);
	pf_put_u32(b, d->rate.limit);
	pf_put_u32(b, d->rate.seconds);
	if (!d->source)
		return;
	pf_put_u32(b, d->entries);
	pf_put_u8(b, d->mask[0]);
	pf_put_u8(b, d->mask[1]);
	pf_put_u8(b, d->table != NULL);
	if (!d->table)
		return;
	pf_put_string(b, d->table);
	pf_put_u32(b, d->above);
	pf_put_u32(b, d->below);
}

void pf_model_encode(const struct pf_ruleset *rs, struct pf_buf *b)
{
	pf_put_u32(b, MODEL_MAGIC);
	pf_put_u32(b, PF_MODEL_VERSION);
	pf_put_u8(b, rs->options.block_return);
	pf_put_u8(b, rs->options.keep_counters);
	pf_put_u32(b, rs->options.timeout_set);
	pf_put_u32(b, rs->options.limit_set);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		pf_put_u32(b, rs->options.timeout[i]);
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		pf_put_u32(b, rs->options.limit[i]);
	pf_put_u32(b, (uint32_t)rs->nskip);
	for (size_t i = 0; i < rs->nskip; i++)
		pf_put_string(b, rs->skip[i]);
	pf_put_u32(b, (uint32_t)rs->nlimiters);
	for (size_t i = 0; i < rs->nlimiters; i++)
		put_limiter_def(b, &rs->limiters[i]);
	put_block(b, &rs->main);
	pf_put_u32(b, (uint32_t)rs->nloads);
	for (size_t i = 0; i < rs->nloads; i++)
		put_load(b, &rs->loads[i]);
}

/* NOLINTEND(misc-no-recursion) */
