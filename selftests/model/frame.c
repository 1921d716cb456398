// SPDX-License-Identifier: BSD-2-Clause
#include "frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATER_OFFSET 100 /* of a later fragment, in units of eight bytes */

struct frame {
	uint8_t *b;
	size_t n;
};

/* Room for so many more. */
static uint8_t *take(struct frame *f, size_t n)
{
	uint8_t *p = f->b + f->n;

	if (n > FRAME_MOST - f->n)
		abort();
	f->n += n;
	return p;
}

static void put8(struct frame *f, unsigned int v)
{
	*take(f, 1) = (uint8_t)v;
}

static void put16(struct frame *f, unsigned int v)
{
	put8(f, v >> 8);
	put8(f, v);
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v);
}

static void put_bytes(struct frame *f, const void *p, size_t n)
{
	memcpy(take(f, n), p, n);
}

static void put_fill(struct frame *f, size_t n)
{
	memset(take(f, n), 'x', n);
}

static void patch16(struct frame *f, size_t at, unsigned int v)
{
	f->b[at] = (uint8_t)(v >> 8);
	f->b[at + 1] = (uint8_t)v;
}

/* --- checksums --- */

static uint32_t add_up(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	return sum;
}

static unsigned int fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static unsigned int transport_sum(const struct frame *f, const struct model_packet *p, size_t l4)
{
	size_t alen = p->af == PF_FAMILY_INET ? 4 : 16;
	uint32_t sum = (uint32_t)(f->n - l4);

	if (p->proto != MODEL_P_ICMP) {
		sum += p->proto;
		sum = add_up(p->src.b, alen, sum);
		sum = add_up(p->dst.b, alen, sum);
	} else {
		sum = 0;
	}
	return fold(add_up(f->b + l4, f->n - l4, sum));
}

/* --- transport --- */

static void put_tcp(struct frame *f, const struct model_packet *p)
{
	size_t l4 = f->n;

	put16(f, p->sport);
	put16(f, p->dport);
	put32(f, p->seq);
	put32(f, p->ack);
	put16(f, 5 << 12 | p->flags);
	put16(f, p->win);
	put32(f, 0);
	put_fill(f, p->len);
	patch16(f, l4 + 16, transport_sum(f, p, l4));
}

static void put_udp(struct frame *f, const struct model_packet *p)
{
	size_t l4 = f->n;
	unsigned int sum;

	put16(f, p->sport);
	put16(f, p->dport);
	put16(f, 8U + p->len);
	put16(f, 0);
	put_fill(f, p->len);
	if (p->no_sum)
		return;
	sum = transport_sum(f, p, l4);
	patch16(f, l4 + 6, sum ? sum : 0xffff); /* RFC 768: 0 is none */
}

/* Nobody looks at the checksum on the way. */
static void put_sctp(struct frame *f, const struct model_packet *p)
{
	put16(f, p->sport);
	put16(f, p->dport);
	put32(f, p->v_tag);
	put32(f, 0);
	for (unsigned int i = 0; i < p->nchunks; i++) {
		const uint8_t chunk = p->chunk[i];

		put8(f, chunk);
		put8(f, p->t_bit);
		if (chunk == MODEL_C_INIT || chunk == MODEL_C_INIT_ACK) {
			put16(f, 20);
			put32(f, p->init_tag);
			put32(f, 1500);
			put32(f, 0x00010001);
			put32(f, 7);
		} else if (chunk == MODEL_C_DATA) {
			put16(f, 18); /* and two of padding */
			put_fill(f, 16);
		} else {
			put16(f, 4);
		}
	}
}

static void put_quoted_ip(struct frame *f, const struct model_packet *p)
{
	const struct model_quote *q = &p->quote;
	size_t l3 = f->n;

	if (p->af == PF_FAMILY_INET) {
		put32(f, 0x45000000 | 28);
		put32(f, 0);
		put32(f, 64U << 24 | (uint32_t)q->proto << 16);
		put_bytes(f, q->src.b, 4);
		put_bytes(f, q->dst.b, 4);
		patch16(f, l3 + 10, fold(add_up(f->b + l3, 20, 0)));
		return;
	}
	put32(f, 6U << 28);
	put32(f, 8U << 16 | (uint32_t)q->proto << 8 | 64);
	put_bytes(f, q->src.b, 16);
	put_bytes(f, q->dst.b, 16);
}

