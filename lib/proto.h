/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol between pfd and its clients: a stream of frames over a
 * Unix socket, each a header and a payload written with wire.h.
 *
 * A client sends a request and reads frames until PF_MSG_OK or PF_MSG_ERROR;
 * PF_MSG_DATA may come in between, any number of them.  A request that does not
 * fit in one frame is sent as PF_REQ_LOAD_DATA, in pieces.
 *
 * A load is a transaction: PF_REQ_LOAD_BEGIN gives a ticket, and makes those
 * given before worthless; the pieces and the commit name it.
 */
#ifndef PF_LIB_PROTO_H
#define PF_LIB_PROTO_H

#include <stdint.h>

#define PF_SOCKET_DEFAULT  "/run/pf/pfd.sock"
#define PF_PIN_DIR_DEFAULT "/sys/fs/bpf/pf"
#define PF_LOG_DEFAULT	   "/var/log/pflog"

#define PF_PROTO_MAGIC	   0x70664c39 /* "pfL9": the last digit is the version */
#define PF_FRAME_MOST	   (1U << 20) /* bytes of payload */

struct pf_frame {
	uint32_t magic;
	uint16_t type; /* enum pf_msg */
	uint16_t reserved;
	uint32_t len; /* of the payload */
	uint32_t seq; /* of the request; answers repeat it */
};

/* Payloads: of the request -> of the answer.  s is a string, u32 and so on numbers. */
enum pf_msg {
	/* answers */
	PF_MSG_OK = 1,
	PF_MSG_ERROR, /* u32 errno, s message */
	PF_MSG_DATA,

	PF_REQ_FIRST = 100,
	PF_REQ_LOAD_BEGIN = PF_REQ_FIRST, /* -> u64 ticket */
	PF_REQ_LOAD_DATA,		  /* u64 ticket, bytes of a model -> */
	/* u64 ticket, u32 seconds to confirm, 0 none, s path of an anchor, "" the main ruleset
	 * -> u32 adopted, u32 room, u32 skipped: see struct pf_loaded
	 */
	PF_REQ_LOAD_COMMIT,
	PF_REQ_CONFIRM, /* -> */
	PF_REQ_ENABLE,	/* -> */
	PF_REQ_DISABLE, /* -> */
	/* s path -> DATA model in pieces, one empty DATA, DATA of pf_wire_rule; u32 rules, uid,
	 * pid. Braces that have no name are in the model, and their numbers behind those of their
	 * rule.
	 */
	PF_REQ_RULES,
	PF_REQ_CLEAR_RULES, /* -> */
	/* s interface, "" any, u32 number of a rule, ~0 any -> DATA struct pf_wire_state, many in
	 * one
	 */
	PF_REQ_STATES,
	PF_REQ_STATUS,	     /* -> struct pf_wire_status */
	PF_REQ_CLEAR_STATUS, /* -> */
	PF_REQ_OPTIONS,	     /* -> u32 timeouts[], u32 limits[] */
	/* s path, u8 all below it as well -> DATA s path, s name, u32 flags, u32 addresses, and
	 * struct pf_wire_table_counts of those that count; active ones
	 */
	PF_REQ_TABLES,
	/* u8 op, u8 flags, s path, s name, u32 n, n entries -> see enum pf_table_op */
	PF_REQ_TABLE,
	PF_REQ_TABLE_DATA,   /* entries that the next PF_REQ_TABLE is to begin with -> */
	PF_REQ_FLUSH_RULES,  /* s path -> */
	PF_REQ_FLUSH_TABLES, /* s path, u8 all below it as well -> u32 tables */
	/* source, destination and gateway: u8 af, u8 bits, u8 neg, 16 address each, af 0 any;
	 * u8 protocol, 0 any; u8 are there ports, u16 source, u16 destination, network order;
	 * s interface, "" any; s label, NULL any; u64 id, 0 any; u8 the other state as well
	 * -> u32 states
	 */
	PF_REQ_KILL,
	PF_REQ_DEBUG,	    /* u32 level -> */
	PF_REQ_RESET,	    /* -> ; options, skipped interfaces and the debug level as at first */
	PF_REQ_ANCHORS,	    /* -> DATA s path; u32 anchors */
	PF_REQ_DUMP,	    /* u8 all -> DATA text in pieces */
	PF_REQ_STATES_SAVE, /* -> DATA one block of saved.h each */
	PF_REQ_STATES_DATA, /* a piece of a file of saved.h, for the next PF_REQ_STATES_LOAD -> */
	/* -> u32 loaded, u32 there already, u32 refused, u32 without their rule */
	PF_REQ_STATES_LOAD,
	/* -> DATA u64 events lost before these, struct pf_wire_event, any number; without an end,
	 * and nothing else may be asked for
	 */
	PF_REQ_MONITOR,
	PF_REQ_SOURCES, /* -> DATA struct pf_wire_source, many in one */
	/* u8 hosts, that many of u8 af, u8 bits, u8 neg, 16 address -> u32 nodes */
	PF_REQ_KILL_SOURCES,
	PF_REQ_LIMITERS, /* -> DATA struct pf_wire_limiter, many in one */
	PF_REQ_LIMITED,	 /* -> DATA struct pf_wire_limited, many in one; by limiter */
	PF_REQ_MOST,
};

