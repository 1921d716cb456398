/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference model: what pf makes of a packet, written from pf.conf(5) and
 * descriptions of its evaluation and state tracking, as plainly as can be.  It
 * shares nothing with compiler/ and bpf/ but the rule model that the parser makes:
 * every rule is asked every question, in order, each time.
 */
#ifndef PF_SELFTESTS_MODEL_H
#define PF_SELFTESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../grammar/rule.h"

#define MODEL_ANCHOR_DEPTH 64
#define MODEL_STEPS_MOST   1000000
#define MODEL_MATCHES_MOST 128 /* pf-linux's limit; pf has none */
#define MODEL_REPEATS_MOST 8   /* of the walk, for one packet */

enum model_frag { MODEL_WHOLE, MODEL_FRAG_FIRST, MODEL_FRAG_LATER };

/* What an ICMP error quotes. */
struct model_quote {
	uint8_t proto;
	struct pf_ip src, dst;
	uint16_t sport, dport; /* TCP, UDP, SCTP */
	uint32_t seq;	       /* or the verification tag */
	uint8_t icmp_type;
	uint16_t icmp_id;
	uint16_t sum; /* ICMP's, as quoted; UDP's is the lower half of seq */
};

/* Chunks of SCTP. */
enum model_chunk {
	MODEL_C_DATA = 0,
	MODEL_C_INIT = 1,
	MODEL_C_INIT_ACK = 2,
	MODEL_C_HEARTBEAT_ACK = 5,
	MODEL_C_ABORT = 6,
	MODEL_C_SHUTDOWN = 7,
	MODEL_C_SHUTDOWN_ACK = 8,
	MODEL_C_COOKIE_ECHO = 10,
	MODEL_C_COOKIE_ACK = 11,
	MODEL_C_SHUTDOWN_COMPLETE = 14,
};

/* Numbers are in host order. */
struct model_packet {
	uint8_t dir; /* PF_RULE_IN, PF_RULE_OUT */
	uint8_t af;
	uint8_t proto;
	uint8_t frag; /* enum model_frag */
	uint8_t tos;
	uint8_t ttl;
	bool options;	      /* IPv4 options, or a header of destination options */
	uint8_t vlans;	      /* tags, of which rules see nothing */
	const char *ifname;   /* where it is seen */
	const char *received; /* where it came in; NULL: it was made on this host */
	const char *egress;   /* where the default route leads to at that time; NULL: none is */
	struct pf_ip src, dst;
	uint16_t len;	       /* of the payload behind the transport header */
	uint16_t sport, dport; /* TCP, UDP, SCTP */
	uint8_t chunk[2], nchunks;
	bool t_bit; /* of an ABORT or SHUTDOWN COMPLETE */
	uint32_t v_tag, init_tag;
	bool no_sum;   /* UDP over IPv4: it has no checksum */
	uint8_t flags; /* TCP */
	uint32_t seq, ack;
	uint16_t win;
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	struct pf_ip target; /* of a neighbour's solicitation or advertisement */
	struct model_quote quote;
	uint32_t seed; /* of its random numbers */
};

/* AWAY: it passes, and leaves by a gateway. */
enum model_verdict {
	MODEL_PASS,
	MODEL_DROP,
	MODEL_RST,
	MODEL_ACK,
	MODEL_ICMP,
	MODEL_ABORT,
	MODEL_AWAY,
};
extern const char *const model_verdict_names[];

enum model_reason {
	MODEL_R_MATCH,
	MODEL_R_FRAG,
	MODEL_R_SHORT,
	MODEL_R_NORM,
	MODEL_R_IPOPTION,
	MODEL_R_BADSTATE,
	MODEL_R_STATEINS,  /* another state has one of its keys */
	MODEL_R_TRANSLATE, /* no port is left for it */
	MODEL_R_MAXSTATES, /* its rule has as many states as it may */
	MODEL_R_NOROUTE,   /* a gateway does not take it */
	MODEL_R_SRCLIMIT,  /* its source has as much as it may */
	MODEL_R_DEPTH,	   /* anchors in anchors without end */
	MODEL_R_MATCHES,   /* more of them than we take */
	MODEL_R_STEPS,	   /* given up: no answer at all */
	MODEL_REASONS,
};

