// SPDX-License-Identifier: BSD-2-Clause
/* What clients ask of states. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "kill.h"
#include "monitor.h"
#include "save.h"
#include "limiters.h"
#include "sources.h"

#define STATES_AT_ONCE 256 /* in one message */

/* --- showing --- */

static bool more_states(struct pf_client_conn *c)
{
	const struct pf_engine *g = c->control->engine;
	struct pf_states_query q = {
		.dp = &g->dp,
		.gen = g->active,
		.ifs = &g->ifs,
		.bound = &g->bound,
		.tags = &g->gens.tags,
		.now = c->states.now,
		.ifindex = c->states.ifindex,
		.rule = c->states.rule,
	};
	struct pf_wire_state s[STATES_AT_ONCE];
	size_t n = 0;

	while (n < STATES_AT_ONCE && pf_states_next(&q, &c->cursor, &s[n]))
		n++;
	if (n)
		pf_reply_data(c, s, n * sizeof(s[0]));
	if (n == STATES_AT_ONCE)
		return true;
	pf_reply_ok(c, NULL);
	return false;
}

/*
 * An interface by its name, where states were made: all are floating, and so
 * what is bound to none, "all", are all of them.  True and its number, 0 any;
 * false if there is none of that name.
 */
static bool get_interface(const struct pf_client_conn *c, struct pf_cursor *p, uint32_t *ifindex)
{
	char name[IFNAMSIZ] = "";

	*ifindex = 0;
	pf_get_string(p, name, sizeof(name));
	if (!*name || strcmp(name, "all") == 0)
		return true;
	for (const struct pf_netif *i = c->control->engine->ifs.first; i; i = i->next)
		if (strcmp(i->name, name) == 0)
			*ifindex = (uint32_t)i->ifindex;
	return *ifindex != 0;
}

void pf_request_states(struct pf_client_conn *c, struct pf_cursor *p)
{
	bool any = get_interface(c, p, &c->states.ifindex);

	c->states.rule = pf_get_u32(p);
	if (!pf_request_complete(c, p))
		return;
	c->cursor = 0;
	c->states.now = pf_datapath_jiffies(&c->control->engine->dp);
	if (any)
		c->more = more_states;
	else
		pf_reply_ok(c, NULL);
}

/* --- ending --- */

static void get_host(struct pf_cursor *p, struct pf_kill_host *h)
{
	h->af = pf_get_u8(p);
	h->bits = pf_get_u8(p);
	h->neg = pf_get_u8(p);
	pf_get(p, h->ip.b, sizeof(h->ip.b));
	if (h->af && ((h->af != PF_FAMILY_INET && h->af != PF_FAMILY_INET6) ||
		      h->bits > pf_family_bits((enum pf_family)h->af)))
		pf_cursor_fail(p);
	if (!p->bad)
		pf_ip_mask(&h->ip, h->bits);
}

/* What the request says of states; false if none can be meant. */
static bool get_kill(const struct pf_client_conn *c, struct pf_cursor *p, struct pf_kill *k,
		     char label[PF_LABEL_SIZE])
{
	bool some;

	get_host(p, &k->src);
	get_host(p, &k->dst);
	get_host(p, &k->gateway);
	k->proto = pf_get_u8(p);
	k->ports = pf_get_u8(p) != 0;
	k->sport = pf_get_u16(p);
	k->dport = pf_get_u16(p);
	some = get_interface(c, p, &k->ifindex);
	*label = '\0';
	pf_get_string(p, label, PF_LABEL_SIZE);
	k->id = pf_get_u64(p);
	k->matching = pf_get_u8(p) != 0;
	return some;
}

void pf_request_kill(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_engine *g = c->control->engine;
	char label[PF_LABEL_SIZE];
	struct pf_kill k = {.ports = false};
	bool some = get_kill(c, p, &k, label);
	uint8_t *rules = NULL;
	uint32_t n = 0;
	int err = 0;

	if (!pf_request_complete(c, p))
		return;
	if (*label) {
		rules = pf_generations_labelled(&g->gens, g->active, g->fallback, label);
		err = rules ? 0 : -ENOMEM;
		k.rules = rules;
	}
	if (some && !err)
		err = pf_states_kill(&g->dp, &k, &n);
	free(rules);
	if (n)
		pf_resting_hurry(&g->resting);
	if (err)
		pf_reply_error(c, err, "out of memory");
	else
		pf_reply_u32(c, n);
}