/* One rule's numbers, in the order of the rules. */
struct pf_wire_rule {
	uint64_t evaluations;
	uint64_t packets[2]; /* in, out */
	uint64_t bytes[2];
	uint64_t states_made;
	uint64_t states_now;
	uint32_t skip[9]; /* enum pf_skip of compiler.h; the number of rules is the end */
	uint32_t reachable;
	uint32_t expired; /* `once' */
	uint32_t pad;
};

/* A state; addresses in network order, all else in the host's. */
struct pf_wire_state {
	uint64_t id;
	uint8_t addr[2][2][16]; /* [wire, stack][side] as in struct pf_state_key */
	uint16_t port[2][2];
	uint8_t proto;
	uint8_t af;	       /* enum pf_family */
	uint8_t dir;	       /* enum pf_rule_dir */
	uint8_t flags;	       /* PF_WIRE_STATE_* */
	uint8_t peer_state[2]; /* [0] who made it */
	uint8_t wscale[2];
	uint32_t seqlo[2];
	uint32_t seqhi[2];
	uint32_t seqdiff[2];
	uint64_t packets[2];
	uint64_t bytes[2];
	uint32_t age;	  /* seconds */
	uint32_t expires; /* seconds */
	uint32_t rule;	  /* number, ~0 if it is none of the rules in force */
	uint32_t anchor;  /* number of the anchor's rule that led to it, ~0 none */
	uint8_t route;	  /* enum pf_route_kind */
	uint8_t pad[3];
	uint8_t gateway[16];
	char gateway_if[16]; /* "": the way to it says */
	char tag[64];	     /* "": none */
	char ifname[16];     /* that it is bound to; "all" */
	char origin[16];     /* where it was made; "" if that is gone */
};
#define PF_WIRE_STATE_LOOSE  1
#define PF_WIRE_STATE_SLOPPY 2
#define PF_WIRE_STATE_SOURCE 4 /* a source node counts it */

/* What has become of a state. */
struct pf_wire_event {
	uint64_t time; /* nanoseconds since 1970 */
	uint32_t kind; /* enum pf_wire_event_kind */
	uint32_t pad;
	struct pf_wire_state state; /* as it was then */
};
enum pf_wire_event_kind { PF_WIRE_INSERT, PF_WIRE_UPDATE, PF_WIRE_DELETE, PF_WIRE_EVENT_MAX };

/* A source that is tracked. */
struct pf_wire_source {
	uint8_t addr[16];
	uint8_t af; /* enum pf_family */
	uint8_t pad[3];
	uint32_t states;
	uint32_t connections;
	uint32_t rate;	  /* thousandths of connections ... */
	uint32_t seconds; /* ... in so many seconds */
	uint32_t age;	  /* seconds */
	uint32_t expires; /* seconds; if it has no states */
	uint32_t rule;	  /* number, ~0 if it is of all rules, or of none that is in force */
	uint64_t packets;
	uint64_t bytes;
};

/* A state limiter, or a source limiter. */
struct pf_wire_limiter {
	char name[16];
	uint8_t id;
	uint8_t source;
	uint8_t mask[2]; /* of IPv4, of IPv6 */
	uint32_t limit;
	uint32_t rate;	  /* states, 0 none ... */
	uint32_t seconds; /* ... in so many seconds */
	uint32_t states;
	uint32_t entries, sources;
	uint32_t above, below; /* of the table that its sources are put into ... */
	uint32_t pad;
	char table[32]; /* ... "" none */
	uint64_t admitted;
	uint64_t hardlimited;
	uint64_t ratelimited;
	uint64_t addrlimited; /* there was no room for a source more */
};

/* A source of a source limiter. */
struct pf_wire_limited {
	uint8_t addr[16];
	uint8_t af; /* enum pf_family */
	uint8_t bits;
	uint8_t id; /* the limiter's */
	uint8_t pad;
	uint32_t states;
	uint64_t admitted;
	uint64_t hardlimited;
	uint64_t ratelimited;
};

#define PF_WIRE_REASONS 17
#define PF_WIRE_LIMITS	10

