// SPDX-License-Identifier: BSD-2-Clause
/* A frame that has gone through, as the packet that it was and the ends that it has now. */
#include <string.h>

#include "frame.h"

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void get_ip(const uint8_t *p, size_t len, struct pf_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	memcpy(ip->b, p, len);
}

/* Where the transport header is: all headers are where frame_build() has put them. */
static size_t transport_at(const struct model_packet *p)
{
	size_t l3 = 14 + 4U * p->vlans;

	if (p->af == PF_FAMILY_INET)
		return l3 + 20 + (p->options ? 4 : 0);
	return l3 + 40 + (p->options ? 8 : 0) + (p->frag ? 8 : 0);
}

static void read_quote(const uint8_t *b, struct model_packet *p)
{
	struct model_quote *q = &p->quote;
	const bool v4 = p->af == PF_FAMILY_INET;
	const size_t alen = v4 ? 4 : 16;
	const uint8_t *l4 = b + (v4 ? 20 : 40);

	get_ip(b + (v4 ? 12 : 8), alen, &q->src);
	get_ip(b + (v4 ? 12 : 8) + alen, alen, &q->dst);
	if (q->proto == MODEL_P_ICMP || q->proto == MODEL_P_ICMP6) {
		q->sum = get16(l4 + 2);
		q->icmp_id = get16(l4 + 4);
		return;
	}
	q->sport = get16(l4);
	q->dport = get16(l4 + 2);
	if (q->proto == MODEL_P_UDP)
		q->seq = (q->seq & 0xffff0000U) | get16(l4 + 6);
}

bool frame_read(const uint8_t *b, size_t n, const struct model_packet *sent,
		struct model_packet *out)
{
	const bool v4 = sent->af == PF_FAMILY_INET;
	const size_t l3 = 14 + 4U * sent->vlans, l4 = transport_at(sent), alen = v4 ? 4 : 16;
	const uint8_t *ip = b + l3 + (v4 ? 12 : 8);

	if (n < l4 + 8)
		return false;
	*out = *sent;
	get_ip(ip, alen, &out->src);
	get_ip(ip + alen, alen, &out->dst);
	if (sent->frag == MODEL_FRAG_LATER)
		return true;
	if (sent->proto == MODEL_P_TCP || sent->proto == MODEL_P_UDP) {
		out->sport = get16(b + l4);
		out->dport = get16(b + l4 + 2);
	}
	if (!model_is_icmp(sent))
		return true;
	out->icmp_id = get16(b + l4 + 4);
	if (model_icmp_role(sent->af, sent->icmp_type) != MODEL_ERROR)
		return true;
	if (n < l4 + 8 + (v4 ? 28 : 48))
		return false;
	read_quote(b + l4 + 8, out);
	return true;
}
