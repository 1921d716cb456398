// SPDX-License-Identifier: BSD-2-Clause
/* -k, -F states */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "pfctl.h"

/* What PF_REQ_KILL asks for: see proto.h. */
struct wanted {
	struct pf_wire_entry src, dst, gateway; /* af 0 any */
	uint8_t proto;
	bool ports;
	uint16_t sport, dport; /* network order */
	const char *label;
	uint64_t id;
};

static void put_host(struct pf_buf *b, const struct pf_wire_entry *e)
{
	pf_put_u8(b, e->af);
	pf_put_u8(b, e->bits);
	pf_put_u8(b, e->neg);
	pf_put(b, e->addr, sizeof(e->addr));
}

/* Adds to *killed. */
static int request(struct pfctl *c, const struct wanted *w, uint32_t *killed)
{
	pf_buf_auto b = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;

	put_host(&b, &w->src);
	put_host(&b, &w->dst);
	put_host(&b, &w->gateway);
	pf_put_u8(&b, w->proto);
	pf_put_u8(&b, w->ports);
	pf_put_u16(&b, w->sport);
	pf_put_u16(&b, w->dport);
	pf_put_string(&b, c->interface ? c->interface : "");
	pf_put_string(&b, w->label);
	pf_put_u64(&b, w->id);
	pf_put_u8(&b, c->matching);
	if (pfctl_call(c, PF_REQ_KILL, &b, NULL, NULL, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	*killed += pf_get_u32(&cur);
	return 0;
}

int pfctl_flush_states(struct pfctl *c)
{
	const struct wanted all = {.label = NULL};
	uint32_t killed = 0;

	if (request(c, &all, &killed))
		return 1;
	pfctl_say(c, "%u states cleared", killed);
	return 0;
}

/* --- by rule, id and key --- */

static int parse_label(const char *text, struct wanted *w)
{
	if (strlen(text) >= PF_LABEL_SIZE) {
		pfctl_warn("label too long, max %d characters", PF_LABEL_SIZE - 1);
		return 1;
	}
	w->label = text;
	return 0;
}

/* Hexadecimal digits, up to `end`. */
static bool parse_hex(const char *text, const char *end, uint64_t most, uint64_t *out)
{
	char *stop;

	if (strspn(text, "0123456789abcdefABCDEF") != (size_t)(end - text) || text == end)
		return false;
	errno = 0;
	*out = strtoull(text, &stop, 16);
	return !errno && *out <= most;
}

/* ID[/CREATOR]: all states are ours, whose creator is 0. */
static int parse_id(const char *text, struct wanted *w, bool *none)
{
	size_t len = strcspn(text, "/");
	uint64_t creator = 0;

	if (!parse_hex(text, text + len, UINT64_MAX, &w->id) ||
	    (text[len] && !parse_hex(text + len + 1, strchr(text, '\0'), UINT32_MAX, &creator))) {
		pfctl_warn("wrong id format specified");
		return 1;
	}
	if (!w->id) {
		pfctl_warn("cannot kill id 0");
		return 1;
	}
	*none = creator != 0;
	return 0;
}

/* "192.0.2.1:80", "2001:db8::1[80]", or either without a port, as -s states shows them. */
static bool parse_end(const char *text, struct pf_wire_entry *e, uint16_t *port)
{
	char buf[PF_IP_STRLEN + 8], *sep, *end;
	enum pf_family af = PF_FAMILY_ANY, only = PF_FAMILY_ANY;
	unsigned long n = 0;
	struct pf_ip ip;

	if (strlen(text) >= sizeof(buf))
		return false;
	memcpy(buf, text, strlen(text) + 1);
	sep = strchr(buf, '[');
	if (!sep && strchr(buf, ':') == strrchr(buf, ':'))
		sep = strchr(buf, ':');
	if (sep) {
		const char *close = *sep == '[' ? "]" : "";

		only = *sep == '[' ? PF_FAMILY_INET6 : PF_FAMILY_INET;
		*sep++ = '\0';
		n = strtoul(sep, &end, 10);
		if (*sep < '0' || *sep > '9' || strcmp(end, close) != 0 || n > UINT16_MAX)
			return false;
	}
	if (!pf_ip_parse(buf, &af, &ip) || (only != PF_FAMILY_ANY && af != only))
		return false;
	*e = (struct pf_wire_entry){.af = (uint8_t)af, .bits = (uint8_t)pf_family_bits(af)};
	memcpy(e->addr, ip.b, sizeof(e->addr));
	*port = htons((uint16_t)n);
	return true;
}

static int parse_proto(const char *text, uint8_t *out)
{
	int proto = pf_proto_by_name(text);
	char *end;

	if (proto <= 0 && *text >= '0' && *text <= '9') {
		proto = (int)strtol(text, &end, 10);
		if (*end)
			proto = 0;
	}
	if (proto <= 0 || proto > UINT8_MAX) {
		pfctl_warn("invalid protocol: %s", text);
		return 1;
	}
	*out = (uint8_t)proto;
	return 0;
}

/* "tcp host1:port1 -> host2:port2": whichever way it points, the arrow is the first packet's. */
static int parse_key(const char *text, struct wanted *w)
{
	char copy[256], *word[4], *save = NULL;
	const char *src, *dst;
	size_t n = 0;
	bool out;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok_r(copy, " \t", &save); p; p = strtok_r(NULL, " \t", &save)) {
		if (n < 4)
			word[n] = p;
		n++;
	}
	if (n != 4 || strlen(text) >= sizeof(copy)) {
		pfctl_warn("key must be \"protocol host1:port1 direction host2:port2\" format");
		return 1;
	}
	if (parse_proto(word[0], &w->proto))
		return 1;
	out = strcmp(word[2], "->") == 0;
	if (!out && strcmp(word[2], "<-") != 0) {
		pfctl_warn("invalid direction: %s", word[2]);
		return 1;
	}
	src = word[out ? 1 : 3];
	dst = word[out ? 3 : 1];
	w->ports = true;
	if (!parse_end(src, &w->src, &w->sport)) {
		pfctl_warn("invalid host: %s", src);
		return 1;
	}
	if (!parse_end(dst, &w->dst, &w->dport) || w->dst.af != w->src.af) {
		pfctl_warn("invalid host: %s", dst);
		return 1;
	}
	return 0;
}

/* --- by host --- */

static int kill_hosts(struct pfctl *c, const char *from, const char *to)
{
	struct pf_address_list src = {.no_dns = c->no_dns}, dst = {.no_dns = c->no_dns};
	size_t ndst = 0;
	uint32_t killed = 0;
	int status = pfctl_address_add(&src, from);

	if (!status && to)
		status = pfctl_address_add(&dst, to);
	for (size_t i = 0; i < src.n && !status; i++) {
		struct wanted w = {.src = src.entry[i]};

		if (!to)
			status = request(c, &w, &killed);
		/* a name may have addresses of both families: only equal ones meet */
		ndst = 0;
		for (size_t j = 0; j < dst.n && !status; j++) {
			if (src.entry[i].af != dst.entry[j].af)
				continue;
			w.dst = dst.entry[j];
			ndst++;
			status = request(c, &w, &killed);
		}
	}
	if (!status)
		pfctl_say(c, "killed %u states from %zu sources and %zu destinations", killed,
			  src.n, ndst);
	pfctl_addresses_free(&src);
	pfctl_addresses_free(&dst);
	return status;
}

static int kill_gateway(struct pfctl *c, const char *gateway)
{
	struct pf_address_list l = {.no_dns = c->no_dns};
	uint32_t killed = 0;
	int status = pfctl_address_add(&l, gateway);

	for (size_t i = 0; i < l.n && !status; i++) {
		const struct wanted w = {.gateway = l.entry[i]};

		status = request(c, &w, &killed);
	}
	if (!status)
		pfctl_say(c, "killed %u states", killed);
	pfctl_addresses_free(&l);
	return status;
}

/* --- -k --- */

/* What the first of two -k may say instead of a host. */
enum kind { HOST, LABEL, ID, KEY, GATEWAY, NAT };

static const char *const kinds[] = {
	[LABEL] = "label", [ID] = "id", [KEY] = "key", [GATEWAY] = "gateway", [NAT] = "nat",
};

static enum kind kind_of(const char *text)
{
	for (size_t i = LABEL; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return (enum kind)i;
	return HOST;
}

/* What names no hosts; *none: no state can be meant. */
static int parse(enum kind kind, const char *text, struct wanted *w, bool *none)
{
	switch (kind) {
	case LABEL:
		return parse_label(text, w);
	case ID:
		return parse_id(text, w, none);
	case KEY:
		return parse_key(text, w);
	default:
		return 0;
	}
}

int pfctl_kill_check(const struct pfctl *c, const char *const *args, size_t nargs)
{
	const struct pf_address_list hosts = {.no_dns = c->no_dns};
	enum kind kind = nargs ? kind_of(args[0]) : HOST;
	struct wanted w = {.label = NULL};
	bool none;

	if (kind == HOST)
		return pfctl_addresses_check(&hosts, args, nargs);
	if (nargs != 2 || !*args[1]) {
		pfctl_warn("no %s specified", kinds[kind]);
		return 1;
	}
	if (kind == GATEWAY || kind == NAT)
		return pfctl_addresses_check(&hosts, args + 1, 1);
	return parse(kind, args[1], &w, &none);
}

int pfctl_kill(struct pfctl *c, const char *const *args, size_t nargs)
{
	enum kind kind = kind_of(args[0]);
	struct wanted w = {.label = NULL};
	bool none = false;
	uint32_t killed = 0;

	switch (kind) {
	case HOST:
		return kill_hosts(c, args[0], nargs > 1 ? args[1] : NULL);
	case NAT: /* FreeBSD's: here -k always means the addresses before translation */
		return kill_hosts(c, args[1], NULL);
	case GATEWAY:
		return kill_gateway(c, args[1]);
	default:
		break;
	}
	if (parse(kind, args[1], &w, &none) || (!none && request(c, &w, &killed)))
		return 1;
	pfctl_say(c, "killed %u states", killed);
	return 0;
}
