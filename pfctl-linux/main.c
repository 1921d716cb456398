// SPDX-License-Identifier: BSD-2-Clause
/* pfctl-linux: the command line. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfctl.h"

#define KILLS_MOST   2
#define CONFIRM_MOST 86400

/* What was asked for, in the order in which pfctl does it. */
struct actions {
	bool enable, disable, clear_counters, confirmed, dump, monitor;
	const char *show;
	const char *flush;
	const char *kill[KILLS_MOST];
	size_t nkill;
	const char *kill_sources[KILLS_MOST];
	size_t nkill_sources;
	const char *table, *table_command;
	const char *rules;
	const char *save, *restore; /* files of states */
	int debug;		    /* a level of syslog's, -1 none */
	unsigned int confirm;
};

/* What an option takes; both lists end in NULL. */
struct choices {
	char option;
	const char *kind;
	const char *const *known;
	const char *const *todo; /* what OpenBSD has beside these */
};

static const struct choices show_choices = {
	's', "show modifier",
	(const char *const[]){"rules", "states", "info", "labels", "timeouts", "memory", "Tables",
			      "Anchors", "Sources", "Limiters", "all", NULL},
	(const char *const[]){"queue", "Interfaces", "osfp", NULL}};

static const struct choices flush_choices = {
	'F', "flush modifier",
	(const char *const[]){"rules", "states", "Sources", "info", "Tables", "Reset", "all", NULL},
	(const char *const[]){"osfp", NULL}};

static const struct choices table_choices = {'T', "table command",
					     (const char *const[]){"flush", "add", "delete",
								   "replace", "show", "test",
								   "kill", "expire", "zero", NULL},
					     (const char *const[]){NULL}};

static void usage(FILE *f)
{
	fputs("usage: pfctl-linux [-dehMNnPqvz] [-a anchor] [-D macro=value] [-F modifier]\n"
	      "\t[-f file] [-i interface] [-K host [-K host]]\n"
	      "\t[-k host | label | id | key | gateway | nat] [-L statefile] [-o level]\n"
	      "\t[-p socket] [-S statefile] [-s modifier [-R rule]] [-t table -T command [address "
	      "...]] [-x level]\n"
	      "\t[--confirm seconds] [--confirmed] [--dump-program] [--json] [--lint]\n"
	      "\t[--monitor] [--offline] [--version]\n",
	      f);
}

void pfctl_warn(const char *fmt, ...)
{
	va_list ap;

	fputs("pfctl-linux: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void pfctl_say(const struct pfctl *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int pfctl_connect(struct pfctl *c)
{
	if (c->connected)
		return 0;
	if (pf_client_connect(&c->client, c->socket)) {
		pfctl_warn("%s", c->client.error);
		return 1;
	}
	c->connected = true;
	return 0;
}

int pfctl_call(struct pfctl *c, enum pf_msg type, const struct pf_buf *payload,
	       int (*data)(void *ctx, const void *payload, size_t len), void *ctx,
	       struct pf_buf *ok)
{
	if (pfctl_connect(c))
		return 1;
	if (pf_client_call(&c->client, type, payload, data, ctx, ok)) {
		pfctl_warn("%s", c->client.error);
		return 1;
	}
	return 0;
}

/* The name of the list that begins with the text; no two begin with the same letter. */
static const char *abbreviation(const char *text, const char *const *list)
{
	size_t len = strlen(text);

	for (; len && *list; list++)
		if (strncmp(text, *list, len) == 0)
			return *list;
	return NULL;
}

/* What an option's argument stands for; 0, or 1 with the reason said. */
static int choose(const struct choices *l, const char *text, const char **out)
{
	const char *todo = abbreviation(text, l->todo);

	*out = abbreviation(text, l->known);
	if (*out)
		return 0;
	if (todo)
		pfctl_warn("-%c %s is not supported yet", l->option, todo);
	else
		pfctl_warn("unknown %s '%s'", l->kind, text);
	return 1;
}

static int add_define(struct pfctl *c, char *arg)
{
	char *value = strchr(arg, '=');

	if (!value || value == arg) {
		pfctl_warn("could not parse macro definition %s", arg);
		return 1;
	}
	if (c->ndefines == DEFINES_MOST) {
		pfctl_warn("more than %d macro definitions", DEFINES_MOST);
		return 1;
	}
	*value++ = '\0';
	c->defines[c->ndefines++] = (struct pf_define){.name = arg, .value = value};
	return 0;
}

static int parse_seconds(const char *text, unsigned int *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < 1 || n > CONFIRM_MOST) {
		pfctl_warn("--confirm takes a number of seconds (1 to %d), not '%s'", CONFIRM_MOST,
			   text);
		return 1;
	}
	*out = (unsigned int)n;
	return 0;
}

static int parse_rule(const char *text, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n >= PFCTL_ANY_RULE) {
		pfctl_warn("-R takes the number of a rule, not '%s'", text);
		return 1;
	}
	*out = (uint32_t)n;
	return 0;
}