enum model_use { MODEL_NO_STATE, MODEL_STATE_MADE, MODEL_STATE_USED };

struct model_key {
	uint8_t af, proto;
	struct pf_ip addr[2]; /* [0] outside of the interface */
	uint16_t port[2];
};

struct model_peer {
	uint32_t seqlo, seqhi, max_win; /* SCTP: seqlo is the tag, 0 if it is not known */
	int state;			/* TCP's, SCTP's */
	uint64_t packets;
};

/* Where a key is seen: by what comes in, and by what goes out, before it is translated. */
enum model_side { MODEL_WIRE, MODEL_STACK };

struct model_state {
	struct model_key key[2]; /* by enum model_side; alike without translation */
	uint8_t dir;
	bool allow_opts, sloppy, dead, connected;
	const char *ifname;		    /* it holds there alone; NULL: everywhere */
	const struct pf_pool_host *gateway; /* of its rule; NULL: none */
	unsigned int gateway_from;	    /* the peer whose packets it takes */
	uint8_t sctp_time;		    /* which of its timeouts runs */
	const struct pf_rule *rule, *anchor;
	const struct pf_rule **matches; /* it counts for them, too */
	size_t nmatches;
	const char *tag;
	struct model_peer peer[2]; /* [0] made it */
};

/* What became of a packet.  The arrays are the model's until the next one. */
struct model_answer {
	enum model_verdict verdict;
	enum model_reason reason;
	uint16_t icmp;	 /* MODEL_ICMP: type << 8 | code */
	bool from_rules; /* the rules were walked */
	const struct pf_rule **matches;
	size_t nmatches;
	const struct pf_rule *rule;   /* NULL: the default rule */
	const struct pf_rule *anchor; /* the call through which it was found */
	const char *tag;
	const struct pf_rule **logs; /* NULL: of no rule */
	size_t nlogs;
	uint32_t draws;
	uint64_t steps; /* rules that were asked */
	enum model_use use;
	bool limited;	  /* a rule's limiter blocks it, for `reason` */
	bool established; /* it was judged by a TCP connection that is open both ways */
	const struct pf_pool_host *gateway; /* MODEL_AWAY */
	/* that passes: as it leaves */
	struct model_packet out;
	bool translated;
};

/* Of a rule: the packets that it decided about, those of its states too; [0] in. */
struct model_count {
	uint64_t evaluations;
	uint64_t packets[2];
	uint64_t states;
	uint64_t met; /* of max-pkt-rate: that came so far, in a time that does not end here */
	/* `once': the packet that it matched, and in which walk; 0 none */
	uint64_t taken_by;
	int taken_in;
};

/* A ruleset with the path by which it is called; "" is the main one. */
struct model_ruleset {
	char *path;
	const struct pf_block *block;
	size_t first;		       /* number of its first rule */
	const struct pf_block *before; /* what was loaded there before; NULL nothing */
};

/* A source, or a network of them, that a limiter has put into its table. */
struct model_held {
	const struct pf_limiter_def *by;
	uint8_t af;
	struct pf_ip ip;
};

struct model {
	struct model_held *held;
	size_t nheld, held_capacity;
	const struct pf_ruleset *rs;
	struct model_ruleset *rulesets;
	size_t nrulesets, rulesets_capacity;
	size_t nrules; /* of all */
	struct model_state *states;
	size_t nstates, states_capacity;
	struct model_count *counts; /* nrules */
	uint64_t npackets;
	/* of the packet at hand */
	const struct model_packet *packet; /* as it came */
	int repeats;			   /* of the walk */
	const struct pf_rule **matches;
	size_t matches_capacity;
	const struct pf_rule **logs;
	size_t logs_capacity;
};

/* rs must outlive the model.  Memory that is short ends the program. */
void model_init(struct model *m, const struct pf_ruleset *rs);
/*
 * Another ruleset, loaded at an anchor's path before the first packet: rulesets of
 * the same paths give way to it and to those in its braces.
 */
void model_load_anchor(struct model *m, const char *path, const struct pf_ruleset *rs);
void model_free(struct model *m);
#define model_auto __attribute__((cleanup(model_free))) struct model

/* The next packet. */
void model_packet(struct model *m, const struct model_packet *p, struct model_answer *a);

