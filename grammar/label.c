// SPDX-License-Identifier: BSD-2-Clause
/*
 * Macros in labels and tags: $if, $srcaddr, $dstaddr, $srcport, $dstport and $proto are
 * replaced when a rule is made, $nr when the rules have their final numbers.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "label.h"
#include "names.h"
#include "parser.h"

struct text {
	char buf[4 * PF_LABEL_SIZE];
	size_t len;
	size_t numbers; /* uses of $nr */
	bool full;
};

static void put(struct text *t, const char *text, size_t n)
{
	if (n >= sizeof(t->buf) - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->buf + t->len, text, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

static void host_format(const struct pf_rule_host *h, char *buf, size_t size)
{
	const char *neg = h->neg ? "! " : "";
	char ip[PF_IP_STRLEN];

	switch (h->type) {
	case PF_HOST_TABLE:
		snprintf(buf, size, "%s<%s>", neg, h->table);
		break;
	case PF_HOST_PREFIX:
		pf_ip_format((enum pf_family)h->af, &h->ip, h->bits, ip, sizeof(ip));
		snprintf(buf, size, "%s%s", neg, ip);
		break;
	case PF_HOST_DYNAMIC:
		snprintf(buf, size, "%s(%s)", neg, h->name);
		break;
	case PF_HOST_NO_ROUTE:
		snprintf(buf, size, "%sno-route", neg);
		break;
	case PF_HOST_URPF:
		snprintf(buf, size, "%surpf-failed", neg);
		break;
	case PF_HOST_RTLABEL:
	case PF_HOST_NAME:
		snprintf(buf, size, "%s%s", neg, h->name);
		break;
	case PF_HOST_RANGE:
		pf_ip_format((enum pf_family)h->af, &h->ip, 128, ip, sizeof(ip));
		snprintf(buf, size, "%s%s-", neg, ip);
		pf_ip_format((enum pf_family)h->af, h->hi, 128, ip, sizeof(ip));
		snprintf(buf + strlen(buf), size - strlen(buf), "%s", ip);
		break;
	case PF_HOST_ANY:
		snprintf(buf, size, "%sany", neg);
		break;
	}
}

static void port_format(const struct pf_rule_port *port, char *buf, size_t size)
{
	static const char *const unary[] = {
		[PF_PORT_NE] = "!=", [PF_PORT_LT] = "<",  [PF_PORT_LE] = "<=",
		[PF_PORT_GT] = ">",  [PF_PORT_GE] = ">=",
	};

	switch (port->op) {
	case PF_PORT_ANY:
		*buf = '\0';
		break;
	case PF_PORT_EQ:
		snprintf(buf, size, "%u", port->lo);
		break;
	case PF_PORT_RANGE:
		snprintf(buf, size, "%u:%u", port->lo, port->hi);
		break;
	case PF_PORT_INSIDE:
		snprintf(buf, size, "%u><%u", port->lo, port->hi);
		break;
	case PF_PORT_OUTSIDE:
		snprintf(buf, size, "%u<>%u", port->lo, port->hi);
		break;
	default:
		snprintf(buf, size, "%s%u", unary[port->op], port->lo);
		break;
	}
}

/* The value of one of pf.conf(5)'s label macros; false if it is none. */
static bool macro(const struct pf_rule *r, const char *name, size_t len, char *buf, size_t size)
{
#define IS(text) (len == sizeof(text) - 1 && memcmp(name, text, len) == 0)
	if (IS("if")) {
		snprintf(buf, size, "%s", r->ifname ? r->ifname : "any");
	} else if (IS("proto")) {
		const char *proto = r->proto ? pf_proto_name(r->proto) : "ip";

		if (proto)
			snprintf(buf, size, "%s", proto);
		else
			snprintf(buf, size, "%u", r->proto);
	} else if (IS("srcaddr")) {
		host_format(&r->src, buf, size);
	} else if (IS("dstaddr")) {
		host_format(&r->dst, buf, size);
	} else if (IS("srcport")) {
		port_format(&r->sport, buf, size);
	} else if (IS("dstport")) {
		port_format(&r->dport, buf, size);
	} else if (IS("nr")) {
		snprintf(buf, size, "$nr");
	} else {
		return false;
	}
	return true;
#undef IS
}

static void expand(struct text *t, const char *c, const struct pf_rule *r)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz";
	char value[160];

	while (*c && !t->full) {
		size_t plain = strcspn(c, "$"), len;

		put(t, c, plain);
		c += plain;
		if (!*c)
			return;
		/* the longest name that there is: "$nrx" is the number and an x */
		len = strspn(c + 1, word);
		while (len && !macro(r, c + 1, len, value, sizeof(value)))
			len--;
		t->numbers += len == 2 && c[1] == 'n';
		put(t, len ? value : "$", len ? strlen(value) : 1);
		c += 1 + len;
	}
}

/* A name that no macro begins; what a macro's name begins may be meant so: "$nrx". */
static const char *unknown_macro(struct pf_parser *p, const char *name, size_t len)
{
	static const struct pf_rule none;
	char value[160];

	for (size_t n = len; n; n--)
		if (macro(&none, name, n, value, sizeof(value)))
			return NULL;
	return pf_stmt_strndup(p, name, len);
}

void pf_label_lint(struct pf_parser *p, const struct pf_loc *loc, const char *text,
		   const char *what)
{
	static const char *const macros[] = {"if",	"proto",   "srcaddr", "dstaddr",
					     "srcport", "dstport", "nr",      NULL};
	static const char word[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *c = p->opt->lint ? strchr(text, '$') : NULL;

	for (; c; c = strchr(c + 1, '$')) {
		size_t len = strspn(c + 1, word);
		const char *name = len && !isdigit((unsigned char)c[1])
					   ? unknown_macro(p, c + 1, len)
					   : NULL;
		const char *meant = name ? pf_suggest(name, macros) : NULL;

		if (name && pf_macro_find(p, name))
			pf_warn(p, loc, "$%s in a %s: macros are not replaced in strings", name,
				what);
		else if (name)
			pf_warn(p, loc, "$%s in a %s stands for nothing%s%s%s", name, what,
				meant ? "; did you mean $" : "", meant ? meant : "",
				meant ? "?" : "");
	}
}

const char *pf_label_expand(struct pf_parser *p, const char *text, const struct pf_rule *r,
			    size_t size, const struct pf_loc *loc, const char *what)
{
	struct text t = {.len = 0};

	expand(&t, text, r);
	/* $nr has one digit at least */
	if (!t.full && t.len < size + 2 * t.numbers)
		return pf_keep(p, t.buf);
	pf_error(p, loc, "%s is too long (at most %zu characters)", what, size - 1);
	return NULL;
}

/* --- $nr --- */

static bool has_number(const char *text)
{
	return text && strstr(text, "$nr");
}

/* The text with its number; it stays as it is if it has none. */
static int number_text(struct pf_arena *arena, const char **text, size_t nr, size_t size)
{
	const char *c = *text, *at;
	struct text t = {.len = 0};
	char number[24];

	if (!has_number(c))
		return 0;
	snprintf(number, sizeof(number), "%zu", nr);
	while ((at = strstr(c, "$nr"))) {
		put(&t, c, (size_t)(at - c));
		put(&t, number, strlen(number));
		c = at + 3;
	}
	put(&t, c, strlen(c));
	if (t.full || t.len >= size)
		return -E2BIG;
	*text = pf_arena_strdup(arena, t.buf);
	return *text ? 0 : -ENOMEM;
}

static bool ext_has_number(const struct pf_rule_ext *x)
{
	bool any = has_number(x->tag) || has_number(x->tagged);

	for (size_t i = 0; i < PF_LABELS_MOST - 1; i++)
		any |= has_number(x->labels[i]);
	return any;
}

static int number_rule(struct pf_arena *arena, struct pf_rule *r, size_t nr)
{
	int err = number_text(arena, &r->label, nr, PF_LABEL_SIZE);
	struct pf_rule_ext *x;

	if (err || !r->x || !ext_has_number(r->x))
		return err;
	/* others share it */
	x = pf_arena_alloc(arena, sizeof(*x));
	if (!x)
		return -ENOMEM;
	*x = *r->x;
	err = number_text(arena, &x->tag, nr, PF_TAG_SIZE);
	if (!err)
		err = number_text(arena, &x->tagged, nr, PF_TAG_SIZE);
	for (size_t i = 0; i < PF_LABELS_MOST - 1 && !err; i++)
		err = number_text(arena, &x->labels[i], nr, PF_LABEL_SIZE);
	r->x = x;
	return err;
}

static int number_block(struct pf_arena *arena, struct pf_block *b, const struct pf_rule **bad)
{
	for (size_t k = 0; k < PF_LIST_MAX; k++) {
		for (size_t i = 0; i < b->list[k].n; i++) {
			int err = number_rule(arena, &b->list[k].v[i], i);

			*bad = &b->list[k].v[i];
			if (err)
				return err;
		}
	}
	return 0;
}

int pf_labels_number(struct pf_ruleset *rs, const struct pf_rule **bad)
{
	int err = number_block(&rs->arena, &rs->main, bad);

	for (size_t i = 0; i < rs->nblocks && !err; i++)
		err = number_block(&rs->arena, rs->blocks[i], bad);
	return err;
}
