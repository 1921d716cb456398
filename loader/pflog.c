// SPDX-License-Identifier: BSD-2-Clause
#include "pflog.h"

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pcapfile.h"

#define RING_PAGES	 64
/* A wake-up costs more than a record: one for many, and a timer for the rest. */
#define WAKE_RECORDS	 64
#define POLL_MS		 100

/* OpenBSD's numbers: readers on other systems know these. */
#define OPENBSD_AF_INET	 2
#define OPENBSD_AF_INET6 24

/* net/if_pflog.h of OpenBSD; all numbers big-endian. */
struct pfloghdr {
	uint8_t length;
	uint8_t af;
	uint8_t action;
	uint8_t reason;
	char ifname[16];
	char ruleset[16];
	uint32_t rulenr;
	uint32_t subrulenr;
	uint32_t uid;
	int32_t pid;
	uint32_t rule_uid;
	int32_t rule_pid;
	uint8_t dir;
	uint8_t rewritten;
	uint8_t naf;
	uint8_t pad;
	uint8_t saddr[16];
	uint8_t daddr[16];
	uint16_t sport;
	uint16_t dport;
};
static_assert(sizeof(struct pfloghdr) == 100, "as tcpdump reads it");

static void open_file(struct pf_pflog *l)
{
	char err[300];

	l->file = pf_pcapfile_open(l->path, err, sizeof(err));
	if (!l->file)
		pf_say(LOG_ERR, "no log is written: %s", err);
}

void pf_pflog_reopen(struct pf_pflog *l)
{
	pf_pcapfile_close(l->file);
	open_file(l);
}

/* Monotonic nanoseconds to the time of day. */
static struct timeval wall_clock(uint64_t mono)
{
	struct timespec m, r;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_REALTIME, &r);
	ns = (int64_t)r.tv_sec * 1000000000 + r.tv_nsec -
	     ((int64_t)m.tv_sec * 1000000000 + m.tv_nsec) + (int64_t)mono;
	return (struct timeval){.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};
}

static void fill_header(const struct pf_pflog *l, const struct pf_log_rec *r, struct pfloghdr *h)
{
	const struct pf_netif *i = pf_netif_by_index(l->ifs, (int)r->ifindex);

	memset(h, 0, sizeof(*h));
	h->length = sizeof(*h);
	h->af = h->naf = r->af == PF_AF_INET6 ? OPENBSD_AF_INET6 : OPENBSD_AF_INET;
	h->action = r->action;
	h->reason = r->reason;
	snprintf(h->ifname, sizeof(h->ifname), "%s", i ? i->name : "?");
	/* of a rule in an anchor the anchor's own comes first */
	h->rulenr = htonl(r->anchor_nr == UINT32_MAX ? r->rule_nr : r->anchor_nr);
	h->subrulenr = htonl(r->anchor_nr == UINT32_MAX ? UINT32_MAX : r->rule_nr);
	if (r->anchor_nr != UINT32_MAX && l->path_of)
		snprintf(h->ruleset, sizeof(h->ruleset), "%s", l->path_of(l->ctx, r->rule_id));
	h->uid = h->rule_uid = htonl(UINT32_MAX);
	h->pid = h->rule_pid = (int32_t)htonl(UINT32_MAX);
	h->dir = r->dir;
	h->sport = r->sport;
	h->dport = r->dport;
}

static void put_addresses(const struct pf_log_rec *r, const uint8_t *ip, uint32_t len,
			  struct pfloghdr *h)
{
	if (r->af == PF_AF_INET && len >= 20) {
		memcpy(h->saddr, ip + 12, 4);
		memcpy(h->daddr, ip + 16, 4);
	} else if (r->af == PF_AF_INET6 && len >= 40) {
		memcpy(h->saddr, ip + 8, 16);
		memcpy(h->daddr, ip + 24, 16);
	}
}

static void record(struct pf_pflog *l, const void *data, uint32_t size)
{
	struct {
		struct pfloghdr h;
		uint8_t packet[PF_LOG_SNAPLEN];
	} out;
	struct pf_log_rec r;
	const uint8_t *frame = (const uint8_t *)data + sizeof(r);
	uint32_t len;

	if (size < sizeof(r))
		return;
	memcpy(&r, data, sizeof(r));
	/* the ring rounds up: caplen is what counts */
	if (r.caplen > size - sizeof(r) || r.l3 > r.caplen || r.caplen > PF_LOG_SNAPLEN)
		return;
	len = r.caplen - r.l3;
	if (r.len && r.len < len)
		len = r.len; /* padding of short frames */
	fill_header(l, &r, &out.h);
	put_addresses(&r, frame + r.l3, len, &out.h);
	memcpy(out.packet, frame + r.l3, len);
	l->written++;
	if (!l->file)
		return;
	pf_pcapfile_write(l->file, wall_clock(r.time), &out, (uint32_t)sizeof(out.h) + len,
			  (uint32_t)sizeof(out.h) + (r.len ? r.len : len));
	l->dirty = true;
}

