// SPDX-License-Identifier: BSD-2-Clause
/* -s Limiters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

static void print_limiter(const struct pfctl *c, const struct pf_wire_limiter *l)
{
	printf("%s limiter id %u \"%s\" ( states %u, limit %u", l->source ? "source" : "state",
	       l->id, l->name, l->states, l->limit);
	if (l->rate)
		printf(", rate %u/%u", l->rate, l->seconds);
	puts(" )");
	if (c->verbose)
		printf("   admitted %" PRIu64 ", hardlimited %" PRIu64 ", ratelimited %" PRIu64
		       "\n",
		       l->admitted, l->hardlimited, l->ratelimited);
}

static int json_limiter(struct pfctl *c, const struct pf_wire_limiter *l)
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
	return pfctl_json_item(c, out);
}

static int limiters_data(void *ctx, const void *payload, size_t len)
{
	struct pfctl *c = ctx;

	if (len % sizeof(struct pf_wire_limiter))
		return -1;
	pfctl_print_title(c);
	for (size_t at = 0; at < len; at += sizeof(struct pf_wire_limiter)) {
		struct pf_wire_limiter l;

		memcpy(&l, (const char *)payload + at, sizeof(l));
		l.name[sizeof(l.name) - 1] = '\0';
		if (!c->json)
			print_limiter(c, &l);
		else if (json_limiter(c, &l))
			return -1;
	}
	return 0;
}

int pfctl_show_limiters(struct pfctl *c)
{
	int status;

	if (c->json)
		pfctl_json_begin(c);
	status = pfctl_call(c, PF_REQ_LIMITERS, NULL, limiters_data, c, NULL);
	if (c->json && !status)
		pfctl_json_end();
	return status;
}