static void put_quote(struct frame *f, const struct model_packet *p)
{
	const struct model_quote *q = &p->quote;

	put_quoted_ip(f, p);
	if (q->proto == MODEL_P_ICMP || q->proto == MODEL_P_ICMP6) {
		put16(f, (unsigned int)q->icmp_type << 8);
		put16(f, q->sum);
		put16(f, q->icmp_id);
		put16(f, 1);
		return;
	}
	put16(f, q->sport);
	put16(f, q->dport);
	put32(f, q->seq);
}

static void put_icmp(struct frame *f, const struct model_packet *p)
{
	size_t l4 = f->n;
	bool nd = p->proto == MODEL_P_ICMP6 &&
		  (p->icmp_type == MODEL_NS || p->icmp_type == MODEL_NA);

	put8(f, p->icmp_type);
	put8(f, p->icmp_code);
	put16(f, 0);
	put16(f, p->icmp_id);
	put16(f, 1);
	if (nd)
		put_bytes(f, p->target.b, 16);
	else if (model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR)
		put_quote(f, p);
	else
		put_fill(f, p->len);
	patch16(f, l4 + 2, transport_sum(f, p, l4));
}

static void put_payload(struct frame *f, const struct model_packet *p)
{
	size_t l4 = f->n;

	if (p->frag == MODEL_FRAG_LATER)
		put_fill(f, 32);
	else if (p->proto == MODEL_P_TCP)
		put_tcp(f, p);
	else if (p->proto == MODEL_P_UDP)
		put_udp(f, p);
	else if (p->proto == MODEL_P_SCTP)
		put_sctp(f, p);
	else if (model_is_icmp(p))
		put_icmp(f, p);
	else
		put_fill(f, 16U + p->len);
	/* more fragments: their lengths are multiples of eight */
	while (p->frag == MODEL_FRAG_FIRST && (f->n - l4) % 8)
		put8(f, 0);
}

/* --- IP --- */

static void put_ip4(struct frame *f, const struct model_packet *p)
{
	size_t l3 = f->n, hlen = p->options ? 24 : 20;

	put8(f, 0x40 | hlen / 4);
	put8(f, p->tos);
	put32(f, 0x1234);
	put16(f, p->frag == MODEL_FRAG_FIRST   ? 0x2000
		 : p->frag == MODEL_FRAG_LATER ? LATER_OFFSET
					       : 0);
	put8(f, p->ttl);
	put8(f, p->proto);
	put16(f, 0);
	put_bytes(f, p->src.b, 4);
	put_bytes(f, p->dst.b, 4);
	if (p->options)
		put32(f, 0x44040500); /* a time stamp without room */
	put_payload(f, p);
	patch16(f, l3 + 2, (unsigned int)(f->n - l3));
	patch16(f, l3 + 10, fold(add_up(f->b + l3, hlen, 0)));
}

static void put_ip6(struct frame *f, const struct model_packet *p)
{
	unsigned int next = p->frag ? 44 : p->proto;
	size_t l3 = f->n;

	put32(f, 6U << 28 | (uint32_t)p->tos << 20);
	put16(f, 0);
	put8(f, p->options ? 60 : next);
	put8(f, p->ttl);
	put_bytes(f, p->src.b, 16);
	put_bytes(f, p->dst.b, 16);
	if (p->options) {
		put16(f, next << 8);
		put16(f, 0x0104); /* padding */
		put32(f, 0);
	}
	if (p->frag) {
		put16(f, (unsigned int)p->proto << 8);
		put16(f, p->frag == MODEL_FRAG_FIRST ? 1 : LATER_OFFSET << 3);
		put32(f, 0x1234);
	}
	put_payload(f, p);
	patch16(f, l3 + 4, (unsigned int)(f->n - l3 - 40));
}

