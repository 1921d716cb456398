// SPDX-License-Identifier: BSD-2-Clause
/* Addresses as arguments and in files. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../grammar/addr.h"
#include "../grammar/ifdb.h"
#include "pfctl.h"

void pfctl_addresses_free(struct pf_address_list *l)
{
	free(l->entry);
	pf_ifdb_free(l->ifdb);
	memset(l, 0, sizeof(*l));
}

static int put(struct pf_address_list *l, enum pf_family af, const struct pf_ip *ip,
	       unsigned int bits, bool neg)
{
	struct pf_ip masked = *ip;

	if (l->n == l->capacity) {
		size_t want = l->capacity ? l->capacity * 2 : 16;
		struct pf_wire_entry *more = reallocarray(l->entry, want, sizeof(*more));

		if (!more) {
			pfctl_warn("out of memory");
			return 1;
		}
		l->entry = more;
		l->capacity = want;
	}
	pf_ip_mask(&masked, bits);
	l->entry[l->n] =
		(struct pf_wire_entry){.af = (uint8_t)af, .bits = (uint8_t)bits, .neg = neg};
	memcpy(l->entry[l->n++].addr, masked.b, sizeof(masked.b));
	return 0;
}

/* --- interfaces --- */

struct if_ctx {
	struct pf_address_list *l;
	unsigned int modifiers;
	long long bits;
	bool neg, any;
	int status;
};

static void put_ifaddr(void *ctx, const struct pf_ifaddr *a)
{
	struct if_ctx *c = ctx;
	unsigned int bits;
	struct pf_ip ip;

	if (!pf_ifaddr_pick(a, c->modifiers, c->bits, &ip, &bits) || c->status)
		return;
	c->any = true;
	c->status = put(c->l, (enum pf_family)a->af, &ip, bits, c->neg);
}

/* "em0:network", "self": true if it was an interface, and *status is set. */
static bool interface(struct pf_address_list *l, const char *text, long long bits, bool neg,
		      int *status)
{
	struct if_ctx c = {.l = l, .bits = bits, .neg = neg};
	char name[256];
	bool self;

	snprintf(name, sizeof(name), "%s", text);
	if (!l->interfaces || !pf_if_cut_modifiers(name, &c.modifiers))
		return false;
	if (!l->ifdb)
		l->ifdb = pf_ifdb_new();
	self = strcmp(name, "self") == 0;
	if (!l->ifdb || (!self && pf_ifdb_lookup(l->ifdb, name) == PF_IF_UNKNOWN))
		return false;
	*status = 1;
	if (!pf_if_modifiers_ok(c.modifiers)) {
		pfctl_warn("%s: illegal combination of interface modifiers", text);
		return true;
	}
	if (c.modifiers & (PF_HOST_NETWORK | PF_HOST_BROADCAST) && bits >= 0) {
		pfctl_warn("%s has its prefix length from the interface", text);
		return true;
	}
	pf_ifdb_addrs(l->ifdb, self ? NULL : name, c.modifiers, put_ifaddr, &c);
	if (!c.any)
		pfctl_warn("interface %s has no such address", text);
	*status = !c.any || c.status;
	return true;
}

/* --- names --- */

static int resolve(struct pf_address_list *l, const char *name, bool neg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
				       .ai_socktype = SOCK_STREAM,
				       .ai_flags = l->no_dns ? AI_NUMERICHOST : 0};
	struct addrinfo *res = NULL;
	struct in_addr odd;
	int err, status = 0;

	/* the resolver takes 10.1, 0x7f000001 and 010.0.0.1 for addresses: pf does not */
	if (inet_aton(name, &odd)) {
		pfctl_warn("%s is not an address", name);
		return 1;
	}
	err = getaddrinfo(name, NULL, &hints, &res);
	if (err) {
		pfctl_warn("%s: %s", name, gai_strerror(err));
		return 1;
	}
	for (struct addrinfo *a = res; a && !status; a = a->ai_next) {
		struct pf_ip ip = {0};

		if (a->ai_family == AF_INET) {
			memcpy(ip.b,
			       &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr,
			       4);
			status = put(l, PF_FAMILY_INET, &ip, 32, neg);
		} else if (a->ai_family == AF_INET6) {
			memcpy(ip.b,
			       &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr,
			       16);
			status = put(l, PF_FAMILY_INET6, &ip, 128, neg);
		}
	}
	freeaddrinfo(res);
	return status;
}

