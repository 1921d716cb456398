/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the datapath and its loader share: the layouts of map keys and values,
 * the numbers of programs, counters and reasons.  Included by bpf/ (clang, BPF)
 * and by compiler/ and loader/ (the host's compiler).  Tables, and rules as data, have
 * parts of their own.
 *
 * Everything here and there may stand in pinned maps when a newer pfd takes over, so a
 * change of a layout or of a number is a change of PF_ABI_VERSION.
 *
 * Byte order: addresses and the ports of keys are in network order, all else
 * in the host's.  An IPv4 address stands in w[0], the other words are 0.
 */
#ifndef PF_ABI_H
#define PF_ABI_H

#include "abi_base.h"
#include "abi_limiter.h"
#include "abi_table.h"
#include "abi_tree.h"

#define PF_ABI_VERSION 12

/* Reasons of a verdict, OpenBSD's order; pflog records carry them. */
enum pf_reason {
	PFRES_MATCH,
	PFRES_BADOFF,
	PFRES_FRAG,
	PFRES_SHORT,
	PFRES_NORM,
	PFRES_MEMORY,
	PFRES_TS,
	PFRES_CONGEST,
	PFRES_IPOPTIONS,
	PFRES_PROTCKSUM,
	PFRES_BADSTATE,
	PFRES_STATEINS,
	PFRES_MAXSTATES,
	PFRES_SRCLIMIT,
	PFRES_SYNPROXY,
	PFRES_TRANSLATE,
	PFRES_NOROUTE,
	PFRES_MAX,
};

/*
 * Index of the per-CPU counters.  The first PFRES_MAX count reasons.
 * "searches" of pf's status are PF_CNT_MISS + PF_CNT_HITS_RETIRED + the packets
 * that live states hold: the established path counts in its state alone.
 */
enum pf_counter {
	PF_CNT_REASON = 0,
	PF_CNT_MISS = PFRES_MAX, /* look-ups that found no state, or dropped the packet */
	PF_CNT_HITS_RETIRED,	 /* packets counted in states that are gone */
	PF_CNT_INSERTS,
	PF_CNT_REMOVALS,
	PF_CNT_LOGGED,	     /* log records handed to the ring */
	PF_CNT_LOG_LOST,     /* log records that found no room or no reader */
	PF_CNT_ANSWERS,	     /* RST, ACK and ICMP sent for a packet */
	PF_CNT_NO_ANSWER,    /* packets that should have had one, but could not */
	PF_CNT_UNJUDGED,     /* drops because a tail call found no program */
	PF_CNT_VLAN,	     /* drops of frames with more than two VLAN tags */
	PF_CNT_LINKTYPE,     /* drops on interfaces whose link type is not known */
	PF_CNT_NO_ROOM,	     /* addresses that the datapath could not add to a table */
	PF_CNT_EVENTS_LOST,  /* events of states that found no room in their ring */
	PF_CNT_SRC_SEARCHES, /* of nodes of sources */
	PF_CNT_SRC_INSERTS,
	PF_CNT_SRC_REMOVALS,
	PF_CNT_NO_FLUSH,     /* offenders whose states could not be ended: too many at once */
	PF_CNT_STATES_FULL,  /* packets that set limit states refused a state */
	PF_CNT_SOURCES_FULL, /* ... and set limit src-nodes a node of their source */
	PF_CNT_LIMIT,	     /* enum pf_limit_counter from here on */
	PF_CNT_MAX = PF_CNT_LIMIT + 10,
};

/* Limits that were met, OpenBSD's order. */
enum pf_limit_counter {
	LCNT_STATES, /* max */
	LCNT_SRCSTATES,
	LCNT_SRCNODES,
	LCNT_SRCCONN,
	LCNT_SRCCONNRATE,
	LCNT_OVERLOAD_TABLE,
	LCNT_OVERLOAD_FLUSH,
	LCNT_SYNFLOODS,
	LCNT_SYNCOOKIES_SENT,
	LCNT_SYNCOOKIES_VALID,
	LCNT_MAX,
};

/* Timeouts, OpenBSD's order, then those that FreeBSD has besides. */
enum pf_timeout {
	PFTM_TCP_FIRST_PACKET,
	PFTM_TCP_OPENING,
	PFTM_TCP_ESTABLISHED,
	PFTM_TCP_CLOSING,
	PFTM_TCP_FIN_WAIT,
	PFTM_TCP_CLOSED,
	PFTM_UDP_FIRST_PACKET,
	PFTM_UDP_SINGLE,
	PFTM_UDP_MULTIPLE,
	PFTM_ICMP_FIRST_PACKET,
	PFTM_ICMP_ERROR_REPLY,
	PFTM_OTHER_FIRST_PACKET,
	PFTM_OTHER_SINGLE,
	PFTM_OTHER_MULTIPLE,
	PFTM_FRAG,
	PFTM_INTERVAL,
	PFTM_ADAPTIVE_START,
	PFTM_ADAPTIVE_END,
	PFTM_SRC_NODE,
	PFTM_TS_DIFF,
	PFTM_SCTP_FIRST_PACKET,
	PFTM_SCTP_OPENING,
	PFTM_SCTP_ESTABLISHED,
	PFTM_SCTP_CLOSING,
	PFTM_SCTP_CLOSED,
	PFTM_MAX,
};

/* TCP peers (sys/netinet/tcp_fsm.h of 4.4BSD). */
enum pf_tcp_state {
	TCPS_CLOSED,
	TCPS_LISTEN,
	TCPS_SYN_SENT,
	TCPS_SYN_RECEIVED,
	TCPS_ESTABLISHED,
	TCPS_CLOSE_WAIT,
	TCPS_FIN_WAIT_1,
	TCPS_CLOSING,
	TCPS_LAST_ACK,
	TCPS_FIN_WAIT_2,
	TCPS_TIME_WAIT,
};
/* SCTP peers: those of FreeBSD's that packets tell of, in the order that they are gone through. */
enum pf_sctp_state {
	SCTPS_CLOSED,	   /* it has sent no INIT, and not confirmed the other's */
	SCTPS_COOKIE_WAIT, /* it has sent an INIT, or is met in the middle */
	SCTPS_ESTABLISHED,
	SCTPS_SHUTDOWN_PENDING,
	SCTPS_ENDED, /* shown as CLOSED */
};
/* UDP peers and those of other protocols. */
enum pf_peer_state { PF_NO_TRAFFIC, PF_SINGLE, PF_MULTIPLE };

#define PF_WSCALE_FLAG		  0x80 /* a window scale option was seen */
#define PF_WSCALE_MASK		  0x0f

#define PF_TH_FIN		  0x01
#define PF_TH_SYN		  0x02
#define PF_TH_RST		  0x04
#define PF_TH_PUSH		  0x08
#define PF_TH_ACK		  0x10
#define PF_TH_URG		  0x20
#define PF_TH_ECE		  0x40
#define PF_TH_CWR		  0x80

/* The chunks of a packet of SCTP. */
#define PF_SCTP_DATA		  0x0001
#define PF_SCTP_INIT		  0x0002
#define PF_SCTP_INIT_ACK	  0x0004
#define PF_SCTP_COOKIE		  0x0008 /* COOKIE ECHO or COOKIE ACK */
#define PF_SCTP_HEARTBEAT_ACK	  0x0010
#define PF_SCTP_SHUTDOWN	  0x0020 /* SHUTDOWN or SHUTDOWN ACK */
#define PF_SCTP_SHUTDOWN_COMPLETE 0x0040
#define PF_SCTP_ABORT		  0x0080
#define PF_SCTP_REFLECTED	  0x0100 /* with one of the latter two: their T bit */

/*
 * addr[0], port[0] are the side outside of the interface (the source of a
 * packet that comes in, the destination of one that goes out), [1] the other:
 * so both directions of a connection on one interface have one key, and a
 * forwarded connection has one state coming in and one going out.
 */
struct pf_state_key {
	struct pf_addr addr[2];
	__be16 port[2];
	__u8 proto;
	__u8 af;
	__u16 rdomain;
};

/*
 * One peer of a state, [0] the one that made it, on a cache line of its own.
 * In the established phase packets *from* this peer alone write here, without
 * a lock: that is why the other peer's seqhi stands here and not there.
 */
struct pf_state_peer {
	__u64 packets;
	__u64 bytes;
	__u32 seqlo;	   /* highest sequence number seen to end from this peer; SCTP: its tag */
	__u32 other_seqhi; /* highest that the other may send: this peer's ack + window */
	__u32 max_win;	   /* largest window announced, scaled down */
	__u32 seqdiff;	   /* modulation */
	__u32 last;	   /* tick of the last packet that renewed the state */
	__u16 mss;
	__u16 opts; /* [0]: of the rule that made it, struct pf_opt_set; [1]: PF_LIMITS_*; 0 none */
	__u32 tsval;
	__u32 source;	/* [0]: the node that counts it: PF_SOURCE_*; [1]: its limiter's source; 0
			   none */
	__u32 match[4]; /* ids of `match` rules that it counts for: see struct pf_state.nmatch */
};

enum pf_slot_status {
	PF_SLOT_FREE = 0,
	PF_SLOT_EMBRYO = 1, /* being made: not found by packets */
	PF_SLOT_LIVE = 2,
	PF_SLOT_DEAD = 3,  /* taken out; in limbo until nobody can hold it */
	PF_SLOT_LOST = 4,  /* dead or free, but no queue took it: the sweep offers it again */
	PF_SLOT_ENDED = 5, /* no packet's any more, but still to be taken out: see bpf/sweep.h */
};

/* COPY: of a state whose end has been counted and told already. */
enum pf_kill_wish { PF_KILL_NOT, PF_KILL_STATE, PF_KILL_COPY };

#define PF_SF_LOOSE	0x01 /* adopted in mid-stream: sequence windows not yet known */
#define PF_SF_ALLOWOPTS 0x02 /* its rule lets IP options pass */
#define PF_SF_SLOPPY	0x04 /* no sequence windows at all */
#define PF_SF_TAGGED	0x08 /* its packets carry a tag */
#define PF_SF_NAT	0x10 /* key and stack differ: its packets are translated */
#define PF_SF_IFBOUND	0x20 /* holds on the interface where it was made alone */
#define PF_SF_ALL	0x3f /* those that lib/saved.c knows */
#define PF_SF_SHADOWED	0x40 /* holds everywhere, but if-bound ones of its key come first */
#define PF_SF_METERED	0x80 /* its packets count for its rules: max-pkt-rate, counters of tables */

/* One state: four cache lines, in an mmapable array. */
struct pf_state {
	/* line 0: read by every packet; written when made and under the state's lock */
	struct pf_state_key key; /* on the wire: what packets that come in are found by */
	__u32 status;		 /* enum pf_slot_status; changes by compare-and-exchange */
	__u32 rule;		 /* id of the rule that made it, index of its counters */
	__u8 peer_state[2];
	__u8 wscale[2];
	__u8 timeout;  /* enum pf_timeout */
	__u8 flags;    /* PF_SF_* */
	__u8 dir;      /* enum pf_dir of the packet that made it */
	__u8 route;    /* enum pf_dir of those that its gateway takes, 0: it has none */
	__u32 ifindex; /* where it was made */
	__u32 index;   /* of this slot */
	/* lines 1 and 2 */
	struct pf_state_peer peer[2];
	/* line 3 */
	struct pf_state_key stack; /* behind translation: what those that go out are found by */
	__u64 id;
	__u64 creation; /* jiffies */
	__u32 anchor;	/* id of the anchor's rule that led to `rule`, 0 none */
	__u16 tag;
	__u8 kill;   /* enum pf_kill_wish: userland's wish, which the next sweep fulfils */
	__u8 nmatch; /* of peer[0].match, then peer[1].match, then of struct pf_match_more */
};

/*
 * A gateway: where packets go whatever the routes say.  The loader keeps the last two up to
 * date, by the interface's name, or by the way to the gateway if it has none.
 */
struct pf_hop {
	struct pf_addr addr;
	char ifname[16];    /* "" none */
	__u32 af;	    /* 0: no gateway */
	__u32 ifindex;	    /* 0: there is no such interface, or no way */
	struct pf_addr via; /* the neighbour that it is sent to */
};

/*
 * State options, but for those that are flags.  Rules and states name them by number.
 * A number is given out for a content, and for another one only when no rule and no
 * state has it: see loader/optsets.h.
 */
#define PF_MAX_OPT_SETS 4096 /* numbers; 0 is none */
#define PF_OPTS_USED	0x01
#define PF_OPTS_COUNTED 0x02 /* its states are counted by rule, in pf_rule_states */
#define PF_OPTS_TRACK	0x04 /* sources are tracked */
#define PF_OPTS_BY_RULE 0x08 /* ... for each rule */
#define PF_OPTS_FLUSH	0x10 /* an offender's states end ... */
#define PF_OPTS_GLOBAL	0x20 /* ... those that other rules made, too */
struct pf_opt_set {
	__u32 flags;
	__u32 max;		 /* states of a rule; 0: no limit */
	__u32 timeout[PFTM_MAX]; /* as in struct pf_config; 0: the global one */
	__u32 max_src_nodes;	 /* 0 in all of these: no limit */
	__u32 max_src_states;
	__u32 max_src_conn;
	__u32 rate_limit; /* connections in rate_seconds */
	__u32 rate_seconds;
	__u32 rate_ticks;
	__u32 overload;	 /* slot of the table where offenders go; 0 none */
	__u32 limits;	 /* PF_LIMITS_* */
	__u32 hop_moves; /* of what the loader keeps of hop: odd while it changes it */
	struct pf_hop hop;
};

/*
 * What a rule remembers of the packets that it has met, by its id: bpf/meter.h.  Of those
 * with `once' or `max-pkt-rate', made by the loader.
 */
#define PF_METERS_MOST 65536
#define PF_METER_WALK  0xf /* of .expired: which walk it was, ... */
#define PF_METER_CPU   4   /* ... and from this bit on 10 of the CPU, then nanoseconds */
#define PF_METER_TIME  14
enum pf_meter_ask { PF_METER_OPEN, PF_METER_TAKE, PF_METER_RATE };
struct pf_meter {
	__u64 expired; /* 0: not yet; the packet's pf_pkt.once | pf_pkt.walks */
	__u64 rate;    /* tick of the last packet << 32 | thousandths of packets */
	__u32 limit;   /* packets ... */
	__u32 ticks;   /* ... in so many */
};

/* What there is of a rule, by its id. */
struct pf_rule_count {
	__u32 states;
	__u32 nodes; /* of its own sources */
};

/*
 * A source that is tracked, as pf's source nodes: bpf/sources.h.  Its serial number stands
 * beside its numbers, for who changes them must know whose they are: the memory of a node
 * that goes is another's at once.
 */
#define PF_SOURCES_MOST	    262144U
#define PF_SOURCE_SERIAL    0x3fffffff
#define PF_SOURCE_CONNECTED 0x80000000U /* of a state: it counts as a connection as well */
#define PF_SOURCE_DEAD	    0x80000000U /* of struct pf_src_node.states: it is being taken out */
#define PF_SOURCE_COUNT	    0x1fffffffU /* ... these bits are the number */
#define PF_THRESHOLD_ONE    1000	/* of what is counted by a rate */
struct pf_src_key {
	struct pf_addr addr;
	__u32 rule; /* 0: all rules that track globally */
	__u32 af;
};
struct pf_src_node {
	__u64 states;	  /* serial << 32 | number of them */
	__u64 conns;	  /* the same */
	__u64 rate;	  /* tick of the last connection << 32 | thousandths of connections */
	__u64 creation;	  /* jiffies */
	__u64 packets[2]; /* in, out; of states that have ended */
	__u64 bytes[2];
	__u32 expire;  /* tick, if it has no states */
	__u32 seconds; /* that its rate is of */
};

/* A source whose states are to end; by a key as above, rule 0: whatever rule made them. */
#define PF_FLUSHES_MOST 4096
#define PF_FLUSH_WORDS	16
struct pf_flush {
	__u64 before; /* states with lower ids */
	__u32 begun;
	__u32 pad;
};

/* The `match` rules of one packet, and of the state that it makes. */
#define PF_MATCH_INLINE 8   /* that a state has room for */
#define PF_MATCH_MOST	128 /* a packet that more of them match is dropped */
struct pf_match_more {
	__u32 id[PF_MATCH_MOST - PF_MATCH_INLINE];
};

#define PF_BUCKET_SLOTS 8

/*
 * A bucket of the state table.  `ver` moves with each insertion of a key whose
 * first bucket this is, also into the second one.  `overflow` counts those keys
 * that are in their second bucket.  A tag of 0 is an empty place.
 */
struct pf_bucket {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock;
#endif
	__u32 ver;
	__u32 overflow;
	__u32 pad;
	__u16 tag[PF_BUCKET_SLOTS];
	__u32 index[PF_BUCKET_SLOTS];
};

struct pf_limbo_entry {
	__u32 index;
	__u32 since; /* tick */
};

/*
 * The clock of states: a tick is 1 << PF_TICK_SHIFT jiffies (64 ms at HZ=250),
 * so that reading it costs nothing and 32 bits last for years.
 */
#define PF_TICK_SHIFT 4

/* What the loader tells the datapath; one value, read on slow paths. */
struct pf_config {
	__u32 abi_version;
	__u32 hz;
	__u32 hash_key[12]; /* of the state table; never changes while it holds states */
	__u32 mark[4];	    /* secret in cb[] by which we know our own answers */
	__u32 mark16;	    /* in tc_index, of those that our hook has let in; not 0 */
	__u32 state_limit;  /* set limit states */
	__u32 source_limit; /* set limit src-nodes */
	__u32 slots;	    /* entries of the slot array */
	__u32 buckets;
	__u32 debug;
	__u32 timeout[PFTM_MAX]; /* ticks; adaptive.start and .end count states */
	__u32 sweep_slice;	 /* slots that one sweep looks at */
	__u32 sweep_ns;		 /* time between two sweeps */
	__u32 grace;		 /* ticks that a dead slot rests */
	/* the loader's own, kept here so that they outlive it */
	__u32 enabled;
	__u32 confirm_gen; /* generation to go back to ... */
	__u64 confirm_at;  /* ... then, CLOCK_BOOTTIME seconds; 0 never */
	__u64 since;	   /* CLOCK_BOOTTIME seconds of enabling or disabling */
	__u64 netns;	   /* cookie of the network namespace */
	__u32 loader_uid;  /* whose rules they are */
	__u32 loader_pid;
	__u32 random_seed; /* for tests: what `probability` draws from; 0: the kernel's numbers */
	__u32 events;	   /* somebody listens to what becomes of states */
	__u32 rule_tables; /* rules that pf_rule_tables has */
	__u32 pad;
	/* the loader's again: what counters were when they were cleared */
	__u64 cleared[PF_CNT_MAX];
	__u64 cleared_searches;
};

/* What the datapath alone writes, each on a cache line of its own. */
enum pf_flush_pass { PF_FLUSH_NONE, PF_FLUSH_END, PF_FLUSH_TAKE_OUT };
struct pf_status {
	__u32 states; /* reserved, or LIVE; never above the limit */
	__u32 pad0[15];
	__u64 next_id;
	__u64 pad1[7];
	__u32 sweep_at; /* the next slot to look at */
	__u32 sweep_rounds;
	__u64 sweeps;
	__u32 sources_at; /* tick when nodes of sources were last looked at */
	__u32 limited_at; /* ... and sources of limiters */
	__u32 pad2[10];
	__u32 sources; /* nodes; never above their limit */
	__u32 next_source;
	__u32 flush_asked; /* there is something new in pf_flushes */
	__u32 pad3[13];
	/* of the passes that end states of offenders */
	__u32 flush_on;	   /* enum pf_flush_pass */
	__u32 flush_at;	   /* the next slot */
	__u32 flush_ended; /* not 0: there are states to be taken out */
	__u32 pad4;
	__u64 flush_maybe[PF_FLUSH_WORDS]; /* bits of the hashes of the addresses */
};

/* Counters of one rule, per CPU; [0] in, [1] out.  Live states hold the rest. */
struct pf_rule_stats {
	__u64 packets[2];
	__u64 bytes[2];
	__u64 states;	   /* states made */
	__u64 states_gone; /* states that ended */
};

/* Rule ids: 0 is the implicit default rule, pass without state. */
#define PF_RULE_DEFAULT	 0
#define PF_STATS_CHUNK	 4096
#define PF_STATS_CHUNKS	 512
#define PF_MAX_RULE_IDS	 (PF_STATS_CHUNK * PF_STATS_CHUNKS)

/* Interfaces, by ifindex; kept by the loader. */
#define PF_IFACE_BRIDGED 0x01 /* a bridge port: frames for other stations are ours too */
#define PF_IFACE_HOOKED	 0x02 /* what comes in there has the tc_index that we gave it */
struct pf_iface {
	__u32 flags;
	__u32 addr4; /* own addresses, 0 if none: sources of ICMP errors */
	struct pf_addr addr6;
	struct pf_addr linklocal;
};

/* Labels of rules that are gone: the loader keeps them while there are states. */
#define PF_RULE_LABELS 5
struct pf_rule_labels {
	char name[PF_RULE_LABELS][64];
};

/* Tags: a name's number is given out once, and pinned: packets and states carry it. */
#define PF_MAX_TAGS 50000
struct pf_tag_name {
	char name[64];
};

/* What `apply` needs to know of the rule that won. */
#define PF_RULE_BLOCK	    0x01
#define PF_RULE_LOG	    0x02
#define PF_RULE_KEEP	    0x04
#define PF_RULE_RETURN	    0x08 /* RST to TCP, ABORT to SCTP, ICMP to the rest */
#define PF_RULE_RETURN_RST  0x10
#define PF_RULE_RETURN_ICMP 0x20
#define PF_RULE_ALLOWOPTS   0x40
#define PF_RULE_FAIL	    0x80 /* the walk could not be ended: a drop for want of memory */
#define PF_RULE_SLOPPY	    0x100
#define PF_RULE_IFBOUND	    0x200
#define PF_RULE_METERED	    0x400  /* max-pkt-rate */
#define PF_RULE_ROUTE_TO    0x800  /* packets of its direction take its gateway */
#define PF_RULE_REPLY_TO    0x1000 /* those of the other one do */
struct pf_rule_info {
	__u32 id;
	__u32 nr; /* as printed; ~0 for the default rule */
	__u32 flags;
	__u8 return_ttl;
	__u8 pad;
	__u16 opts;	   /* number of its struct pf_opt_set, 0 none */
	__u16 return_icmp; /* type << 8 | code, 0 none */
	__u16 return_icmp6;
	/* the anchor's rule that led there: id, 0 none, and number */
	__u32 anchor;
	__u32 anchor_nr;
	__u32 nat; /* 1 + index of its translation, 0 none */
};

/*
 * The translation of a rule: the address becomes (it & ~mask) | addr, with nat-to
 * the source's, with rdr-to the destination's.
 */
#define PF_NAT_SRC  0x01 /* nat-to */
#define PF_NAT_SEEN 0x02 /* rules behind may ask for the port that it chooses */
struct pf_nat {
	struct pf_addr addr, mask;
	/* ports, in host order; 0: it stays */
	__u16 lo, hi;
	__u16 base; /* rdr-to: what becomes lo, the next one lo + 1 ... */
	__u16 flags;
};

/* A `match` rule that has matched. */
struct pf_matched {
	__u32 id;
	__u32 nr;
	__u32 anchor_nr; /* ~0: in the main ruleset */
	__u32 flags;	 /* PF_RULE_LOG */
};

/* Words of the interface mask: one bit for each interface that rules name. */
#define PF_IFMASK_WORDS 16
struct pf_ifmask {
	__u32 w[PF_IFMASK_WORDS];
	__u32 name; /* 1 + the bit that stands for its own name alone; 0: none does */
	__u32 pad;
};

/*
 * How often rules were evaluated: that of rule i is n[i % PF_EVALS_EACH] of value
 * i / PF_EVALS_EACH.  One number a value would need a pointer each, out of the cache.
 */
#define PF_EVALS_EACH 512
struct pf_evals {
	__u64 n[PF_EVALS_EACH];
};

/* What a packet asks of the answer program. */
enum pf_answer {
	PF_ANSWER_NONE,
	PF_ANSWER_TCP,	/* answer_seq, answer_ack, answer_flags */
	PF_ANSWER_ICMP, /* answer_icmp */
	PF_ANSWER_SCTP, /* answer_seq: the tag, answer_flags: of the chunk */
};

#define PF_WALKS_MOST	    8 /* through the rules, for one packet, after the first */

#define PF_FRAG_NONE	    0
#define PF_FRAG_FIRST	    1
#define PF_FRAG_LATER	    2

#define PF_OPT_ROUTER_ALERT 0x01
#define PF_OPT_OTHER	    0x02
#define PF_OPT_JUMBO	    0x04

#define PF_ANSWER_BUF	    192

/* What the ring of the log carries; each record begins with its kind. */
enum pf_log_kind {
	PF_LOG_PACKET, /* struct pf_log_rec, then the frame's first bytes */
	PF_LOG_NOTE,   /* struct pf_note */
};

/* What a note tells: of a packet that its state refused, or nearly so. */
enum pf_note_what {
	PF_NOTE_NONE,
	PF_NOTE_BAD,	    /* TCP: outside of the windows */
	PF_NOTE_LOOSE,	    /* TCP: let through, but only nearly inside */
	PF_NOTE_CHALLENGE,  /* TCP: SYN into a living connection */
	PF_NOTE_REUSE,	    /* TCP: SYN over a dead one */
	PF_NOTE_ICMP,	    /* an error that quotes what the state has not let pass */
	PF_NOTE_ICMP_OUTER, /* an error that is not for who sent what it quotes: no state */
	PF_NOTE_ICMP_WAY,   /* a query or an answer in the wrong direction */
	PF_NOTE_SCTP,	    /* a verification tag that is not the association's */
};

/* The windows of a peer, as the check found them. */
struct pf_note_peer {
	__u32 seqlo, seqhi, max_win;
};

/* From set debug notice on; for pfd to write in pf's notation. */
struct pf_note {
	__u32 kind; /* PF_LOG_NOTE */
	__u32 what; /* enum pf_note_what */
	__u8 af;
	__u8 dir;
	__u8 flags; /* TCP's */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 sws, dws; /* window scales: of the sender, of the other */
	__u8 pad;
	__u32 seq, orig_seq, ack, data_end, len;
	__s32 skew;
	struct pf_note_peer peer[2]; /* [0] made the state */
	struct pf_addr src, dst, quoted_src, quoted_dst;
	struct pf_state state;
};

/*
 * The packet at hand, in per-CPU scratch memory: filled by the parser, read by
 * the generated rules, finished by apply.  The compiler takes offsets from here.
 */
struct pf_pkt {
	struct pf_addr src;
	struct pf_addr dst;
	__u16 sport; /* host order; ICMP has its id and type here, as pf */
	__u16 dport;
	__u8 af;
	__u8 dir;
	__u8 proto;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_reply; /* answers a query */
	__u8 icmp_error; /* belongs to another packet */
	__u8 frag;	 /* PF_FRAG_* */
	__u8 badopts;	 /* PF_OPT_* */
	__u8 tos;
	__u8 ttl;
	__u8 keep_never; /* no rule that keeps state matches it */
	__u8 limited;	 /* a rule's limiter blocks it: the reason */
	__u16 tag;	 /* that it carries, or was given by a rule; 0 none */
	__u32 ifindex;
	__u32 rule_index;  /* of the generation's rules, or steps: the last that matched */
	__u32 rcv_ifindex; /* where it came in; 0: it was made here */
	struct pf_ifmask ifmask;
	struct pf_ifmask rcvmask;
	__u32 seed;	/* what `probability` draws from */
	__u32 draws;	/* how many numbers were drawn */
	__u64 once;	/* its number in the `once' rules that it has taken; 0: none yet */
	__u32 nmatched; /* of `matched` */
	__u8 no_state;	/* it makes none, whatever its rule says */
	__u8 pad2[3];
	struct pf_rule_info rule;
	struct pf_state_key key;
	/* offsets from the start of the frame, lengths in bytes */
	__u32 l2;
	__u32 l3;
	__u32 l4;
	__u32 tot_len;	   /* of the IP packet */
	__u32 payload_len; /* TCP: behind the header */
	__u32 seq;
	__u32 ack;
	__u16 win;
	__u8 wscale;	/* of a SYN: value | PF_WSCALE_FLAG */
	__u8 th_off;	/* bytes */
	__u16 icmp_id;	/* network order */
	__u16 sctp;	/* PF_SCTP_* */
	__u32 v_tag;	/* SCTP's verification tag */
	__u32 init_tag; /* of an INIT or INIT ACK, 0 none */
	__u8 vlan_tags; /* in the packet */
	__u8 reason;
	__u8 answer; /* enum pf_answer */
	__u8 answer_flags;
	__u32 answer_seq; /* TCP; of ICMP the MTU, if it tells one */
	__u32 answer_ack;
	__u16 answer_icmp; /* type << 8 | code */
	__u8 answer_ttl;
	__u8 over; /* its state's rule has had too many: it is judged, but makes no other state */
	__u32 top_slot; /* 0, but read from memory: see pf_top */
	/* translation; src, dst, sport, dport above are what rules see of it */
	struct pf_addr src_was, dst_was;
	__u16 sport_was, dport_was;
	__u32 moves;	      /* how often rules have translated; 0: the four are not set */
	__u32 nat;	      /* 1 + index of the last nat-to, 0 none */
	__u16 nat_lo, nat_hi; /* the ports that it may choose from; equal: no choice */
	__u32 nat_again;      /* the nat-to that is to choose nat_port ... */
	__u16 nat_port;
	__u8 walks;    /* ... when the rules are walked again: how often that was */
	__u8 nat_seen; /* later rules may have asked for its port */
	__u32 nat_found;
	struct pf_state_key nat_key; /* the translated packet's */
	__u32 state;		     /* index of the state that translates */
	/* for PF_PROG_ROUTE: the gateway, and who translates first: 1 + index of a state, 0 none */
	__u32 hop; /* number of a struct pf_opt_set */
	__u32 hop_state;
	__u32 fence; /* for an exchange that is a barrier, and nothing else */
	/* for counters of tables: source and destination as rules saw them, before and, if
	 * there is that, behind translation */
	struct pf_addr ends[4];
	__u8 ends_moved;
	__u8 counted; /* rules that it has met have such tables */
	__u16 pad_counted;
	/* of an ICMP error: where the quoted headers are */
	__u32 quote_l3, quote_l4;
	/* of the state that is being made: as struct pf_state_peer has them */
	__u32 source;
	__u32 limits;
	__u32 limited_source;
	__u8 buf[PF_ANSWER_BUF];
	/* of the tree's program */
	__u32 field[16]; /* by enum pf_tree_field */
	__u32 won;	 /* how often a rule has won */
	__u32 depth;	 /* of the ruleset that is walked */
	struct pf_walk_frame frame[PF_WALK_DEPTH + 1];
	struct pf_matched matched[PF_MATCH_MOST]; /* in the order of the rules */
	struct pf_matched logged;		  /* the rule that a log record is of */
	struct pf_match_more more;		  /* for a new state */
	struct pf_note note;			  /* .what: what there is to tell */
};

/* Slots of the static program array. */
enum pf_prog {
	PF_PROG_SLOW,
	PF_PROG_TRACK,
	PF_PROG_ICMP,
	PF_PROG_ICMP_ERROR,
	PF_PROG_ANSWER,
	PF_PROG_NAT,
	PF_PROG_NAT_ERROR,
	PF_PROG_ROUTE,
	PF_PROG_MAX,
};
/* Slots of a generation's own program array. */
enum pf_gen_prog { PF_GEN_APPLY, PF_GEN_MAX };

/* What has become of a state, and the state as it is then. */
enum pf_event_kind { PF_EVENT_INSERT, PF_EVENT_UPDATE, PF_EVENT_DELETE, PF_EVENT_MAX };
struct pf_event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 kind; /* enum pf_event_kind */
	__u32 pad;
	struct pf_state state;
};

