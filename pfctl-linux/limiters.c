// SPDX-License-Identifier: BSD-2-Clause
/* -s Limiters. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* The sources of all source limiters, in the order of their limiters. */
struct sources {
	struct pf_wire_limited *v;
	size_t n;
};

struct limiters {
	struct pfctl *c;
	struct sources sources;
};

static int sources_data(void *ctx, const void *payload, size_t len)
{
	struct sources *s = ctx;
	size_t more = len / sizeof(*s->v);
	struct pf_wire_limited *v;

	if (len % sizeof(*s->v))
		return -1;
	v = reallocarray(s->v, s->n + more + 1, sizeof(*v));
	if (!v)
		return -1;
	s->v = v;
	memcpy(&v[s->n], payload, len);
	s->n += more;
	return 0;
}

static const char *source_text(const struct pf_wire_limited *s, char *buf, size_t size)
{
	struct pf_ip addr;

	memcpy(addr.b, s->addr, sizeof(addr.b));
	pf_ip_format((enum pf_family)s->af, &addr, s->bits, buf, size);
	return buf;
}

static void print_source(const struct pf_wire_limited *s)
{
	char ip[PF_IP_STRLEN];

	printf("   %s ( states %u, admitted %" PRIu64 ", hardlimited %" PRIu64
	       ", ratelimited %" PRIu64 " )\n",
	       source_text(s, ip, sizeof(ip)), s->states, s->admitted, s->hardlimited,
	       s->ratelimited);
}

static void print_limiter(const struct limiters *ls, const struct pf_wire_limiter *l)
{
	printf("%s limiter id %u \"%s\" ( states %u", l->source ? "source" : "state", l->id,
	       l->name, l->states);
	if (l->source)
		printf(", sources %u, entries %u", l->sources, l->entries);
	printf(", limit %u", l->limit);
	if (l->rate)
		printf(", rate %u/%u", l->rate, l->seconds);
	if (l->source && l->mask[0] < 32)
		printf(", inet mask %u", l->mask[0]);
	if (l->source && l->mask[1] < 128)
		printf(", inet6 mask %u", l->mask[1]);
	if (*l->table)
		printf(", table <%s> above %u", l->table, l->above);
	if (*l->table && l->below)
		printf(" below %u", l->below);
	puts(" )");
	if (!ls->c->verbose)
		return;
	printf("   admitted %" PRIu64 ", hardlimited %" PRIu64 ", ratelimited %" PRIu64,
	       l->admitted, l->hardlimited, l->ratelimited);
	if (l->source)
		printf(", addrlimited %" PRIu64, l->addrlimited);
	putchar('\n');
	for (size_t i = 0; l->source && i < ls->sources.n; i++)
		if (ls->sources.v[i].id == l->id)
			print_source(&ls->sources.v[i]);
}

/* --- JSON --- */

static json_t *json_source(const struct pf_wire_limited *s)
{
	json_t *out = json_object();
	char ip[PF_IP_STRLEN];

	json_object_set_new(out, "address", pfctl_json_text(source_text(s, ip, sizeof(ip))));
	json_object_set_new(out, "states", json_integer(s->states));
	json_object_set_new(out, "admitted", pfctl_json_u64(s->admitted));
	json_object_set_new(out, "hardlimited", pfctl_json_u64(s->hardlimited));
	json_object_set_new(out, "ratelimited", pfctl_json_u64(s->ratelimited));
	return out;
}

static void json_of_source_limiter(const struct sources *s, const struct pf_wire_limiter *l,
				   json_t *out)
{
	json_t *list = json_array();

	json_object_set_new(out, "entries", json_integer(l->entries));
	json_object_set_new(out, "inet_mask", json_integer(l->mask[0]));
	json_object_set_new(out, "inet6_mask", json_integer(l->mask[1]));
	json_object_set_new(out, "table", *l->table ? pfctl_json_text(l->table) : json_null());
	json_object_set_new(out, "above", *l->table ? json_integer(l->above) : json_null());
	json_object_set_new(out, "below", l->below ? json_integer(l->below) : json_null());
	json_object_set_new(out, "addrlimited", pfctl_json_u64(l->addrlimited));
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].id == l->id)
			json_array_append_new(list, json_source(&s->v[i]));
	json_object_set_new(out, "sources", list);
}

static int json_limiter(const struct limiters *ls, const struct pf_wire_limiter *l)
{
	json_t *out = json_object();

	json_object_set_new(out, "kind", json_string(l->source ? "source" : "state"));
	json_object_set_new(out, "id", json_integer(l->id));
	json_object_set_new(out, "name", pfctl_json_text(l->name));
	json_object_set_new(out, "states", json_integer(l->states));
	json_object_set_new(out, "limit", json_integer(l->limit));
	json_object_set_new(out, "rate", l->rate ? json_integer(l->rate) : json_null());
	json_object_set_new(out, "seconds", l->rate ? json_integer(l->seconds) : json_null());
	json_object_set_new(out, "admitted", pfctl_json_u64(l->admitted));
	json_object_set_new(out, "hardlimited", pfctl_json_u64(l->hardlimited));
	json_object_set_new(out, "ratelimited", pfctl_json_u64(l->ratelimited));
	if (l->source)
		json_of_source_limiter(&ls->sources, l, out);
	return pfctl_json_item(ls->c, out);
}

/* --- all of them --- */

static int limiters_data(void *ctx, const void *payload, size_t len)
{
	const struct limiters *ls = ctx;

	if (len % sizeof(struct pf_wire_limiter))
		return -1;
	pfctl_print_title(ls->c);
	for (size_t at = 0; at < len; at += sizeof(struct pf_wire_limiter)) {
		struct pf_wire_limiter l;

		memcpy(&l, (const char *)payload + at, sizeof(l));
		l.name[sizeof(l.name) - 1] = '\0';
		l.table[sizeof(l.table) - 1] = '\0';
		if (!ls->c->json)
			print_limiter(ls, &l);
		else if (json_limiter(ls, &l))
			return -1;
	}
	return 0;
}

int pfctl_show_limiters(struct pfctl *c)
{
	struct limiters ls = {.c = c};
	int status = 0;

	if (c->json)
		pfctl_json_begin(c);
	if (c->json || c->verbose)
		status = pfctl_call(c, PF_REQ_LIMITED, NULL, sources_data, &ls.sources, NULL);
	if (!status)
		status = pfctl_call(c, PF_REQ_LIMITERS, NULL, limiters_data, &ls, NULL);
	free(ls.sources.v);
	if (c->json && !status)
		pfctl_json_end();
	return status;
}