/* What debugging brings: not for the file. */
static void note(struct pf_pflog *l, const void *data, uint32_t size)
{
	struct timespec now;
	struct pf_note n;

	if (size < sizeof(n))
		return;
	memcpy(&n, data, sizeof(n));
	clock_gettime(CLOCK_MONOTONIC, &now);
	pf_note_say(&l->notes, &n, l->number_of ? l->number_of(l->ctx, n.state.rule) : UINT32_MAX,
		    (uint64_t)now.tv_sec);
}

static enum bpf_perf_event_ret event(void *ctx, int cpu, struct perf_event_header *hdr)
{
	struct pf_pflog *l = ctx;

	(void)cpu;
	if (hdr->type == PERF_RECORD_SAMPLE) {
		const struct {
			struct perf_event_header h;
			uint32_t size;
			uint8_t data[];
		} *s = (const void *)hdr;
		uint32_t kind;

		if (s->size < sizeof(kind))
			return LIBBPF_PERF_EVENT_CONT;
		memcpy(&kind, s->data, sizeof(kind));
		if (kind == PF_LOG_NOTE)
			note(l, s->data, s->size);
		else
			record(l, s->data, s->size);
	}
	/* the datapath counts those that find no room: what the ring says of them adds nothing */
	return LIBBPF_PERF_EVENT_CONT;
}

void pf_pflog_drain(struct pf_pflog *l)
{
	int err = 0;

	perf_buffer__consume(l->rings);
	if (l->dirty)
		err = pf_pcapfile_flush(l->file);
	/* once, not ten times a second */
	if (err && err != l->error)
		pf_say(LOG_ERR, "%s: %s: records are lost", l->path, strerror(-err));
	if (l->dirty)
		l->error = err;
	l->dirty = false;
}

static void ring_ready(void *ctx, uint32_t events)
{
	(void)events;
	pf_pflog_drain(ctx);
}

static void timer_fire(void *ctx)
{
	pf_pflog_drain(ctx);
}

static int open_rings(struct pf_pflog *l)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.wakeup_events = WAKE_RECORDS,
	};
	LIBBPF_OPTS(perf_buffer_raw_opts, opts);

	l->rings = perf_buffer__new_raw(l->map_fd, RING_PAGES, &attr, event, l, &opts);
	return l->rings ? 0 : -errno;
}

int pf_pflog_open(struct pf_pflog *l, const struct pf_datapath *dp, const struct pf_netifs *ifs,
		  struct pf_loop *loop, const char *path, struct pf_error_text *e)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->source.fd = l->timer.source.fd = -1;
	l->ifs = ifs;
	snprintf(l->path, sizeof(l->path), "%s", path);
	open_file(l);
	/* a descriptor of our own: the datapath may be exchanged for a larger one */
	l->map_fd = fcntl(pf_datapath_map(dp, "pf_log"), F_DUPFD_CLOEXEC, 0);
	err = l->map_fd < 0 ? -errno : open_rings(l);
	if (err)
		return pf_fail(e, err, "cannot open the log's rings: %s", strerror(-err));
	l->source.fd = perf_buffer__epoll_fd(l->rings);
	l->source.ready = ring_ready;
	l->source.ctx = l;
	err = pf_loop_add(loop, &l->source, EPOLLIN);
	if (!err)
		err = pf_timer_init(loop, &l->timer, timer_fire, l);
	if (!err)
		err = pf_timer_every(&l->timer, POLL_MS);
	return err ? pf_fail(e, err, "epoll: %s", strerror(-err)) : 0;
}

void pf_pflog_close(struct pf_pflog *l, struct pf_loop *loop)
{
	if (l->rings)
		pf_pflog_drain(l);
	pf_timer_close(loop, &l->timer);
	pf_loop_remove(loop, &l->source);
	perf_buffer__free(l->rings);
	if (l->map_fd > 0)
		close(l->map_fd);
	pf_pcapfile_close(l->file);
	memset(l, 0, sizeof(*l));
	l->source.fd = l->timer.source.fd = -1;
}