/* --- between the model's files --- */

/*
 * The first question that a packet does not meet.  The earlier ones have skip steps:
 * rules behind it that ask the same are not evaluated.
 */
enum model_miss {
	MODEL_MISS_IFACE,
	MODEL_MISS_DIR,
	MODEL_MISS_AF,
	MODEL_MISS_PROTO,
	MODEL_MISS_SRC,
	MODEL_MISS_DST,
	MODEL_MISS_SPORT,
	MODEL_MISS_DPORT,
	MODEL_MISS, /* any other */
	MODEL_HIT,
};

/* The tag is as set so far; draws counts random numbers. */
enum model_miss model_ask(const struct model *m, const struct model_ruleset *in,
			  const struct pf_rule *r, const struct model_packet *p, const char *tag,
			  uint32_t *draws);
/* Do two rules ask the same there? */
bool model_same_question(enum model_miss what, const struct pf_rule *a, const struct pf_rule *b);
/* The packet's next random number. */
uint32_t model_draw(const struct model_packet *p, uint32_t *draws);

/* A packet under translation. */
struct model_translation {
	struct model_packet now;   /* as the next rule sees it */
	const struct pf_rule *nat; /* the last that did nat-to; NULL: none has */
	uint16_t lo, hi;	   /* where its port was drawn from */
	/* of a walk that is repeated: a rule that takes this port and not the one drawn */
	const struct pf_rule *kept;
	uint16_t kept_port;
};

/* As the rule says, which matches. */
void model_translate(struct model_translation *t, const struct pf_rule *r, uint32_t *draws);

enum model_settled {
	MODEL_SETTLED,
	MODEL_NO_PLACE, /* *why */
	MODEL_AGAIN,	/* the rules are to be asked about another port */
};
/* Is there a place for a new state?  The port may have to be another one. */
enum model_settled model_settle(const struct model *m, const struct model_packet *p,
				const struct pf_rule *r, struct model_translation *t,
				enum model_reason *why);

/* Addresses, ports and ids. */
bool model_same_ends(const struct model_packet *a, const struct model_packet *b);
bool model_same_quoted(const struct model_quote *a, const struct model_quote *b);
void model_copy_ends(struct model_packet *to, const struct model_packet *from);

/* Walks the rules: match rules, winner and tag; t->now changes.  false: too deep. */
bool model_walk(struct model *m, struct model_translation *t, struct model_answer *a);
void model_log(struct model *m, struct model_answer *a, const struct pf_rule *r);

/* One more packet for the rule, the anchor that led to it, and match rules. */
void model_count(struct model *m, const struct pf_rule *r, const struct pf_rule *anchor,
		 const struct pf_rule *const *matches, size_t nmatches, uint8_t dir);
/*
 * A packet in that direction has found the state: it counts for the rate of the rule that made
 * it.  true: it is one too many, and the state is none for it.
 */
bool model_is_over(struct model *m, const struct model_state *s, uint8_t dir);
/* Rules of all rulesets are numbered: a ruleset's own, then those in its first braces, ... */
size_t model_rule_nr(const struct model *m, const struct pf_rule *r);

enum model_role { MODEL_QUERY, MODEL_REPLY, MODEL_ERROR };
enum model_role model_icmp_role(uint8_t af, uint8_t type);
bool model_is_icmp(const struct model_packet *p);
bool model_keeps_never(const struct model_packet *p);

/* Is the packet one of a state?  Then *a has been filled in. */
bool model_track(struct model *m, const struct model_packet *p, struct model_answer *a);
/* Has the rule as many states as it may have? */
bool model_rule_is_full(const struct model *m, const struct pf_rule *r);
/* Has the packet's source as many states, or the rule as many sources, as they may? */
bool model_source_is_full(const struct model *m, const struct pf_rule *r,
			  const struct model_packet *p);
/* Have the rule's limiters room for the packet at hand?  *why, if not. */
enum model_limits { MODEL_LIMITS_ROOM, MODEL_LIMITS_MISS, MODEL_LIMITS_BLOCK };
enum model_limits model_limits(const struct model *m, const struct pf_rule *r,
			       enum model_reason *why);