static int parse_interface(const char *text, const char **out)
{
	if (!*text || strlen(text) >= PF_IFNAME_SIZE) {
		pfctl_warn("invalid interface: %s", text);
		return 1;
	}
	*out = text;
	return 0;
}

enum {
	OPT_CONFIRM = 256,
	OPT_CONFIRMED,
	OPT_VERSION,
	OPT_HELP,
	OPT_LINT,
	OPT_OFFLINE,
	OPT_DUMP,
	OPT_MONITOR,
	OPT_JSON
};

static const struct option long_options[] = {
	{"confirm", required_argument, NULL, OPT_CONFIRM},
	{"confirmed", no_argument, NULL, OPT_CONFIRMED},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{"lint", no_argument, NULL, OPT_LINT},
	{"offline", no_argument, NULL, OPT_OFFLINE},
	{"dump-program", no_argument, NULL, OPT_DUMP},
	{"monitor", no_argument, NULL, OPT_MONITOR},
	{"json", no_argument, NULL, OPT_JSON},
	{NULL, 0, NULL, 0},
};

static int add_kill(int opt, const char **hosts, size_t *n)
{
	if (*n == KILLS_MOST) {
		pfctl_warn("can only specify -%c twice", opt);
		return 1;
	}
	hosts[(*n)++] = optarg;
	return 0;
}

/* Those whose argument is looked at; returns as one_option(). */
static int checked_option(struct pfctl *c, struct actions *a, int opt)
{
	switch (opt) {
	case 'a':
		return pfctl_anchor(c, optarg);
	case 'D':
		return add_define(c, optarg);
	case 'F':
		return choose(&flush_choices, optarg, &a->flush);
	case 'i':
		return parse_interface(optarg, &c->interface);
	case 'k':
		return add_kill(opt, a->kill, &a->nkill);
	case 'K':
		return add_kill(opt, a->kill_sources, &a->nkill_sources);
	case 'o':
		return pfctl_optimize(c, optarg);
	case 'R':
		return parse_rule(optarg, &c->rule);
	case 's':
		return choose(&show_choices, optarg, &a->show);
	case 'T':
		return choose(&table_choices, optarg, &a->table_command);
	case 'x':
		a->debug = pfctl_level(optarg);
		return a->debug < 0;
	case OPT_CONFIRM:
		return parse_seconds(optarg, &a->confirm);
	default:
		return 2;
	}
}

/* 0, 1 for an error that has been said, -1 for all done, 2 for the usage. */
static int one_option(struct pfctl *c, struct actions *a, int opt)
{
	switch (opt) {
	case 'd':
		a->disable = true;
		return 0;
	case 'e':
		a->enable = true;
		return 0;
	case 'f':
		a->rules = optarg;
		return 0;
	case 'M':
		c->matching = true;
		return 0;
	case 'n':
		c->no_action = true;
		return 0;
	case 'L':
		a->restore = optarg;
		return 0;
	case 'S':
		a->save = optarg;
		return 0;
	case 'N':
		c->no_dns = true;
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_LINT:
		c->lint = true;
		return 0;
	case OPT_OFFLINE:
		c->offline = true;
		return 0;
	case 'P':
		c->port_names = true;
		return 0;
	case 'p':
		c->socket = optarg;
		return 0;
	case 'q':
		c->quiet = true;
		return 0;
	case 't':
		a->table = optarg;
		return 0;
	case 'v':
		c->verbose++;
		return 0;
	case 'z':
		a->clear_counters = true;
		return 0;
	case OPT_CONFIRMED:
		a->confirmed = true;
		return 0;
	case OPT_DUMP:
		a->dump = true;
		return 0;
	case OPT_MONITOR:
		a->monitor = true;
		return 0;
	case OPT_VERSION:
		puts("pfctl-linux " PF_VERSION);
		return -1;
	case 'h':
	case OPT_HELP:
		usage(stdout);
		return -1;
	default:
		return checked_option(c, a, opt);
	}
}

/* Is it this modifier, or all of them? */
static bool is_or_all(const char *modifier, const char *which)
{
	return modifier && (strcmp(modifier, which) == 0 || strcmp(modifier, "all") == 0);
}

/* What only goes with something else: why it does not, or NULL. */
static const char *misplaced(const struct pfctl *c, const struct actions *a)
{
	bool ends = a->nkill || is_or_all(a->flush, "states");
	bool shows = a->show || (a->table_command && strcmp(a->table_command, "show") == 0);

	if (a->confirm && (!a->rules || a->table))
		return "--confirm goes with -f";
	if (c->offline && !c->no_action)
		return "--offline goes with -n";
	if (c->recurse && a->table)
		return "-T works on one anchor's table: not with -a and '*'";
	if (c->interface && !ends && !is_or_all(a->show, "states"))
		return "-i goes with -s states, -F states and -k";
	if (c->matching && !ends)
		return "-M goes with -k and -F states";
	if (c->rule != PFCTL_ANY_RULE && !is_or_all(a->show, "states") &&
	    !is_or_all(a->show, "rules"))
		return "-R goes with -s states and -s rules";
	if (c->json && (!(shows || a->monitor) || a->dump))
		return "--json goes with -s, -T show and --monitor";
	if (c->json && !!a->show + !!a->table_command + a->monitor > 1)
		return "--json shows one thing at a time";
	return NULL;
}