struct pf_wire_status {
	uint32_t enabled;
	uint32_t debug;
	uint64_t since; /* seconds since it was enabled or disabled, or its counters cleared */
	uint32_t states;
	uint32_t half_open;
	uint64_t searches;
	uint64_t inserts;
	uint64_t removals;
	uint64_t reasons[PF_WIRE_REASONS];
	uint64_t limits[PF_WIRE_LIMITS]; /* how often each was met */
	uint64_t logged;
	uint64_t log_lost;
	uint64_t answers;
	uint64_t no_answer;
	uint64_t unjudged;
	uint64_t vlan_deep;
	uint64_t unknown_link;
	uint64_t no_flush; /* offenders whose states could not be ended */
	uint32_t sources;
	uint32_t pad;
	uint64_t source_searches;
	uint64_t source_inserts;
	uint64_t source_removals;
	uint64_t no_room; /* addresses that the datapath could not add to a table */
	uint32_t interfaces;
	uint32_t confirm_left; /* seconds until a roll-back, begun ones too; 0 none */
	uint32_t rules;
	uint32_t tables;
};

enum pf_table_op {
	PF_TABLE_SHOW,	 /* -> DATA entries */
	PF_TABLE_ADD,	 /* -> u32 added, u32 table made; DATA one u8 an entry: what became of it */
	PF_TABLE_DELETE, /* -> u32 deleted, u32 0; DATA */
	/* -> u32 matching, u32 0; DATA; with PF_TABLE_DETAILS, DATA entries: what decided, af 0
	 * if nothing
	 */
	PF_TABLE_TEST,
	PF_TABLE_FLUSH, /* -> u32 deleted, u32 0 */
	/* -> u32 added, u32 deleted, u32 changed, u32 table made; DATA; with PF_TABLE_DETAILS,
	 * DATA entries: those deleted
	 */
	PF_TABLE_REPLACE,
	PF_TABLE_KILL, /* -> u32 tables, u32 0 */
	/* behind the entries, of which there are none: u32 seconds -> u32 expired, u32 0; with
	 * PF_TABLE_DETAILS, DATA entries: those expired
	 */
	PF_TABLE_EXPIRE,
	PF_TABLE_ZERO,		/* -> u32 cleared, u32 0; DATA; with PF_TABLE_ALL, all there are */
	PF_TABLE_SHOW_COUNTERS, /* -> DATA struct pf_wire_table_entry; u32 1, or 0 if nothing is
				 * counted
				 */
	PF_TABLE_OP_MOST,
};

/* What became of an entry. */
enum pf_table_feedback {
	PF_FEEDBACK_NONE, /* as it was: there already, or not there */
	PF_FEEDBACK_ADDED,
	PF_FEEDBACK_DELETED,
	PF_FEEDBACK_CHANGED,   /* negation */
	PF_FEEDBACK_CONFLICT,  /* there with the other sign */
	PF_FEEDBACK_DUPLICATE, /* came twice in one request */
	PF_FEEDBACK_MATCH,     /* test */
	PF_FEEDBACK_NOMATCH,   /* test: a negated entry decided */
	PF_FEEDBACK_CLEARED,
};

/* Flags of PF_REQ_TABLE. */
#define PF_TABLE_DRY_RUN 1
#define PF_TABLE_DETAILS 2
#define PF_TABLE_ALL	 4

/* Flags of a table in PF_REQ_TABLES. */
enum {
	PF_TABLE_FLAG_CONST = 1,
	PF_TABLE_FLAG_PERSIST = 2,
	PF_TABLE_FLAG_ACTIVE = 4,
	PF_TABLE_FLAG_REFERENCED = 8,
	PF_TABLE_FLAG_ANCHORED = 16, /* anchors have or mean one of its name */
	PF_TABLE_FLAG_COUNTERS = 32,
};

/* Entries in requests and answers. */
struct pf_wire_entry {
	uint8_t af;
	uint8_t bits;
	uint8_t neg;
	uint8_t pad;
	uint8_t addr[16];
	uint32_t age; /* of PF_TABLE_SHOW: seconds since it was made or last cleared */
};

/* By direction, in and out, and what the rules did: block, match, pass, pass of states alone. */
enum { PF_WIRE_TABLE_OPS = 4 };
struct pf_wire_table_counts {
	uint64_t packets[2][PF_WIRE_TABLE_OPS];
	uint64_t bytes[2][PF_WIRE_TABLE_OPS];
};

/* The last of the operations is none of an entry. */
struct pf_wire_table_entry {
	struct pf_wire_entry entry;
	uint32_t pad;
	struct pf_wire_table_counts counts;
};

#endif /* PF_LIB_PROTO_H */
