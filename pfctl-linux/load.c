// SPDX-License-Identifier: BSD-2-Clause
/* -f, -n, -e, -d, -x, -F, -z, --confirmed: what changes the firewall. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "../grammar/print.h"
#include "../lib/model.h"
#include "pfctl.h"

static unsigned int print_flags(const struct pfctl *c)
{
	return (c->verbose > 1 ? PF_PRINT_NUMBER : 0U) | (c->port_names ? PF_PRINT_PORT_NAMES : 0U);
}

static uint64_t get_ticket(const struct pf_buf *b)
{
	struct pf_cursor c = pf_cursor_of(b->data, b->len);

	return pf_get_u64(&c);
}

/* The model in pieces that fit. */
static int send_model(struct pfctl *c, uint64_t ticket, const struct pf_buf *model)
{
	const size_t most = PF_FRAME_MOST - sizeof(ticket);

	for (size_t at = 0; at < model->len; at += most) {
		size_t n = model->len - at < most ? model->len - at : most;
		pf_buf_auto b = {0};

		pf_put_u64(&b, ticket);
		pf_put(&b, model->data + at, n);
		if (pfctl_call(c, PF_REQ_LOAD_DATA, &b, NULL, NULL, NULL))
			return 1;
	}
	return 0;
}

static int send_ruleset(struct pfctl *c, const struct pf_ruleset *rs, unsigned int confirm)
{
	pf_buf_auto model = {0};
	pf_buf_auto begin = {0};
	pf_buf_auto commit = {0};
	pf_buf_auto answer = {0};
	struct pf_cursor cur;
	uint32_t adopted, room, skipped;

	pf_model_encode(rs, &model);
	if (model.failed) {
		pfctl_warn("out of memory");
		return 1;
	}
	if (pfctl_call(c, PF_REQ_LOAD_BEGIN, NULL, NULL, NULL, &begin))
		return 1;
	if (send_model(c, get_ticket(&begin), &model))
		return 1;
	pf_put_u64(&commit, get_ticket(&begin));
	pf_put_u32(&commit, confirm);
	pf_put_string(&commit, c->anchor ? c->anchor : "");
	if (pfctl_call(c, PF_REQ_LOAD_COMMIT, &commit, NULL, NULL, &answer))
		return 1;
	cur = pf_cursor_of(answer.data, answer.len);
	adopted = pf_get_u32(&cur);
	room = pf_get_u32(&cur);
	skipped = pf_get_u32(&cur);
	if (room)
		pfctl_warn("warning: there is memory for %u states only, not for the limit of %u",
			   room, rs->options.limit[PF_LIMIT_STATES]);
	if (adopted && c->verbose)
		pfctl_say(c, "%u connections that existed already were taken in", adopted);
	if (skipped && c->verbose)
		pfctl_say(c, "%u connections of netfilter's could not be taken in", skipped);
	if (confirm)
		pfctl_say(c,
			  "these rules go away in %u seconds, unless you say: "
			  "pfctl-linux --confirmed",
			  confirm);
	return 0;
}

/* One line for all errors; one that is in another file is named. */
static int summary(const char *name, const struct pf_parse_result *result)
{
	pfctl_warn("%u error%s in %s: rules not loaded%s%s", result->errors,
		   result->errors == 1 ? "" : "s", name,
		   *result->elsewhere ? "; the first in another file: " : "", result->elsewhere);
	return 1;
}

static int put_in_force(struct pfctl *c, const struct pf_ruleset *rs, unsigned int confirm)
{
	fflush(stdout);
	if (send_ruleset(c, rs, confirm))
		return 1;
	/* options are the main ruleset's, as pfctl(8) says of -a */
	if (!rs->options.debug_given || (c->anchor && *c->anchor))
		return 0;
	return pfctl_debug(c, rs->options.debug);
}

int pfctl_load(struct pfctl *c, const char *file, unsigned int confirm)
{
	const struct pf_parse_options opt = {
		.name = strcmp(file, "-") == 0 ? "stdin" : file,
		.anchor = c->anchor,
		.defines = c->defines,
		.ndefines = c->ndefines,
		.enforce = !c->no_action,
		.offline = c->offline,
		.lint = c->verbose || c->lint,
		.lint_interfaces = c->lint,
		.no_dns = c->no_dns,
		.optimize = c->optimize,
		/* there may be no pfd to ask */
		.weights = c->offline ? NULL : pfctl_profile,
		.weights_ctx = c,
	};
	pf_ruleset_auto rs = NULL;
	struct pf_parse_result result;
	int err = pf_parse_file(file, &opt, &rs, &result);

	if (err == -EINVAL && result.errors)
		return summary(opt.name, &result);
	if (err == -EFBIG) {
		pfctl_warn("%s: larger than %zu MB", opt.name, PF_FILES_LARGEST >> 20);
		return 1;
	}
	if (err) {
		pfctl_warn("%s: %s", opt.name, strerror(-err));
		return 1;
	}
	if (c->verbose)
		pf_ruleset_print(stdout, rs, print_flags(c));
	if (c->no_action)
		return 0;
	if (put_in_force(c, rs, confirm)) {
		pfctl_warn("%s: rules not loaded", opt.name);
		return 1;
	}
	return 0;
}

int pfctl_confirmed(struct pfctl *c)
{
	if (pfctl_call(c, PF_REQ_CONFIRM, NULL, NULL, NULL, NULL))
		return 1;
	pfctl_say(c, "rules confirmed");
	return 0;
}