/* A log record; the frame's first bytes follow it. */
#define PF_LOG_SNAPLEN 256
struct pf_log_rec {
	__u32 kind; /* PF_LOG_PACKET */
	__u32 ifindex;
	__u64 time;    /* CLOCK_MONOTONIC, ns */
	__u32 rule_nr; /* ~0: no rule */
	__u32 rule_id;
	__u32 len;    /* of the IP packet */
	__u16 caplen; /* bytes of the frame that follow */
	__u16 l3;     /* where IP starts in them */
	__u8 af;
	__u8 action;
	__u8 reason;
	__u8 dir;
	__be16 sport;
	__be16 dport;
	__u32 anchor_nr; /* of the anchor's rule that led to it; ~0: main ruleset */
	__u32 pad;
};

PF_ABI_ASSERT(sizeof(struct pf_state_key) == 40);
PF_ABI_ASSERT(sizeof(struct pf_state_peer) == 64);
PF_ABI_ASSERT(sizeof(struct pf_state) == 256);
PF_ABI_ASSERT(sizeof(struct pf_bucket) == 64);
PF_ABI_ASSERT(sizeof(struct pf_opt_set) == 200);
PF_ABI_ASSERT(PF_CNT_LIMIT + LCNT_MAX == PF_CNT_MAX);
PF_ABI_ASSERT(sizeof(struct pf_limbo_entry) == 8);
PF_ABI_ASSERT(sizeof(struct pf_config) == 272 + 8 * PF_CNT_MAX);
PF_ABI_ASSERT(sizeof(struct pf_status) == 400);
PF_ABI_ASSERT(sizeof(struct pf_src_key) == 24);
PF_ABI_ASSERT(sizeof(struct pf_src_node) == 72);
PF_ABI_ASSERT(sizeof(struct pf_rule_stats) == 48);
PF_ABI_ASSERT(sizeof(struct pf_iface) == 40);
PF_ABI_ASSERT(sizeof(struct pf_rule_info) == 32);
PF_ABI_ASSERT(sizeof(struct pf_matched) == 16);
PF_ABI_ASSERT(sizeof(struct pf_ifmask) == 72);
PF_ABI_ASSERT(sizeof(struct pf_log_rec) == 48);
PF_ABI_ASSERT(sizeof(struct pf_note) == 384);
PF_ABI_ASSERT(sizeof(struct pf_event) == 272);
PF_ABI_ASSERT(sizeof(struct pf_nat) == 40);
PF_ABI_ASSERT(sizeof(struct pf_pkt) % 8 == 0);
PF_ABI_ASSERT(__builtin_offsetof(struct pf_pkt, rule) % 8 == 0);
/* words that rules compare as one: pf_tree_rule.head, .icmp and ports */
PF_ABI_ASSERT(__builtin_offsetof(struct pf_pkt, af) % 4 == 0 &&
	      __builtin_offsetof(struct pf_pkt, dir) == __builtin_offsetof(struct pf_pkt, af) + 1 &&
	      __builtin_offsetof(struct pf_pkt, proto) ==
		      __builtin_offsetof(struct pf_pkt, af) + 2 &&
	      __builtin_offsetof(struct pf_pkt, tcp_flags) ==
		      __builtin_offsetof(struct pf_pkt, af) + 3);
PF_ABI_ASSERT(__builtin_offsetof(struct pf_pkt, icmp_type) % 4 == 0 &&
	      __builtin_offsetof(struct pf_pkt, icmp_code) ==
		      __builtin_offsetof(struct pf_pkt, icmp_type) + 1);

#endif /* PF_ABI_H */