/* Sources that have fewer states than `below' leave the tables; that of a new state may come in. */
void model_limiters_fall(struct model *m);
void model_limiters_rise(struct model *m, const struct model_state *s);
/* A prefix becomes an entry, if it is none; it is none any more, unless it is a negated one. */
void model_table_put(const struct model *m, const struct model_ruleset *in, const char *name,
		     uint8_t af, uint8_t bits, const struct pf_ip *ip);
void model_table_take(const struct model *m, const struct model_ruleset *in, const char *name,
		      uint8_t af, uint8_t bits, const struct pf_ip *ip);
/* How many states a limiter has. */
size_t model_limiter_states(const struct model *m, const struct pf_limiter_def *d);
/* A TCP handshake is done.  false: it is one too many; the state is dead. */
bool model_connected(struct model *m, struct model_state *s);
/* How many sources are tracked, by one rule or NULL for all. */
size_t model_nodes(const struct model *m, const struct pf_rule *of);
/* What rules of a ruleset mean by the name; NULL if there is none. */
const struct pf_table_def *model_find_table(const struct model *m, const struct model_ruleset *in,
					    const char *name);
/* now: the packet behind translation. */
void model_make_state(struct model *m, const struct model_packet *p, const struct model_packet *now,
		      struct model_answer *a);

/* Does it go on, wherever? */
bool model_goes_on(const struct model_answer *a);

/* The side that packets of this direction see. */
enum model_side model_side_of(uint8_t dir);
struct model_key model_key_of(const struct model_packet *p);
/* A live state that holds on that interface, or NULL; ifname NULL: on any. */
struct model_state *model_find(const struct model *m, enum model_side side,
			       const struct model_key *k, const char *ifname);
/* The same, but none that is bound to another interface. */
struct model_state *model_find_at(const struct model *m, enum model_side side,
				  const struct model_key *k, const char *ifname);
bool model_same_key(const struct model_key *a, const struct model_key *b);
/* A packet that belongs to the state, or an error about one, as it goes on. */
void model_carry(const struct model_state *s, const struct model_packet *p,
		 struct model_packet *out);
void model_carry_error(const struct model_state *s, const struct model_packet *p,
		       struct model_packet *out);

enum model_tcp { MODEL_TCP_PASS, MODEL_TCP_DROP, MODEL_TCP_RST, MODEL_TCP_ACK, MODEL_TCP_NEW };
void model_tcp_begin(struct model_state *s, const struct model_packet *p);
bool model_tcp_established(const struct model_state *s);
enum model_tcp model_tcp(struct model_state *s, unsigned int from, const struct model_packet *p);

enum { MODEL_S_CLOSED, MODEL_S_COOKIE_WAIT, MODEL_S_ESTABLISHED, MODEL_S_SHUTDOWN, MODEL_S_ENDED };
enum { MODEL_T_FIRST, MODEL_T_OPENING, MODEL_T_ESTABLISHED, MODEL_T_CLOSING, MODEL_T_CLOSED };
enum model_sctp { MODEL_SCTP_PASS, MODEL_SCTP_DROP, MODEL_SCTP_NEW };
bool model_sctp_well_formed(const struct model_packet *p);
bool model_sctp_answerable(const struct model_packet *p);
void model_sctp_begin(struct model_state *s, const struct model_packet *p);
enum model_sctp model_sctp(struct model_state *s, unsigned int from, const struct model_packet *p);
/* May an error quote this tag, of a packet from that side? */
bool model_sctp_quoted(const struct model_state *s, unsigned int from, uint32_t v_tag);

/* An array that can hold one more than n. */
void *model_grow(void *v, size_t n, size_t *capacity, size_t size);

enum {
	TH_FIN = 0x01,
	TH_SYN = 0x02,
	TH_RST = 0x04,
	TH_PUSH = 0x08,
	TH_ACK = 0x10,
	TH_URG = 0x20,
};

enum {
	MODEL_P_ICMP = 1,
	MODEL_P_TCP = 6,
	MODEL_P_UDP = 17,
	MODEL_P_ICMP6 = 58,
	MODEL_P_SCTP = 132,
};

enum { MODEL_NS = 135, MODEL_NA = 136, MODEL_REDIRECT6 = 137 };

#endif /* PF_SELFTESTS_MODEL_H */
