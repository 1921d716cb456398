/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of pfctl-linux share. */
#ifndef PFCTL_LINUX_H
#define PFCTL_LINUX_H

#include <stdbool.h>
#include <stddef.h>

#include "../grammar/parse.h"
#include "../lib/client.h"

#define DEFINES_MOST   64
#define PFCTL_ANY_RULE UINT32_MAX

/* The command line. */
struct pfctl {
	const char *socket;
	struct pf_client client;
	bool connected;
	unsigned int verbose; /* -v, -vv */
	bool quiet;
	bool no_action;
	bool offline, lint, no_dns;
	int optimize; /* enum pf_optimize: what -o says */
	bool port_names;
	const char *interface; /* -i: its states, NULL all */
	uint32_t rule;	       /* -R: its number, PFCTL_ANY_RULE all */
	bool matching;	       /* -M */
	bool json;
	bool json_more;	   /* the list at hand has an item already */
	char *anchor;	   /* -a: a path, "" the main ruleset */
	bool recurse;	   /* ... and all that is below it */
	const char *title; /* of -s all: printed before the first line of a part */
	bool titled;	   /* one was: a blank line comes before the next */
	struct pf_define defines[DEFINES_MOST];
	size_t ndefines;
};

/* Connects when that has not been done; 0, or 1 with the reason said. */
int pfctl_connect(struct pfctl *c);
/* One request; 0, or 1 with the reason said. */
int pfctl_call(struct pfctl *c, enum pf_msg type, const struct pf_buf *payload,
	       int (*data)(void *ctx, const void *payload, size_t len), void *ctx,
	       struct pf_buf *ok);

__attribute__((format(printf, 1, 2))) void pfctl_warn(const char *fmt, ...);
/* To standard error, unless -q. */
__attribute__((format(printf, 2, 3))) void pfctl_say(const struct pfctl *c, const char *fmt, ...);

/* The checks of an option's argument, before anything is done; 1 or -1 with the reason said. */
int pfctl_table_check(const struct pfctl *c, const char *table, const char *command,
		      char *const *args, size_t n, const char *file);
int pfctl_level(const char *name);
int pfctl_kill_check(const struct pfctl *c, const char *const *args, size_t nargs);

/* -o's argument: 0 and enum pf_optimize in c, or 1 with the reason said. */
int pfctl_optimize(struct pfctl *c, const char *level);
/* How often the running rules that are written as those of rs have matched; see parse.h. */
uint64_t *pfctl_profile(void *ctx, const struct pf_ruleset *rs);

/* Each does what an option asks, and returns pfctl's exit status. */
int pfctl_load(struct pfctl *c, const char *file, unsigned int confirm);
int pfctl_confirmed(struct pfctl *c);
int pfctl_enable(struct pfctl *c, bool on);
int pfctl_debug(struct pfctl *c, int level);
int pfctl_clear_rule_counters(struct pfctl *c);
int pfctl_flush(struct pfctl *c, const char *what);
int pfctl_kill(struct pfctl *c, const char *const *args, size_t nargs);
int pfctl_flush_states(struct pfctl *c);
int pfctl_kill_sources(struct pfctl *c, const char *const *hosts, size_t nhosts);
int pfctl_flush_sources(struct pfctl *c);
int pfctl_show(struct pfctl *c, const char *what, bool clear);
int pfctl_dump_program(struct pfctl *c);
int pfctl_save_states(struct pfctl *c, const char *file);
int pfctl_load_states(struct pfctl *c, const char *file);
/* Does not end by itself. */
int pfctl_monitor(struct pfctl *c);
int pfctl_table(struct pfctl *c, const char *table, const char *command, char *const *addresses,
		size_t n, const char *file);

/* The lines of one state. */
/* All of them end, whatever pfd has said. */
void pfctl_state_names(struct pf_wire_state *s);
void pfctl_print_state(const struct pfctl *c, const struct pf_wire_state *s);

