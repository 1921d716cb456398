// SPDX-License-Identifier: BSD-2-Clause
/* FreeBSD's rules for Ethernet frames. */
#include "printer.h"
#include "words.h"

enum { MAC_BITS = 48 };

/* The length of a mask that is a run of ones; negative if it is none. */
static int mask_length(const uint8_t mask[6])
{
	uint64_t bits = 0;
	int n = 0;

	for (int i = 0; i < 6; i++)
		bits = bits << 8 | mask[i];
	while (n < MAC_BITS && bits >> (MAC_BITS - 1 - n) & 1)
		n++;
	return bits & ((1ULL << (MAC_BITS - n)) - 1) ? -1 : n;
}

static void print_six(FILE *f, const uint8_t b[6])
{
	for (int i = 0; i < 6; i++)
		fprintf(f, "%s%02x", i ? ":" : "", b[i]);
}

static void print_mac(FILE *f, const char *key, const struct pf_mac *m)
{
	int length;

	if (!m->given)
		return;
	length = mask_length(m->mask);
	fprintf(f, " %s %s", key, m->neg ? "! " : "");
	print_six(f, m->addr);
	if (length < 0) {
		fputc('&', f);
		print_six(f, m->mask);
	} else if (length < MAC_BITS) {
		fprintf(f, "/%d", length);
	}
}

static void print_l3_host(FILE *f, const struct pf_rule_host *h, bool neg, enum pf_family af)
{
	if (neg && !h->neg)
		fputs("! ", f);
	pf_print_host(f, h, af);
}

static void print_l3(FILE *f, const struct pf_ether_rule *r)
{
	enum pf_family af = (enum pf_family)r->af;

	if (r->l3_src.type == PF_HOST_ANY && r->l3_dst.type == PF_HOST_ANY && !r->l3_src.neg &&
	    !r->l3_dst.neg && !r->l3_not_src && !r->l3_not_dst) {
		fputs(" l3 all", f);
		return;
	}
	fputs(" l3 from ", f);
	print_l3_host(f, &r->l3_src, r->l3_not_src, af);
	fputs(" to ", f);
	print_l3_host(f, &r->l3_dst, r->l3_not_dst, af);
}

static void print_options(FILE *f, const struct pf_ether_rule *r)
{
	for (int i = 0; i < PF_LABELS_MOST; i++)
		if (r->labels[i])
			pf_print_label(f, r->labels[i]);
	if (r->ridentifier)
		fprintf(f, " ridentifier %u", r->ridentifier);
	if (r->queue) {
		fputs(" queue ", f);
		pf_word_print(f, r->queue);
	}
	pf_print_tags(f, r->tag, r->tagged_not, r->tagged);
	if (r->dn_given)
		fprintf(f, " %s %u", r->dn_queue ? "dnqueue" : "dnpipe", r->dn);
}

void pf_print_ether(FILE *f, const struct pf_ether_rule *r, size_t nr, unsigned int flags,
		    unsigned int depth)
{
	static const char *const dirs[] = {"", " in", " out"};

	pf_print_margin(f, nr, flags, depth);
	if (r->anchor) {
		fputs("ether anchor", f);
		if (r->anchor->path) {
			fputc(' ', f);
			pf_word_print_quoted(f, r->anchor->path);
		}
	} else {
		fprintf(f, "ether %s", r->action == PF_RULE_ACTION_BLOCK ? "block" : "pass");
	}
	fputs(dirs[r->dir], f);
	if (r->quick)
		fputs(" quick", f);
	if (r->ifname) {
		fputs(r->ifnot ? " on ! " : " on ", f);
		pf_print_ifname(f, r->ifname);
	}
	if (r->bridge_to) {
		fputs(" bridge-to ", f);
		pf_print_ifname(f, r->bridge_to);
	}
	if (r->proto)
		fprintf(f, " proto 0x%04x", r->proto);
	print_mac(f, "from", &r->src);
	print_mac(f, "to", &r->dst);
	print_l3(f, r);
	print_options(f, r);
	pf_print_anchor_end(f, r->anchor, flags, depth);
}

void pf_ether_rule_print(FILE *f, const struct pf_ether_rule *r, size_t nr, unsigned int flags)
{
	pf_print_ether(f, r, nr, flags, 0);
}