int pfctl_address_add(struct pf_address_list *l, const char *text)
{
	enum pf_family af = PF_FAMILY_INET;
	char buf[256], *slash, *end;
	unsigned long bits = 0;
	struct pf_ip ip;
	bool neg = *text == '!';
	int status = 0;

	text += neg;
	while (*text == ' ')
		text++;
	snprintf(buf, sizeof(buf), "%s", text);
	if (strchr(buf, '%')) {
		pfctl_warn("a scoped address (%s) is not supported yet", buf);
		return 1;
	}
	slash = strchr(buf, '/');
	if (slash) {
		*slash++ = '\0';
		bits = strtoul(slash, &end, 10);
		if (!*slash || *end) {
			pfctl_warn("%s: the prefix length is no number", text);
			return 1;
		}
	}
	if (!pf_ip_parse(buf, &af, &ip) && !(slash && pf_ip_parse_short(buf, &ip))) {
		if (bits <= 128 && interface(l, buf, slash ? (long long)bits : -1, neg, &status))
			return status;
		if (!slash)
			return resolve(l, buf, neg);
		pfctl_warn("%s is not an address", text);
		return 1;
	}
	if (!slash)
		bits = pf_family_bits(af);
	if (bits > pf_family_bits(af)) {
		pfctl_warn("%s: the prefix length is more than %u", text, pf_family_bits(af));
		return 1;
	}
	return put(l, af, &ip, (unsigned int)bits, neg);
}

int pfctl_addresses_check(const struct pf_address_list *how, const char *const *args, size_t n)
{
	struct pf_address_list l = *how;
	int status = 0;

	for (size_t i = 0; i < n && !status; i++)
		status = pfctl_address_add(&l, args[i]);
	pfctl_addresses_free(&l);
	return status;
}

int pfctl_addresses_read(struct pf_address_list *l, const char *file)
{
	FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	if (!f) {
		pfctl_warn("%s: %s", file, strerror(errno));
		return 1;
	}
	while (!status && getline(&line, &size, f) >= 0) {
		char *save = NULL, *word;

		line[strcspn(line, "#;\n")] = '\0';
		for (word = strtok_r(line, " \t\r", &save); word && !status;
		     word = strtok_r(NULL, " \t\r", &save)) {
			char both[300];

			/* "! 192.0.2.1" is one address */
			if (strcmp(word, "!") == 0) {
				char *next = strtok_r(NULL, " \t\r", &save);

				snprintf(both, sizeof(both), "!%s", next ? next : "");
				word = both;
			}
			status = pfctl_address_add(l, word);
		}
	}
	if (!status && ferror(f)) {
		pfctl_warn("%s: %s", file, strerror(errno));
		status = 1;
	}
	free(line);
	if (f != stdin)
		fclose(f);
	return status;
}

int pfctl_address_compare(const void *a, const void *b)
{
	const struct pf_wire_entry *x = a, *y = b;
	int d = x->af - y->af;

	if (!d)
		d = memcmp(x->addr, y->addr, sizeof(x->addr));
	return d ? d : x->bits - y->bits;
}

void pfctl_addresses_sort(struct pf_address_list *l)
{
	if (l->n)
		qsort(l->entry, l->n, sizeof(*l->entry), pfctl_address_compare);
}

const char *pfctl_address_text(const struct pf_wire_entry *e)
{
	static char text[1 + PF_IP_STRLEN];
	struct pf_ip ip;

	*text = e->neg ? '!' : ' ';
	memcpy(ip.b, e->addr, sizeof(ip.b));
	pf_ip_format((enum pf_family)e->af, &ip, e->bits, text + 1, sizeof(text) - 1);
	return text;
}