static int check_options(const struct pfctl *c, const struct actions *a, int argc, char **argv)
{
	const struct pf_address_list sources = {.no_dns = c->no_dns};
	const char *why;

	if (!!a->table != !!a->table_command) {
		pfctl_warn("-t and -T go together");
		usage(stderr);
		return 1;
	}
	if (optind < argc && !a->table_command)
		pfctl_warn("unknown command line argument: %s ...", argv[optind]);
	if ((optind < argc && !a->table_command) || argc == 1) {
		usage(stderr);
		return 1;
	}
	why = misplaced(c, a);
	if (why) {
		pfctl_warn("%s", why);
		return 1;
	}
	if (c->anchor && a->rules && !a->table &&
	    (c->recurse || *c->anchor == '_' || strstr(c->anchor, "/_"))) {
		pfctl_warn("-a %s: rules are loaded into one anchor, by its name", c->anchor);
		return 1;
	}
	if (pfctl_kill_check(c, a->kill, a->nkill) ||
	    pfctl_addresses_check(&sources, a->kill_sources, a->nkill_sources))
		return 1;
	if (a->table)
		return pfctl_table_check(c, a->table, a->table_command, argv + optind,
					 (size_t)(argc - optind), a->rules);
	return 0;
}

static int parse_options(struct pfctl *c, struct actions *a, int argc, char **argv)
{
	int opt, r;

	while ((opt = getopt_long(argc, argv, "a:dD:eF:f:hi:K:k:L:MNno:Pp:qR:S:s:t:T:vx:z",
				  long_options, NULL)) != -1) {
		r = one_option(c, a, opt);
		if (r == 2)
			usage(stderr);
		if (r)
			return r;
	}
	return check_options(c, a, argc, argv);
}

/* -n: of what changes something, only what can be checked is left. */
static void only_check(struct actions *a)
{
	a->enable = a->disable = a->clear_counters = a->confirmed = false;
	a->flush = NULL;
	a->nkill = 0;
	a->nkill_sources = 0;
	a->debug = -1;
}

static int clear_counters(struct pfctl *c)
{
	if (pfctl_clear_rule_counters(c))
		return 1;
	if (!c->no_action)
		pfctl_say(c, "pf: rule counters cleared");
	return 0;
}

/*
 * All that was asked for, in pfctl's order.  What fails ends it; but what could
 * not be shown, or a table, only decides about the status.
 */
static int run(struct pfctl *c, const struct actions *a, char *const *rest, size_t nrest)
{
	int status = 0, r;

	if (a->confirmed && pfctl_confirmed(c))
		return 1;
	if (a->disable && pfctl_enable(c, false))
		return 1;
	if (a->show)
		status = pfctl_show(c, a->show, a->clear_counters);
	else if (a->clear_counters)
		status = clear_counters(c);
	if (a->dump)
		status |= pfctl_dump_program(c);
	if (a->flush && pfctl_flush(c, a->flush))
		return 1;
	if (a->nkill && pfctl_kill(c, a->kill, a->nkill))
		return 1;
	if (a->nkill_sources && pfctl_kill_sources(c, a->kill_sources, a->nkill_sources))
		return 1;
	if (a->table) {
		r = pfctl_table(c, a->table, a->table_command, rest, nrest, a->rules);
		if (r)
			status = r;
	} else if (a->rules && pfctl_load(c, a->rules, a->confirm)) {
		return 1;
	}
	if (a->enable && pfctl_enable(c, true))
		return 1;
	if (a->debug >= 0 && pfctl_debug(c, a->debug))
		return 1;
	if (a->save && pfctl_save_states(c, a->save))
		return 1;
	if (a->restore && pfctl_load_states(c, a->restore))
		return 1;
	if (a->monitor && pfctl_monitor(c))
		return 1;
	return status;
}

int main(int argc, char **argv)
{
	struct pfctl c = {
		.socket = PF_SOCKET_DEFAULT, .client = PF_CLIENT_INIT, .rule = PFCTL_ANY_RULE};
	struct actions a = {.debug = -1};
	int status = parse_options(&c, &a, argc, argv);

	if (status) {
		free(c.anchor);
		return status < 0 ? 0 : 1;
	}
	if (c.no_action)
		only_check(&a);
	status = run(&c, &a, argv + optind, (size_t)(argc - optind));
	pf_client_close(&c.client);
	free(c.anchor);
	if (fflush(stdout) || ferror(stdout)) {
		pfctl_warn("standard output: %s", strerror(errno));
		return 1;
	}
	return status;
}