/* Parts of pfctl_show(). */
int pfctl_show_rules(struct pfctl *c, bool labels);
int pfctl_show_states(struct pfctl *c);
int pfctl_show_sources(struct pfctl *c);
int pfctl_show_limiters(struct pfctl *c);
int pfctl_show_status(struct pfctl *c);
/* MD5 of what -s rules shows of the main ruleset, in digits; 0, or 1 with the reason said. */
#define PFCTL_CHECKSUM_SIZE 33
int pfctl_rules_checksum(struct pfctl *c, char sum[PFCTL_CHECKSUM_SIZE]);
int pfctl_show_timeouts(struct pfctl *c);
int pfctl_show_memory(struct pfctl *c);
int pfctl_show_tables(struct pfctl *c);

/*
 * pfd's rules and what they have counted, one struct pf_wire_rule each; both for the caller to
 * free.  0, or 1 with the reason said.
 */
int pfctl_fetch_rules(struct pfctl *c, struct pf_ruleset **rs, struct pf_wire_rule **stats);

/* -a's argument into c; 0, or 1 with the reason said. */
int pfctl_anchor(struct pfctl *c, const char *path);

/* The paths of all anchors, sorted, for pfctl_anchors_free(); 0, or 1 with the reason said. */
struct pfctl_anchors {
	char **path;
	size_t n;
};
int pfctl_anchors(struct pfctl *c, struct pfctl_anchors *l);
void pfctl_anchors_free(struct pfctl_anchors *l);
bool pfctl_anchor_exists(struct pfctl *c, const char *path);
int pfctl_show_anchors(struct pfctl *c);

/* Prints the title that waits, if any: a line of its part follows. */
void pfctl_print_title(struct pfctl *c);

/* The name of a level of syslog's, for -x and -s info; NULL for what is none. */
const char *pfctl_level_name(unsigned int level);

/* --- the list of tables --- */

struct pfctl_table_line {
	char *path; /* of its anchor; "" the main ruleset */
	char name[PF_TABLE_NAME_SIZE];
	uint32_t flags;
	uint32_t addresses;
	struct pf_wire_table_counts counts; /* if it has counters */
};

struct pfctl_tables {
	struct pfctl_table_line *line;
	size_t n;
};

/*
 * The active ones of one ruleset, or also of all below it, by path and name, for
 * pfctl_tables_free(); 0, or 1 with the reason said.
 */
int pfctl_tables(struct pfctl *c, const char *path, bool below, struct pfctl_tables *l);
void pfctl_tables_free(struct pfctl_tables *l);
/* The one that rules of the anchor at this path mean by the name, out of all; or NULL. */
const struct pfctl_table_line *pfctl_tables_find(const struct pfctl_tables *l, const char *path,
						 const char *name);

/* seconds as hours, minutes, seconds */
void pfctl_print_time(uint32_t seconds);

/* --- addresses on the command line --- */

struct pf_ifdb;

struct pf_address_list {
	struct pf_wire_entry *entry;
	size_t n, capacity;
	bool interfaces;      /* their names are understood */
	bool no_dns;	      /* names of hosts are not */
	struct pf_ifdb *ifdb; /* read when first asked */
};

void pfctl_addresses_free(struct pf_address_list *l);
/*
 * Adds what an argument means: an address or prefix; a host's name or, if they are
 * understood, an interface, a group of them or self, with all addresses; each perhaps with
 * "!" before it.  0, or 1 with the reason said.
 */
int pfctl_address_add(struct pf_address_list *l, const char *text);
/* Would they be added to a list like that, which is empty?  The same. */
int pfctl_addresses_check(const struct pf_address_list *how, const char *const *args, size_t n);
/* One a line, "#" begins a comment; "-" is standard input. */
int pfctl_addresses_read(struct pf_address_list *l, const char *file);
/* IPv4 first, then by address and length. */
/* Of struct pf_wire_entry, or of what begins with one. */
int pfctl_address_compare(const void *a, const void *b);
void pfctl_addresses_sort(struct pf_address_list *l);
/* With a column for the sign; it holds until the next call. */
const char *pfctl_address_text(const struct pf_wire_entry *e);

#endif /* PFCTL_LINUX_H */