int pfctl_enable(struct pfctl *c, bool on)
{
	if (pfctl_call(c, on ? PF_REQ_ENABLE : PF_REQ_DISABLE, NULL, NULL, NULL, NULL))
		return 1;
	pfctl_say(c, "pf %s", on ? "enabled" : "disabled");
	return 0;
}

/* syslog's levels, and the names that FreeBSD's pfctl has for some. */
static const struct {
	const char *name;
	int level;
	bool whole; /* may not be abbreviated */
} levels[] = {
	{"emerg", LOG_EMERG, false},   {"alert", LOG_ALERT, false}, {"crit", LOG_CRIT, false},
	{"err", LOG_ERR, false},       {"error", LOG_ERR, false},   {"warning", LOG_WARNING, false},
	{"notice", LOG_NOTICE, false}, {"info", LOG_INFO, false},   {"debug", LOG_DEBUG, false},
	{"none", LOG_EMERG, true},     {"urgent", LOG_ERR, true},   {"misc", LOG_NOTICE, true},
	{"loud", LOG_DEBUG, true},
};

const char *pfctl_level_name(unsigned int level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if ((unsigned int)levels[i].level == level)
			return levels[i].name;
	return NULL;
}

int pfctl_level(const char *name)
{
	size_t len = strlen(name);
	int found = -1;

	for (size_t i = 0; len && i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strncmp(levels[i].name, name, len + levels[i].whole) != 0)
			continue;
		if (found >= 0 && found != levels[i].level) {
			pfctl_warn("debug level '%s' is ambiguous", name);
			return -1;
		}
		found = levels[i].level;
	}
	if (found < 0)
		pfctl_warn("unknown debug level '%s'", name);
	return found;
}

int pfctl_debug(struct pfctl *c, int level)
{
	pf_buf_auto b = {0};

	pf_put_u32(&b, (uint32_t)level);
	if (pfctl_call(c, PF_REQ_DEBUG, &b, NULL, NULL, NULL))
		return 1;
	pfctl_say(c, "debug level set to '%s'", pfctl_level_name((unsigned int)level));
	return 0;
}

int pfctl_clear_rule_counters(struct pfctl *c)
{
	return pfctl_call(c, PF_REQ_CLEAR_RULES, NULL, NULL, NULL, NULL);
}

/* --- -F --- */

static uint32_t answer_u32(const struct pf_buf *b)
{
	struct pf_cursor c = pf_cursor_of(b->data, b->len);

	return pf_get_u32(&c);
}

static int flush_path(struct pfctl *c, const char *path)
{
	pf_buf_auto b = {0};

	pf_put_string(&b, path);
	return pfctl_call(c, PF_REQ_FLUSH_RULES, &b, NULL, NULL, NULL);
}

/* All anchors below one; those without a name go with the ruleset that they are in. */
static int flush_below(struct pfctl *c, const char *path)
{
	struct pfctl_anchors l = {0};
	size_t len = strlen(path);
	int status = pfctl_anchors(c, &l);

	for (size_t i = 0; i < l.n && !status; i++) {
		if (strncmp(l.path[i], path, len) != 0 || (len && l.path[i][len] != '/') ||
		    *l.path[i] == '_' || strstr(l.path[i], "/_"))
			continue;
		status = flush_path(c, l.path[i]);
	}
	pfctl_anchors_free(&l);
	return status;
}

static int flush_rules(struct pfctl *c)
{
	const char *path = c->anchor ? c->anchor : "";

	if (c->recurse && flush_below(c, path))
		return 1;
	if ((!c->recurse || !*path || pfctl_anchor_exists(c, path)) && flush_path(c, path))
		return 1;
	pfctl_say(c, "rules cleared");
	return 0;
}

static int flush_info(struct pfctl *c)
{
	if (pfctl_call(c, PF_REQ_CLEAR_STATUS, NULL, NULL, NULL, NULL))
		return 1;
	pfctl_say(c, "pf: statistics cleared");
	return 0;
}

static int flush_tables(struct pfctl *c)
{
	pf_buf_auto ask = {0};
	pf_buf_auto b = {0};

	pf_put_string(&ask, c->anchor ? c->anchor : "");
	pf_put_u8(&ask, c->recurse);
	if (pfctl_call(c, PF_REQ_FLUSH_TABLES, &ask, NULL, NULL, &b))
		return 1;
	pfctl_say(c, "%u tables deleted.", answer_u32(&b));
	return 0;
}

static int reset(struct pfctl *c)
{
	if (pfctl_call(c, PF_REQ_RESET, NULL, NULL, NULL, NULL))
		return 1;
	pfctl_say(c, "pf: interface flags reset");
	return 0;
}

/* In the order of -F all; an anchor has the first of them alone. */
static const struct {
	const char *name;
	int (*flush)(struct pfctl *c);
	bool anchors;
} flushers[] = {
	{"Tables", flush_tables, true},	       {"rules", flush_rules, true},
	{"states", pfctl_flush_states, false}, {"Sources", pfctl_flush_sources, false},
	{"info", flush_info, false},	       {"Reset", reset, false},
};

int pfctl_flush(struct pfctl *c, const char *what)
{
	bool all = strcmp(what, "all") == 0, anchor = c->anchor && *c->anchor;

	for (size_t i = 0; i < sizeof(flushers) / sizeof(flushers[0]); i++) {
		bool wanted = strcmp(flushers[i].name, what) == 0 ||
			      (all && (!anchor || flushers[i].anchors));

		if (wanted && flushers[i].flush(c))
			return 1;
	}
	return 0;
}
