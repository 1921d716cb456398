/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What queue.c and altq.c share.  "queue name ..." begins statements of two
 * languages: OpenBSD's of pf.conf(5), and ALTQ's, which FreeBSD kept.
 */
#ifndef PF_GRAMMAR_QUEUE_H
#define PF_GRAMMAR_QUEUE_H

#include "parser.h"

struct pf_bandwidth {
	struct pf_loc loc;
	uint64_t bps;
	uint8_t percent;
	bool given, in_percent;
};

/* A service curve: m1 for the first d milliseconds, then m2. */
struct pf_curve {
	struct pf_bandwidth m1, m2;
	uint32_t d; /* 0: only m2 counts */
	bool given;
};

enum pf_altq_kind { PF_ALTQ_NONE, PF_CBQ, PF_PRIQ, PF_HFSC, PF_FAIRQ, PF_CODEL, PF_ALTQ_MAX };

/* A scheduler with what stands in its parentheses. */
struct pf_altq_scheduler {
	struct pf_loc loc;
	uint8_t kind; /* enum pf_altq_kind */
	uint8_t flags;
	struct pf_curve realtime, linkshare, upperlimit;
	struct pf_bandwidth hogs;
	uint32_t buckets, target, interval; /* 0: the default */
};

/* A name in braces. */
struct pf_subqueue {
	struct pf_subqueue *next;
	struct pf_loc loc;
	const char *name;
};
typedef PF_LIST(struct pf_subqueue) pf_subqueue_list;

/* One queue or altq statement as written; where an option stood also says that it was there. */
struct pf_queue {
	struct pf_loc loc; /* of the name, or of "altq" */
	const char *name;
	pf_if_list ifs;
	unsigned int given; /* bits of the options that were */
	struct pf_loc parent_loc, priority_loc, quantum_loc;
	struct pf_curve bandwidth, min, max; /* ALTQ: bandwidth.m2 alone */
	const char *parent;
	bool is_default;
	long long qlimit, flows, quantum, priority, tbrsize;
	struct pf_altq_scheduler scheduler;
	pf_subqueue_list children;
	/* the first word that only one of the two languages has, or NULL */
	const char *new_word, *old_word;
	struct pf_loc new_loc, old_loc;
};

/* Bits of `given`. */
enum {
	PF_QUEUE_BANDWIDTH = 1 << 0,
	PF_QUEUE_PARENT = 1 << 1,
	PF_QUEUE_DEFAULT = 1 << 2,
	PF_QUEUE_QLIMIT = 1 << 3,
	PF_QUEUE_FLOWS = 1 << 4,
	PF_QUEUE_QUANTUM = 1 << 5,
	PF_QUEUE_PRIORITY = 1 << 6,
	PF_QUEUE_TBRSIZE = 1 << 7,
	PF_QUEUE_SCHEDULER = 1 << 8,
};

/* An interface with queues. */
struct pf_queue_if {
	struct pf_loc loc;
	const char *name;
	uint8_t kind;	     /* enum pf_altq_kind; NONE: OpenBSD's queues */
	uint32_t priorities; /* bits: priq's must differ */
	unsigned int defaults;
};

/* A queue on one interface. */
struct pf_queue_on {
	struct pf_queue_on *next;
	struct pf_loc loc; /* where it was listed or defined */
	struct pf_queue_if *iface;
	bool defined; /* ALTQ's are listed first */
	bool is_default;
};

static inline bool pf_queue_on_altq(const struct pf_queue_on *on)
{
	return on->iface->kind != PF_ALTQ_NONE;
}

/* --- queue.c --- */

/* Options are words with a handler, which finds the word passed; ended by NULL. */
struct pf_queue_option {
	const char *word;
	void (*handle)(struct pf_parser *p, struct pf_queue *q, const char *word,
		       const struct pf_loc *loc);
};
/* True at the statement's end, false at what is none of the options. */
bool pf_queue_options(struct pf_parser *p, const struct pf_queue_option *options,
		      struct pf_queue *q);
/* A syntax error with the options as suggestions. */
void pf_queue_syntax(struct pf_parser *p, const char *expected,
		     const struct pf_queue_option *options);
bool pf_queue_ends(const struct pf_parser *p);
/* The option was not given before. */
bool pf_queue_once(struct pf_parser *p, struct pf_queue *q, unsigned int option, const char *word,
		   const struct pf_loc *loc);
/* Options of both statements. */
void pf_queue_qlimit(struct pf_parser *p, struct pf_queue *q, const char *word,
		     const struct pf_loc *loc);
void pf_queue_scheduler(struct pf_parser *p, struct pf_queue *q, const char *word,
			const struct pf_loc *loc);

bool pf_queue_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name);

/* The queue's interfaces so far, in order; NULL if there is none. */
struct pf_queue_on *pf_queue_interfaces(const struct pf_parser *p, const char *name);
struct pf_queue_on *pf_queue_find_on(const struct pf_parser *p, const char *name,
				     const char *ifname);
/* One more; NULL when memory is short. */
struct pf_queue_on *pf_queue_add_on(struct pf_parser *p, const char *name, struct pf_queue_if *i,
				    const struct pf_loc *loc);
/* NULL: it has no queues. */
struct pf_queue_if *pf_queue_if_find(const struct pf_parser *p, const char *name);
struct pf_queue_if *pf_queue_if_add(struct pf_parser *p, const char *name, enum pf_altq_kind kind,
				    const struct pf_loc *loc);

/*
 * A statement that may have listed queues could not be read: that one is listed
 * nowhere is not to be complained about.
 */
void pf_queue_lists_lost(struct pf_parser *p, const struct pf_loc *loc);
bool pf_queue_lists_were_lost(const struct pf_parser *p);

/* A line for pf_echo() is printed into l->f; NULL when memory is short. */
struct pf_queue_line {
	char *text;
	size_t len;
};
FILE *pf_queue_line(struct pf_parser *p, struct pf_queue_line *l);
void pf_queue_line_end(struct pf_parser *p, struct pf_queue_line *l, FILE *f);

/* --- altq.c --- */

/* "10M", "1.5Mb", "50%", 64000 */
void pf_parse_bandwidth(struct pf_parser *p, struct pf_bandwidth *out);
/* The scheduler's word has been passed: its options. */
void pf_altq_parse_scheduler(struct pf_parser *p, const char *word, const struct pf_loc *loc,
			     struct pf_altq_scheduler *out);
/* "{ a b }", or one name. */
void pf_altq_parse_children(struct pf_parser *p, pf_subqueue_list *list);
/* A queue of ALTQ's language: checked, defined and echoed. */
void pf_altq_queue(struct pf_parser *p, struct pf_queue *q);

#endif /* PF_GRAMMAR_QUEUE_H */