size_t frame_build(const struct model_packet *p, const uint8_t dst_mac[6], uint8_t out[FRAME_MOST])
{
	static const uint8_t src_mac[6] = {2, 0, 0, 0, 0xff, 1};
	struct frame f = {.b = out};

	put_bytes(&f, dst_mac, 6);
	put_bytes(&f, src_mac, 6);
	for (unsigned int i = p->vlans; i; i--) {
		put16(&f, i == 2 ? 0x88a8 : 0x8100);
		put16(&f, 5 + i);
	}
	put16(&f, p->af == PF_FAMILY_INET ? 0x0800 : 0x86dd);
	if (p->af == PF_FAMILY_INET)
		put_ip4(&f, p);
	else
		put_ip6(&f, p);
	return f.n;
}

/* --- for people --- */

struct text {
	char *at;
	size_t left;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->left)
		n = t->left ? (int)t->left - 1 : 0;
	t->at += n;
	t->left -= (size_t)n;
}

static void say_ip(struct text *t, const char *word, uint8_t af, const struct pf_ip *ip)
{
	char text[PF_IP_STRLEN];

	pf_ip_format((enum pf_family)af, ip, 128, text, sizeof(text));
	say(t, " %s %s", word, text);
}

static void say_icmp(struct text *t, const struct model_packet *p)
{
	const struct model_quote *q = &p->quote;

	say(t, " type %u code %u id %u", p->icmp_type, p->icmp_code, p->icmp_id);
	if (p->proto == MODEL_P_ICMP6 && (p->icmp_type == MODEL_NS || p->icmp_type == MODEL_NA))
		say_ip(t, "target", p->af, &p->target);
	if (model_icmp_role(p->af, p->icmp_type) != MODEL_ERROR)
		return;
	say(t, " quotes proto %u", q->proto);
	say_ip(t, "from", p->af, &q->src);
	say_ip(t, "to", p->af, &q->dst);
	say(t, " ports %u, %u seq %u type %u id %u", q->sport, q->dport, q->seq, q->icmp_type,
	    q->icmp_id);
}

static bool has_ports(const struct model_packet *p)
{
	return p->frag != MODEL_FRAG_LATER &&
	       (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP || p->proto == MODEL_P_SCTP);
}

static void say_sctp(struct text *t, const struct model_packet *p)
{
	say(t, " tag %u chunks", p->v_tag);
	for (unsigned int i = 0; i < p->nchunks; i++)
		say(t, " %u", p->chunk[i]);
	say(t, " init tag %u%s", p->init_tag, p->t_bit ? " with T bit" : "");
}

void frame_describe(const struct model_packet *p, char *buf, size_t size)
{
	static const char *const frags[] = {"", " first fragment", " later fragment"};
	struct text t = {buf, size};

	say(&t, "%s %s", p->dir == PF_RULE_IN ? "in" : "out", p->ifname);
	if (p->dir == PF_RULE_OUT)
		say(&t, " received-on %s", p->received ? p->received : "none");
	if (p->egress)
		say(&t, ", egress is %s,", p->egress);
	say(&t, " proto %u", p->proto);
	say_ip(&t, "from", p->af, &p->src);
	if (has_ports(p))
		say(&t, " port %u", p->sport);
	say_ip(&t, "to", p->af, &p->dst);
	if (has_ports(p))
		say(&t, " port %u", p->dport);
	if (p->frag != MODEL_FRAG_LATER && p->proto == MODEL_P_TCP)
		say(&t, " flags 0x%02x seq %u ack %u win %u", p->flags, p->seq, p->ack, p->win);
	if (p->frag != MODEL_FRAG_LATER && p->proto == MODEL_P_SCTP)
		say_sctp(&t, p);
	if (p->frag != MODEL_FRAG_LATER && model_is_icmp(p))
		say_icmp(&t, p);
	say(&t, " len %u tos 0x%02x ttl %u%s%s%s", p->len, p->tos, p->ttl, frags[p->frag],
	    p->options ? " with options" : "", p->no_sum ? " without checksum" : "");
	if (p->vlans)
		say(&t, " %u vlan tags", p->vlans);
	if (p->seed)
		say(&t, " seed %u", p->seed);
}
