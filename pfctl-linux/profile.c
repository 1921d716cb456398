// SPDX-License-Identifier: BSD-2-Clause
/* -o: the optimiser's level, and for "profile" what the running rules have counted. */
#include <stdlib.h>
#include <string.h>

#include "../grammar/print.h"
#include "pfctl.h"

int pfctl_optimize(struct pfctl *c, const char *level)
{
	static const char *const levels[] = {
		[PF_OPTIMIZE_NONE] = "none",
		[PF_OPTIMIZE_BASIC] = "basic",
		[PF_OPTIMIZE_PROFILE] = "profile",
	};

	for (int i = PF_OPTIMIZE_NONE; i <= PF_OPTIMIZE_PROFILE; i++) {
		/* as the other modifiers, they may be shortened */
		if (!*level || strncmp(levels[i], level, strlen(level)) != 0)
			continue;
		c->optimize = i;
		return 0;
	}
	pfctl_warn("unknown optimization level '%s' (none, basic or profile)", level);
	return 1;
}

/* A rule as text, and what belongs to it. */
struct line {
	char *text;
	uint64_t packets;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static char *rule_text(const struct pf_rule *r)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	pf_rule_print(f, r, 0, 0);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static void free_lines(struct line *lines, size_t n)
{
	for (size_t i = 0; lines && i < n; i++)
		free(lines[i].text);
	free(lines);
}

static struct line *lines_of(const struct pf_ruleset *rs, const struct pf_wire_rule *stats)
{
	size_t n = pf_filter(rs)->n;
	struct line *lines = calloc(n + 1, sizeof(*lines));

	for (size_t i = 0; lines && i < n; i++) {
		lines[i].text = rule_text(&pf_filter(rs)->v[i]);
		if (!lines[i].text) {
			free_lines(lines, i);
			return NULL;
		}
		if (stats)
			lines[i].packets = stats[i].packets[0] + stats[i].packets[1];
	}
	return lines;
}

uint64_t *pfctl_profile(void *ctx, const struct pf_ruleset *rs)
{
	struct pf_wire_rule *stats = NULL;
	pf_ruleset_auto running = NULL;
	struct line *now = NULL, *old = NULL;
	uint64_t *weights = NULL;
	size_t n = pf_filter(rs)->n;

	if (pfctl_fetch_rules(ctx, &running, &stats)) {
		pfctl_warn("there is no profile: rules are ordered as with -o basic");
		return NULL;
	}
	old = lines_of(running, stats);
	now = lines_of(rs, NULL);
	if (old && now)
		weights = calloc(n + 1, sizeof(*weights));
	if (weights) {
		qsort(old, pf_filter(running)->n, sizeof(*old), compare);
		for (size_t i = 0; i < n; i++) {
			const struct line *l = bsearch(&now[i], old, pf_filter(running)->n,
						       sizeof(*old), compare);

			weights[i] = l ? l->packets : 0;
		}
	}
	free_lines(now, n);
	free_lines(old, running ? pf_filter(running)->n : 0);
	free(stats);
	return weights;
}