/* --- their sources --- */

void pf_request_sources(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_engine *g = c->control->engine;
	struct pf_wire_source *list;
	size_t n;
	int err;

	if (!pf_request_complete(c, p))
		return;
	err = pf_sources_list(&g->dp, g->active, &list, &n);
	if (err) {
		pf_reply_error(c, err, strerror(-err));
		return;
	}
	pf_reply_list(c, list, n, sizeof(*list));
	free(list);
	pf_reply_ok(c, NULL);
}

void pf_request_kill_sources(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_kill_host hosts[2] = {{.af = 0}};
	uint8_t n = pf_get_u8(p);
	uint32_t killed;
	int err;

	if (n < 1 || n > 2)
		pf_cursor_fail(p);
	for (uint8_t i = 0; i < n && i < 2; i++)
		get_host(p, &hosts[i]);
	if (!pf_request_complete(c, p))
		return;
	err = pf_sources_kill(&c->control->engine->dp, hosts, n, &killed);
	/* those of limiters are mapped to nothing */
	if (!err && n == 1)
		err = pf_limited_kill(&c->control->engine->dp, &hosts[0], &killed);
	if (err)
		pf_reply_error(c, err, strerror(-err));
	else
		pf_reply_u32(c, killed);
}

/* --- their limiters --- */

void pf_request_limiters(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_engine *g = c->control->engine;
	const struct pf_ruleset *rs = g->active->rs;
	struct pf_wire_limiter *list;

	if (!pf_request_complete(c, p))
		return;
	list = calloc(rs->nlimiters + 1, sizeof(*list));
	if (!list) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return;
	}
	pf_limiters_list(&g->dp, rs, list);
	pf_reply_list(c, list, rs->nlimiters, sizeof(*list));
	free(list);
	pf_reply_ok(c, NULL);
}

void pf_request_limited(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_wire_limited *list;
	size_t n;
	int err;

	if (!pf_request_complete(c, p))
		return;
	err = pf_limited_list(&c->control->engine->dp, &list, &n);
	if (err) {
		pf_reply_error(c, err, strerror(-err));
		return;
	}
	pf_reply_list(c, list, n, sizeof(*list));
	free(list);
	pf_reply_ok(c, NULL);
}

/* --- keeping them over a reboot --- */

static bool more_saved(struct pf_client_conn *c)
{
	pf_buf_auto b = {0};

	if (!pf_save_block(c->control->engine, c->states.now, &c->cursor, &b)) {
		pf_reply_ok(c, NULL);
		return false;
	}
	if (b.failed) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return false;
	}
	pf_reply_data(c, b.data, b.len);
	return true;
}

void pf_request_save(struct pf_client_conn *c, struct pf_cursor *p)
{
	if (!pf_request_complete(c, p))
		return;
	c->cursor = 0;
	c->states.now = pf_datapath_jiffies(&c->control->engine->dp);
	c->more = more_saved;
}

void pf_request_saved(struct pf_client_conn *c, struct pf_cursor *p)
{
	size_t len = (size_t)(p->end - p->at);

	if (c->saved.len + len > PF_SAVED_MOST) {
		pf_buf_free(&c->saved);
		pf_reply_error(c, -EFBIG, "too many states in one file");
		return;
	}
	pf_put(&c->saved, p->at, len);
	if (c->saved.failed) {
		pf_buf_free(&c->saved);
		pf_reply_error(c, -ENOMEM, "out of memory");
	} else {
		pf_reply_ok(c, NULL);
	}
}

void pf_request_restore(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_restored n;
	struct pf_error_text e;
	pf_buf_auto b = {0};
	int err;

	if (!pf_request_complete(c, p))
		return;
	err = pf_restore(c->control->engine, c->saved.data, c->saved.len, &n, &e);
	pf_buf_free(&c->saved);
	if (err) {
		pf_reply_error(c, err, e.text);
		return;
	}
	pf_put_u32(&b, n.loaded);
	pf_put_u32(&b, n.there);
	pf_put_u32(&b, n.refused);
	pf_put_u32(&b, n.unruled);
	pf_reply_ok(c, &b);
}

void pf_request_monitor(struct pf_client_conn *c, struct pf_cursor *p)
{
	if (pf_request_complete(c, p))
		pf_monitor(c);
}
