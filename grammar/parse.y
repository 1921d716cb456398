/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of pf.conf.  Its order of clauses is OpenBSD's.  Actions put
 * together lists and one struct pf_stmt_rule; expand.c multiplies them out.
 *
 * Errors: a syntax error skips to the end of its statement (see the lexer); an
 * error of meaning is reported and parsing goes on behind it.
 */
%require "3.8"
%define api.pure full
%define api.prefix {pf_gram_}
%define api.value.type {union pf_value}
%define api.location.type {struct pf_loc}
%define parse.error custom
%define parse.lac full
%locations
%param {struct pf_parser *p} {void *scanner}
%expect 0

%code requires {
#include "parser.h"
}

%code {
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "names.h"
#include "words.h"

#define YYMAXDEPTH 4000

#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
	do {                                                                                       \
		if (n) {                                                                           \
			(cur) = YYRHSLOC(rhs, 1);                                                  \
			if (YYRHSLOC(rhs, n).line == (cur).line)                                   \
				(cur).end_col = YYRHSLOC(rhs, n).end_col;                          \
		} else {                                                                           \
			(cur) = YYRHSLOC(rhs, 0);                                                  \
		}                                                                                  \
	} while (0)

static void pf_gram_error(const struct pf_loc *loc, struct pf_parser *p, void *scanner,
			  const char *msg);

/* A construct that the language knows and this version does not build. */
static void unbuilt(struct pf_parser *p, const struct pf_loc *loc, const char *what)
{
	pf_error(p, loc, "%s is not supported yet", what);
	p->recover = true;
}

/* The name in "<name>"; a place in a macro's use stays as it is. */
static struct pf_loc inside(const struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc name = *loc;
	size_t at = loc->line_at + loc->col - 1;

	if (at < p->len && p->text[at] == '<' && loc->end_col > loc->col + 2) {
		name.col++;
		name.end_col--;
	}
	return name;
}

static bool in_range(struct pf_parser *p, const struct pf_loc *loc, const char *what,
		     long long n, long long low, long long high)
{
	if (n >= low && n <= high)
		return true;
	pf_error(p, loc, "%s %lld is out of range (%lld to %lld)", what, n, low, high);
	return false;
}

/* The text as it stands between double quotes. */
static const char *quotable(struct pf_parser *p, const char *text)
{
	char *out = pf_stmt_alloc(p, strlen(text) * 2 + 1);

	if (!out)
		return "";
	pf_word_quote(out, text);
	return out;
}

static void echo(struct pf_parser *p, const char *text)
{
	if (text && pf_ruleset_add_item(p->rs, PF_ITEM_TEXT, text, 0))
		pf_error_nomem(p);
}

static pf_if_list if_one(struct pf_parser *p, const struct pf_loc *loc, const char *name);
static pf_proto_list proto_one(struct pf_parser *p, const struct pf_loc *loc, const char *name,
			       long long number);
static pf_port_list port_one(struct pf_parser *p, const struct pf_loc *loc,
			     enum pf_port_op op, struct pf_rule_port a, struct pf_rule_port b);
static struct pf_rule_port port_word(struct pf_parser *p, const struct pf_loc *loc,
				     const char *text);
static pf_icmp_list icmp_one(struct pf_parser *p, const struct pf_loc *loc, int v6,
			     const char *name, long long number);
static void icmp_code(struct pf_parser *p, const struct pf_loc *loc, pf_icmp_list *list,
		      const char *name, long long number);
static void negate_hosts(pf_host_list *list);
static pf_host_list hosts_join(pf_host_list a, pf_host_list b);
static void seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option,
		 const char *name);
static void set_flags(struct pf_parser *p, const struct pf_loc *loc, const char *set,
		      const char *mask);
static void set_label(struct pf_parser *p, const struct pf_loc *loc, const char *text);
static uint16_t return_code(struct pf_parser *p, const struct pf_loc *loc, int v6,
			    const char *name, long long number);
static void set_timeout(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
			const struct pf_loc *loc, long long seconds);
static void set_limit(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		      const struct pf_loc *loc, long long n);
static void set_optimization(struct pf_parser *p, const struct pf_loc *loc, const char *name);
static void set_skip(struct pf_parser *p, pf_if_list ifs);
static bool table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name);
static void table_begin(struct pf_parser *p, const struct pf_loc *loc, const char *name);
static void table_list(struct pf_parser *p, pf_host_list hosts);
static void table_end(struct pf_parser *p);
static void macro_define(struct pf_parser *p, const struct pf_loc *loc, const char *name);
static void no_option(struct pf_parser *p, const struct pf_loc *loc, const char *word);
static void value_add(struct pf_parser *p, const char *text);
static void rule_begin(struct pf_parser *p, const struct pf_loc *loc);
}

%token NEWLINE "end of line"
%token BAD_TOKEN "bad token"
%token <string> WORD "word" STRING "string" TABLE_NAME "<table>"
%token <number> NUMBER "number"
%token <string> UNBUILT

%token PASS "pass" BLOCK "block"
%token DROP "drop" RETURN "return" RETURN_RST "return-rst" RETURN_ICMP "return-icmp"
%token RETURN_ICMP6 "return-icmp6" TTL "ttl"
%token IN "in" OUT "out" LOG "log" QUICK "quick" ON "on" INET "inet" INET6 "inet6"
%token PROTO "proto" ALL "all" ANY "any" FROM "from" TO "to" PORT "port"
%token FLAGS "flags" ICMP_TYPE "icmp-type" ICMP6_TYPE "icmp6-type" CODE "code"
%token KEEP "keep" NO "no" STATE "state" LABEL "label" ALLOW_OPTS "allow-opts"
%token FRAGMENT "fragment"
%token SET "set" SKIP "skip" LIMIT "limit" TIMEOUT "timeout" BLOCK_POLICY "block-policy"
%token REASSEMBLE "reassemble" STATE_POLICY "state-policy" FLOATING "floating"
%token OPTIMIZATION "optimization" RULESET_OPTIMIZATION "ruleset-optimization"
%token TABLE "table" PERSIST "persist" CONST "const"
%token ARROW "->" PORT_OUTSIDE "<>" PORT_INSIDE "><" LE "<=" GE ">=" NE "!="

%type <string> value_item text icmp_name table_name
%type <ifs> if_item if_list ifs
%type <protos> proto_item proto_list
%type <hosts> host host_item host_list hosts
%type <ports> port_item port_list ports
%type <port> port_number
%type <peer> peer
%type <icmp> icmp_item icmp_list icmp6_item icmp6_list
%type <code> port_op
%type <number> code code6

%%

file:
	%empty
	| file line
	;

line:
	end
	| statement end
	| error end	{ yyerrok; }
	;

end:
	NEWLINE		{
		p->recover = p->skip_block = false;
		p->braces = 0;
		p->expanded = 0;
		pf_stmt_reset(p);
	}
	;

statement:
	macro
	| set
	| table
	| rule
	| NO UNBUILT	{
		unbuilt(p, &@$, pf_stmt_printf(p, "no %s", $2));
		YYERROR;
	}
	| STATE UNBUILT	{
		unbuilt(p, &@$, pf_stmt_printf(p, "state %s", $2));
		YYERROR;
	}
	| WORD UNBUILT	{
		unbuilt(p, &@$, pf_stmt_printf(p, "%s %s", $1, $2));
		YYERROR;
	}
	;

optnl:
	%empty
	| optnl NEWLINE
	;

comma:
	%empty
	| ',' optnl
	;

text:
	WORD
	| STRING
	;

/* --- macros --- */

macro:
	WORD '=' value	{ macro_define(p, &@1, $1); }
	;

value:
	value_item		{
		p->value.len = 0;
		pf_text_add(p, &p->value, "", 0);
		value_add(p, $1);
	}
	| value value_item	{
		value_add(p, " ");
		value_add(p, $2);
	}
	;

value_item:
	text
	| NUMBER	{ $$ = pf_stmt_printf(p, "%lld", $1); }
	;

/* --- options --- */

set:
	SET SKIP ON ifs		{ set_skip(p, $4); }
	| SET LIMIT limit
	| SET LIMIT '{' optnl limit_list '}'
	| SET TIMEOUT timeout
	| SET TIMEOUT '{' optnl timeout_list '}'
	| SET BLOCK_POLICY DROP	{
		p->rs->options.block_return = false;
		echo(p, "set block-policy drop");
	}
	| SET BLOCK_POLICY RETURN	{
		p->rs->options.block_return = true;
		echo(p, "set block-policy return");
	}
	| SET REASSEMBLE NO	{ echo(p, "set reassemble no"); }
	| SET REASSEMBLE WORD	{
		if (strcmp($3, "yes") == 0) {
			unbuilt(p, &@3, "set reassemble yes");
		} else {
			pf_error(p, &@3, "set reassemble takes yes or no");
		}
	}
	| SET STATE_POLICY FLOATING	{ echo(p, "set state-policy floating"); }
	| SET OPTIMIZATION WORD		{ set_optimization(p, &@3, $3); }
	| SET RULESET_OPTIMIZATION WORD	{
		if (strcmp($3, "none") == 0)
			echo(p, "set ruleset-optimization none");
		else if (strcmp($3, "basic") != 0 && strcmp($3, "profile") != 0)
			pf_error(p, &@3, "unknown ruleset-optimization %s", $3);
		else
			unbuilt(p, &@3, pf_stmt_printf(p, "ruleset-optimization %s", $3));
	}
	;

limit:
	WORD NUMBER	{ set_limit(p, &@1, $1, &@2, $2); }
	;

limit_list:
	limit optnl
	| limit_list comma limit optnl
	;

timeout:
	WORD NUMBER	{ set_timeout(p, &@1, $1, &@2, $2); }
	;

timeout_list:
	timeout optnl
	| timeout_list comma timeout optnl
	;

/* --- tables --- */

table:
	TABLE table_name	{
		struct pf_loc name = inside(p, &@2);

		table_begin(p, &name, $2);
	}
	table_options		{ table_end(p); }
	;

table_name:
	TABLE_NAME
	| '<' text '>'		{ $$ = $2; }
	;

table_options:
	%empty
	| table_options table_option
	;

table_option:
	PERSIST		{ p->table->persist = true; }
	| CONST		{ p->table->constant = true; }
	| '{' optnl '}'	{ p->table->has_list = true; }
	| '{' optnl host_list '}'	{ table_list(p, $3); }
	| TIMEOUT	{
		unbuilt(p, &@1, "a table's timeout");
		YYERROR;
	}
	;

/* --- filter rules --- */

rule:
	action direction log_quick interface family protocol hosts_part options
			{
		p->stmt.loc.end_col = @$.line == @1.line ? @$.end_col : @1.end_col;
		pf_expand_rule(p);
	}
	;

action:
	PASS		{ rule_begin(p, &@1); }
	| BLOCK		{
		rule_begin(p, &@1);
		p->stmt.rule.action = PF_RULE_ACTION_BLOCK;
		if (p->rs->options.block_return)
			p->stmt.rule.block_kind = PF_BLOCK_RETURN;
	} block_kind
	;

block_kind:
	%empty
	| DROP		{ p->stmt.rule.block_kind = PF_BLOCK_DROP; }
	| RETURN	{ p->stmt.rule.block_kind = PF_BLOCK_RETURN; }
	| RETURN_RST	{
		p->stmt.rule.block_kind = PF_BLOCK_RETURN_RST;
		p->stmt.block_loc = @1;
	}
	| RETURN_RST '(' TTL NUMBER ')'	{
		p->stmt.rule.block_kind = PF_BLOCK_RETURN_RST;
		p->stmt.block_loc = @1;
		if (in_range(p, &@4, "ttl", $4, 0, 255))
			p->stmt.rule.return_ttl = (uint8_t)$4;
	}
	| RETURN_ICMP	{ p->stmt.rule.block_kind = PF_BLOCK_RETURN_ICMP; }
	| RETURN_ICMP6	{ p->stmt.rule.block_kind = PF_BLOCK_RETURN_ICMP; }
	| RETURN_ICMP '(' code ')'	{
		p->stmt.rule.block_kind = PF_BLOCK_RETURN_ICMP;
		p->stmt.rule.return_icmp = (uint16_t)$3;
	}
	| RETURN_ICMP6 '(' code6 ')'	{
		p->stmt.rule.block_kind = PF_BLOCK_RETURN_ICMP;
		p->stmt.rule.return_icmp6 = (uint16_t)$3;
	}
	| RETURN_ICMP '(' code comma code6 ')'	{
		p->stmt.rule.block_kind = PF_BLOCK_RETURN_ICMP;
		p->stmt.rule.return_icmp = (uint16_t)$3;
		p->stmt.rule.return_icmp6 = (uint16_t)$5;
	}
	;

code:
	WORD		{ $$ = return_code(p, &@1, 0, $1, 0); }
	| NUMBER	{ $$ = return_code(p, &@1, 0, NULL, $1); }
	;

code6:
	WORD		{ $$ = return_code(p, &@1, 1, $1, 0); }
	| NUMBER	{ $$ = return_code(p, &@1, 1, NULL, $1); }
	;

direction:
	%empty
	| IN		{ p->stmt.rule.dir = PF_RULE_IN; }
	| OUT		{ p->stmt.rule.dir = PF_RULE_OUT; }
	;

log_quick:
	%empty
	| log
	| QUICK		{ p->stmt.rule.quick = true; }
	| log QUICK	{ p->stmt.rule.quick = true; }
	| QUICK log	{ p->stmt.rule.quick = true; }
	;

log:
	LOG		{ p->stmt.rule.log = true; }
	| LOG '('	{
		unbuilt(p, &@2, "log with options");
		YYERROR;
	}
	;

interface:
	%empty
	| ON ifs	{ p->stmt.ifs = $2; }
	;

ifs:
	if_item
	| '{' optnl if_list '}'	{ $$ = $3; }
	;

if_list:
	if_item optnl
	| if_list comma if_item optnl	{
		$$ = $1;
		pf_list_join($$, $3);
	}
	;

if_item:
	text		{ $$ = if_one(p, &@1, $1); }
	| ANY		{ $$ = if_one(p, &@1, PF_IF_ANY); }
	| '!' ANY	{
		$$ = if_one(p, &@2, PF_IF_ANY);
		if ($$.first)
			$$.first->neg = true;
	}
	| '!' text	{
		$$ = if_one(p, &@2, $2);
		if ($$.first)
			$$.first->neg = true;
	}
	;

family:
	%empty
	| INET		{ p->stmt.rule.af = PF_FAMILY_INET; }
	| INET6		{ p->stmt.rule.af = PF_FAMILY_INET6; }
	;

protocol:
	%empty
	| PROTO proto_item	{ p->stmt.protos = $2; }
	| PROTO '{' optnl proto_list '}'	{ p->stmt.protos = $4; }
	;

proto_list:
	proto_item optnl
	| proto_list comma proto_item optnl	{
		$$ = $1;
		pf_list_join($$, $3);
	}
	;

proto_item:
	text		{ $$ = proto_one(p, &@1, $1, 0); }
	| NUMBER	{ $$ = proto_one(p, &@1, NULL, $1); }
	;

hosts_part:
	ALL
	| from to
	;

from:
	%empty
	| FROM peer	{
		p->stmt.src = $2.hosts;
		p->stmt.sport = $2.ports;
	}
	;

to:
	%empty
	| TO peer	{
		p->stmt.dst = $2.hosts;
		p->stmt.dport = $2.ports;
	}
	;

peer:
	hosts		{
		memset(&$$, 0, sizeof($$));
		$$.hosts = $1;
	}
	| hosts PORT ports	{
		memset(&$$, 0, sizeof($$));
		$$.hosts = $1;
		$$.ports = $3;
	}
	| PORT ports	{
		memset(&$$, 0, sizeof($$));
		$$.ports = $2;
	}
	;

hosts:
	host_item
	| '{' optnl host_list '}'	{ $$ = $3; }
	;

host_list:
	host_item optnl
	| '{' optnl host_list '}' optnl	{ $$ = $3; }
	| host_list comma host_item optnl	{ $$ = hosts_join($1, $3); }
	| host_list comma '{' optnl host_list '}' optnl	{ $$ = hosts_join($1, $5); }
	;

host_item:
	ANY		{
		struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);

		if (!n)
			YYABORT;
		n->loc = @1;
		$$ = (pf_host_list)pf_list_one(n);
	}
	| host
	| '!' host	{
		$$ = $2;
		negate_hosts(&$$);
	}
	;

host:
	text		{
		$$ = (pf_host_list){0};
		pf_host_add(p, &@1, $1, PF_NO_BITS, &$$);
	}
	| text '/' NUMBER	{
		$$ = (pf_host_list){0};
		pf_host_add(p, &@$, $1, $3, &$$);
	}
	| NUMBER '/' NUMBER	{
		$$ = (pf_host_list){0};
		pf_host_add(p, &@$, pf_stmt_printf(p, "%lld", $1), $3, &$$);
	}
	| text '-' text	{
		unbuilt(p, &@$, "an address range");
		YYERROR;
	}
	| '('		{
		unbuilt(p, &@1, "an interface in parentheses as an address");
		YYERROR;
	}
	| table_name	{
		struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);
		struct pf_loc name;

		if (!n)
			YYABORT;
		n->loc = @$;
		n->host.type = PF_HOST_TABLE;
		n->host.table = $1;
		name = inside(p, &@1);
		table_name_ok(p, &name, $1);
		$$ = (pf_host_list)pf_list_one(n);
	}
	;

ports:
	port_item
	| '{' optnl port_list '}'	{ $$ = $3; }
	;

port_list:
	port_item optnl
	| '{' optnl port_list '}' optnl	{ $$ = $3; }
	| port_list comma port_item optnl	{
		$$ = $1;
		pf_list_join($$, $3);
	}
	| port_list comma '{' optnl port_list '}' optnl	{
		$$ = $1;
		pf_list_join($$, $5);
	}
	;

port_item:
	port_number	{
		$$ = port_one(p, &@$, $1.op == PF_PORT_RANGE ? PF_PORT_RANGE : PF_PORT_EQ, $1, $1);
	}
	| port_op port_number	{
		$$ = port_one(p, &@$, (enum pf_port_op)$1, $2, $2);
	}
	| port_number PORT_INSIDE port_number	{
		$$ = port_one(p, &@$, PF_PORT_INSIDE, $1, $3);
	}
	| port_number PORT_OUTSIDE port_number	{
		$$ = port_one(p, &@$, PF_PORT_OUTSIDE, $1, $3);
	}
	;

port_op:
	'='		{ $$ = PF_PORT_EQ; }
	| NE		{ $$ = PF_PORT_NE; }
	| '<'		{ $$ = PF_PORT_LT; }
	| LE		{ $$ = PF_PORT_LE; }
	| '>'		{ $$ = PF_PORT_GT; }
	| GE		{ $$ = PF_PORT_GE; }
	;

port_number:
	text		{ $$ = port_word(p, &@1, $1); }
	| NUMBER	{
		$$ = (struct pf_rule_port){0};
		if (in_range(p, &@1, "port", $1, 0, 65535))
			$$.lo = $$.hi = (uint16_t)$1;
	}
	;

options:
	%empty
	| option_list
	;

option_list:
	option
	| option_list option
	| option_list ',' option
	;

option:
	FLAGS WORD '/' WORD	{ set_flags(p, &@$, $2, $4); }
	| FLAGS '/' WORD	{ set_flags(p, &@$, "", $3); }
	| FLAGS ANY		{ set_flags(p, &@$, "", ""); }
	| ICMP_TYPE icmp_item	{
		seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $2;
		p->stmt.icmp_loc = @$;
	}
	| ICMP_TYPE '{' optnl icmp_list '}'	{
		seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $4;
		p->stmt.icmp_loc = @1;
	}
	| ICMP6_TYPE icmp6_item	{
		seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $2;
		p->stmt.icmp_loc = @$;
	}
	| ICMP6_TYPE '{' optnl icmp6_list '}'	{
		seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $4;
		p->stmt.icmp_loc = @1;
	}
	| KEEP STATE		{
		seen(p, &@$, PF_OPT_STATE, "state");
		p->stmt.rule.keep_state = true;
		p->stmt.state_loc = @$;
	}
	| KEEP STATE '('	{
		unbuilt(p, &@3, "keep state with options");
		YYERROR;
	}
	| NO STATE		{
		seen(p, &@$, PF_OPT_STATE, "state");
		p->stmt.state_loc = @$;
	}
	| LABEL text		{ set_label(p, &@2, $2); }
	| ALLOW_OPTS		{
		seen(p, &@1, PF_OPT_ALLOW_OPTS, "allow-opts");
		p->stmt.rule.allow_opts = true;
	}
	| FRAGMENT		{
		seen(p, &@1, PF_OPT_FRAGMENT, "fragment");
		p->stmt.rule.fragment = true;
	}
	| SET			{
		unbuilt(p, &@1, "set in a rule");
		YYERROR;
	}
	| STATE UNBUILT		{
		unbuilt(p, &@$, pf_stmt_printf(p, "state %s", $2));
		YYERROR;
	}
	| WORD			{
		no_option(p, &@1, $1);
		YYERROR;
	}
	| '!' UNBUILT		{
		unbuilt(p, &@2, $2);
		YYERROR;
	}
	;

icmp_list:
	icmp_item optnl
	| icmp_list comma icmp_item optnl	{
		$$ = $1;
		pf_list_join($$, $3);
	}
	;

/* a type may have a keyword's name */
icmp_name:
	text
	| SKIP		{ $$ = "skip"; }
	;

icmp_item:
	icmp_name	{ $$ = icmp_one(p, &@1, 0, $1, 0); }
	| NUMBER	{ $$ = icmp_one(p, &@1, 0, NULL, $1); }
	| icmp_name CODE text	{
		$$ = icmp_one(p, &@1, 0, $1, 0);
		icmp_code(p, &@3, &$$, $3, 0);
	}
	| icmp_name CODE NUMBER	{
		$$ = icmp_one(p, &@1, 0, $1, 0);
		icmp_code(p, &@3, &$$, NULL, $3);
	}
	| NUMBER CODE text	{
		$$ = icmp_one(p, &@1, 0, NULL, $1);
		icmp_code(p, &@3, &$$, $3, 0);
	}
	| NUMBER CODE NUMBER	{
		$$ = icmp_one(p, &@1, 0, NULL, $1);
		icmp_code(p, &@3, &$$, NULL, $3);
	}
	;

icmp6_list:
	icmp6_item optnl
	| icmp6_list comma icmp6_item optnl	{
		$$ = $1;
		pf_list_join($$, $3);
	}
	;

icmp6_item:
	text		{ $$ = icmp_one(p, &@1, 1, $1, 0); }
	| NUMBER	{ $$ = icmp_one(p, &@1, 1, NULL, $1); }
	| text CODE text	{
		$$ = icmp_one(p, &@1, 1, $1, 0);
		icmp_code(p, &@3, &$$, $3, 0);
	}
	| text CODE NUMBER	{
		$$ = icmp_one(p, &@1, 1, $1, 0);
		icmp_code(p, &@3, &$$, NULL, $3);
	}
	| NUMBER CODE text	{
		$$ = icmp_one(p, &@1, 1, NULL, $1);
		icmp_code(p, &@3, &$$, $3, 0);
	}
	| NUMBER CODE NUMBER	{
		$$ = icmp_one(p, &@1, 1, NULL, $1);
		icmp_code(p, &@3, &$$, NULL, $3);
	}
	;

%%

static void pf_gram_error(const struct pf_loc *loc, struct pf_parser *p, void *scanner,
			  const char *msg)
{
	(void)scanner;
	pf_error(p, loc, "%s", msg);
	p->recover = true;
}

/* What the user wrote, for "unexpected ..."; empty if it is too much. */
static void source_format(const struct pf_parser *p, const struct pf_loc *loc, char *buf,
			  size_t size)
{
	size_t from = loc->line_at + loc->col - 1, len = loc->end_col - loc->col;

	*buf = '\0';
	if (from + len <= p->len && len <= 40)
		snprintf(buf, size, "\"%.*s\"", (int)len, p->text + from);
}

static void token_format(const yypcontext_t *ctx, const struct pf_parser *p, char *buf, size_t size)
{
	yysymbol_kind_t kind = yypcontext_token(ctx);

	*buf = '\0';
	if (kind != YYSYMBOL_YYEOF && kind != YYSYMBOL_NEWLINE)
		source_format(p, yypcontext_location(ctx), buf, size);
	if (!*buf)
		snprintf(buf, size, "%s", yysymbol_name(kind));
}

/* bison calls it for a syntax error; see "parse.error custom" in its manual. */
static int yyreport_syntax_error(const yypcontext_t *ctx, struct pf_parser *p, void *scanner)
{
	enum { MANY = 16, SHOWN = 5 };
	yysymbol_kind_t kind = yypcontext_token(ctx), expected[MANY];
	char msg[256], what[64];
	int n, kept = 0;

	(void)scanner;
	if (p->recover)
		return 0;
	p->recover = true;
	if (kind == YYSYMBOL_BAD_TOKEN) /* the lexer has spoken */
		return 0;
	if (kind == YYSYMBOL_UNBUILT) {
		const struct pf_loc *loc = yypcontext_location(ctx);

		pf_error(p, loc, "%s is not supported yet", p->unbuilt);
		p->skip_block = strcmp(p->unbuilt, "anchor") == 0;
		return 0;
	}
	token_format(ctx, p, what, sizeof(what));
	snprintf(msg, sizeof(msg), "syntax error: unexpected %s", what);
	n = yypcontext_expected_tokens(ctx, expected, MANY);
	for (int i = 0; i < n; i++)
		/* '<' stands for a table's name; nobody is to be led to what is not built */
		if (expected[i] != YYSYMBOL_TABLE_NAME && expected[i] != YYSYMBOL_UNBUILT &&
		    expected[i] != YYSYMBOL_TIMEOUT)
			expected[kept++] = expected[i];
	for (int i = 0; i < kept && kept <= SHOWN; i++) {
		size_t at = strlen(msg);

		snprintf(msg + at, sizeof(msg) - at, "%s%s", i == 0 ? ", expected " : " or ",
			 yysymbol_name(expected[i]));
	}
	pf_error(p, yypcontext_location(ctx), "%s", msg);
	return 0;
}

static void rule_begin(struct pf_parser *p, const struct pf_loc *loc)
{
	memset(&p->stmt, 0, sizeof(p->stmt));
	p->stmt.loc = *loc;
	p->stmt.rule.line = loc->line;
}

static void seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option,
		 const char *name)
{
	if (p->stmt.seen & option)
		pf_error(p, loc, "%s is given twice", name);
	p->stmt.seen |= option;
}

static pf_if_list if_one(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	struct pf_node_if *n = pf_stmt_new(p, struct pf_node_if);

	if (!n)
		return (pf_if_list){0};
	if (strlen(name) >= PF_IFNAME_SIZE)
		pf_error(p, loc, "interface name '%s' is too long (at most %d characters)", name,
			 PF_IFNAME_SIZE - 1);
	else if (!pf_name_ok(name, PF_IFNAME_SIZE))
		pf_error(p, loc, "'%s' is no interface name", name);
	n->loc = *loc;
	n->name = name;
	return (pf_if_list)pf_list_one(n);
}

static pf_proto_list proto_one(struct pf_parser *p, const struct pf_loc *loc, const char *name,
			       long long number)
{
	struct pf_node_proto *n = pf_stmt_new(p, struct pf_node_proto);

	if (!n)
		return (pf_proto_list){0};
	if (name) {
		number = pf_proto_by_name(name);
		if (number < 0)
			pf_error(p, loc, "unknown protocol %s", name);
	} else {
		in_range(p, loc, "protocol", number, 0, 255);
	}
	if (number == 0)
		pf_error(p, loc, "proto 0 cannot be used");
	n->proto = (uint8_t)number;
	return (pf_proto_list)pf_list_one(n);
}

/* One end of a port range, or -1. */
static long port_of(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text && !*end) {
		if (n < 0 || n > 65535) {
			in_range(p, loc, "port", n, 0, 65535);
			return -1;
		}
		return n;
	}
	n = pf_service_by_name(text);
	if (n < 0)
		pf_error(p, loc, "unknown port %s", text);
	return n;
}

/* "ssh", "80:443" */
static struct pf_rule_port port_word(struct pf_parser *p, const struct pf_loc *loc,
				     const char *text)
{
	struct pf_rule_port r = {.op = PF_PORT_EQ};
	const char *colon = strchr(text, ':');
	long lo, hi;

	if (!colon) {
		lo = hi = port_of(p, loc, text);
	} else {
		const char *first = pf_stmt_strndup(p, text, (size_t)(colon - text));

		r.op = PF_PORT_RANGE;
		lo = first ? port_of(p, loc, first) : -1;
		hi = port_of(p, loc, colon + 1);
		if (lo > hi && hi >= 0)
			pf_error(p, loc, "port range %s ends before it begins", text);
	}
	if (lo == hi)
		r.op = PF_PORT_EQ;
	r.lo = (uint16_t)lo;
	r.hi = (uint16_t)hi;
	return r;
}

static pf_port_list port_one(struct pf_parser *p, const struct pf_loc *loc,
			     enum pf_port_op op, struct pf_rule_port a, struct pf_rule_port b)
{
	struct pf_node_port *n = pf_stmt_new(p, struct pf_node_port);

	if (!n)
		return (pf_port_list){0};
	if (op != PF_PORT_RANGE && (a.op == PF_PORT_RANGE || b.op == PF_PORT_RANGE))
		pf_error(p, loc, "':' cannot be used with another port operator");
	n->loc = *loc;
	n->port.op = op;
	n->port.lo = a.lo;
	n->port.hi = op == PF_PORT_RANGE ? a.hi : b.lo;
	if ((op == PF_PORT_INSIDE || op == PF_PORT_OUTSIDE) && n->port.lo > n->port.hi)
		pf_error(p, loc, "port range %u %s %u ends before it begins", n->port.lo,
			 op == PF_PORT_INSIDE ? "><" : "<>", n->port.hi);
	else if (op == PF_PORT_INSIDE && n->port.lo == n->port.hi)
		pf_error(p, loc, "port range %u >< %u holds no port", n->port.lo, n->port.hi);
	return (pf_port_list)pf_list_one(n);
}

static pf_icmp_list icmp_one(struct pf_parser *p, const struct pf_loc *loc, int v6,
			     const char *name, long long number)
{
	enum pf_family af = v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET;
	struct pf_node_icmp *n = pf_stmt_new(p, struct pf_node_icmp);

	if (!n)
		return (pf_icmp_list){0};
	if (name) {
		number = pf_icmp_type_by_name(name, af);
		if (number < 0)
			pf_error(p, loc, "unknown %s %s", v6 ? "icmp6-type" : "icmp-type", name);
	} else {
		in_range(p, loc, v6 ? "icmp6-type" : "icmp-type", number, 0, 255);
	}
	n->loc = *loc;
	n->type = (uint16_t)(number + 1);
	n->proto = v6 ? PF_PROTO_ICMP6 : PF_PROTO_ICMP;
	return (pf_icmp_list)pf_list_one(n);
}

static void icmp_code(struct pf_parser *p, const struct pf_loc *loc, pf_icmp_list *list,
		      const char *name, long long number)
{
	struct pf_node_icmp *n = list->first;
	enum pf_family af;

	if (!n)
		return;
	af = n->proto == PF_PROTO_ICMP6 ? PF_FAMILY_INET6 : PF_FAMILY_INET;
	if (name) {
		number = pf_icmp_code_by_name(n->type - 1U, name, af);
		if (number < 0)
			pf_error(p, loc, "unknown code %s of this type", name);
	} else {
		in_range(p, loc, "code", number, 0, 255);
	}
	n->code = (uint16_t)(number + 1);
}

static uint16_t return_code(struct pf_parser *p, const struct pf_loc *loc, int v6,
			    const char *name, long long number)
{
	const unsigned int type = v6 ? 1 : 3; /* unreachable */

	if (name) {
		number = pf_icmp_code_by_name(type, name, v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET);
		if (number < 0) {
			pf_error(p, loc, "unknown icmp code %s", name);
			return 0;
		}
	} else if (!in_range(p, loc, "icmp code", number, 0, 255)) {
		return 0;
	}
	return (uint16_t)(type << 8 | (unsigned int)number);
}

static bool is_any(const pf_host_list *list)
{
	return list->first && list->first->host.type == PF_HOST_ANY;
}

/* With `any' among them the others say nothing. */
static pf_host_list hosts_join(pf_host_list a, pf_host_list b)
{
	if (is_any(&a))
		return a;
	if (is_any(&b))
		return b;
	pf_list_join(a, b);
	return a;
}

static void negate_hosts(pf_host_list *list)
{
	for (struct pf_node_host *n = list->first; n; n = n->next)
		n->host.neg = !n->host.neg;
}

static void set_flags(struct pf_parser *p, const struct pf_loc *loc, const char *set,
		      const char *mask)
{
	int f = pf_tcp_flags_parse(set), m = pf_tcp_flags_parse(mask);

	seen(p, loc, PF_OPT_FLAGS, "flags");
	p->stmt.flags_loc = *loc;
	if (f < 0 || m < 0) {
		pf_error(p, loc, "unknown TCP flag in %s/%s (they are F S R P A U E W)", set, mask);
		return;
	}
	if (f & ~m) {
		pf_error(p, loc, "flags %s/%s can never match", set, mask);
		return;
	}
	p->stmt.rule.flags = (uint8_t)f;
	p->stmt.rule.flagset = (uint8_t)m;
}

static void set_label(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	seen(p, loc, PF_OPT_LABEL, "label");
	p->stmt.label_loc = *loc;
	p->stmt.rule.label = *text ? text : NULL;
	for (const char *c = text; *c; c++) {
		if (*c == '"' || (unsigned char)*c < 0x20) {
			pf_error(p, loc, "a label cannot hold quotes or control characters");
			return;
		}
		/* it could not be written: it would take the closing quote's meaning away */
		if (*c == '\\' && !c[1]) {
			pf_error(p, loc, "a label cannot end in a backslash");
			return;
		}
	}
}

static void set_timeout(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
			const struct pf_loc *loc, long long n)
{
	int id = pf_timeout_by_name(name);
	bool count = id == PF_TIMEOUT_ADAPTIVE_START || id == PF_TIMEOUT_ADAPTIVE_END;

	if (id < 0) {
		pf_error(p, name_loc, "unknown timeout %s", name);
		return;
	}
	if (!in_range(p, loc, name, n, id == PF_TIMEOUT_INTERVAL ? 1 : 0,
		      count ? INT32_MAX : (long long)PF_TIMEOUT_LARGEST))
		return;
	p->rs->options.timeout[id] = (uint32_t)n;
	p->rs->options.timeout_set |= 1U << id;
	echo(p, pf_stmt_printf(p, "set timeout %s %lld", name, n));
}

static void set_limit(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		      const struct pf_loc *loc, long long n)
{
	int id = pf_limit_by_name(name);

	if (id < 0) {
		pf_error(p, name_loc, "unknown limit %s", name);
		return;
	}
	if (!in_range(p, loc, name, n, 1, id == PF_LIMIT_STATES ? PF_STATES_LARGEST : INT32_MAX))
		return;
	p->rs->options.limit[id] = (uint32_t)n;
	p->rs->options.limit_set |= 1U << id;
	echo(p, pf_stmt_printf(p, "set limit %s %lld", name, n));
}

struct optimization {
	const char *name;
	uint32_t first, opening, established, closing, finwait, closed, tsdiff;
};

static const struct optimization optimizations[] = {
	{"default", 120, 30, 86400, 900, 45, 90, 30},
	{"normal", 120, 30, 86400, 900, 45, 90, 30},
	{"satellite", 180, 35, 86400, 905, 50, 95, 60},
	{"high-latency", 180, 35, 86400, 905, 50, 95, 60},
	{"conservative", 3600, 900, 432000, 3600, 600, 180, 60},
	{"aggressive", 30, 5, 18000, 60, 30, 30, 10},
};

static void set_optimization(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	for (size_t i = 0; i < sizeof(optimizations) / sizeof(optimizations[0]); i++) {
		const struct optimization *o = &optimizations[i];
		uint32_t *t = p->rs->options.timeout;

		if (strcmp(o->name, name) != 0)
			continue;
		t[PF_TIMEOUT_TCP_FIRST] = o->first;
		t[PF_TIMEOUT_TCP_OPENING] = o->opening;
		t[PF_TIMEOUT_TCP_ESTABLISHED] = o->established;
		t[PF_TIMEOUT_TCP_CLOSING] = o->closing;
		t[PF_TIMEOUT_TCP_FINWAIT] = o->finwait;
		t[PF_TIMEOUT_TCP_CLOSED] = o->closed;
		t[PF_TIMEOUT_TCP_TSDIFF] = o->tsdiff;
		echo(p, pf_stmt_printf(p, "set optimization %s", name));
		return;
	}
	pf_error(p, loc, "unknown optimization %s", name);
}

static void set_skip(struct pf_parser *p, pf_if_list ifs)
{
	const char *text = "set skip on {";

	if (ifs.first && ifs.first == ifs.last && !ifs.first->neg &&
	    strcmp(ifs.first->name, "none") == 0) {
		echo(p, "set skip on none");
		return;
	}
	for (struct pf_node_if *n = ifs.first; n && text; n = n->next) {
		if (n->neg) {
			pf_error(p, &n->loc, "set skip on ! %s is not supported", n->name);
			return;
		}
		if (pf_ruleset_add_skip(p->rs, n->name)) {
			pf_error_nomem(p);
			return;
		}
		text = pf_stmt_printf(p, pf_word_plain(n->name) ? "%s %s" : "%s \"%s\"", text,
				      quotable(p, n->name));
	}
	if (text)
		echo(p, pf_stmt_printf(p, "%s }", text));
}

static bool table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (pf_name_ok(name, PF_TABLE_NAME_SIZE))
		return true;
	if (strlen(name) >= PF_TABLE_NAME_SIZE)
		pf_error(p, loc, "table name '%s' is too long (at most %d characters)", name,
			 PF_TABLE_NAME_SIZE - 1);
	else
		pf_error(p, loc, "'%s' is no table name", name);
	return false;
}

static void table_begin(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	static struct pf_table_def scrap; /* takes what follows a bad name */

	memset(&scrap, 0, sizeof(scrap));
	p->table = &scrap;
	if (!table_name_ok(p, loc, name)) {
		/* said there */
	} else if (pf_ruleset_find_table(p->rs, name)) {
		pf_error(p, loc, "table <%s> is defined twice", name);
	} else {
		p->table = pf_ruleset_add_table(p->rs, name);
		if (p->table)
			return;
		p->table = &scrap;
		pf_error_nomem(p);
	}
	p->table_scrap = true;
}

static void table_list(struct pf_parser *p, pf_host_list hosts)
{
	p->table->has_list = true;
	for (struct pf_node_host *n = hosts.first; n; n = n->next) {
		struct pf_table_entry *e;

		if (n->host.type == PF_HOST_TABLE) {
			pf_error(p, &n->loc, "a table cannot hold a table");
			continue;
		}
		if (n->host.type == PF_HOST_ANY) {
			pf_error(p, &n->loc, "a table holds addresses: 'any' is none");
			continue;
		}
		if (p->table_scrap)
			continue;
		e = pf_table_def_add(p->table);
		if (!e) {
			pf_error_nomem(p);
			return;
		}
		e->af = n->host.af;
		e->bits = n->host.bits;
		e->neg = n->host.neg;
		e->ip = n->host.ip;
	}
}

static void table_end(struct pf_parser *p)
{
	if (!p->table_scrap && pf_ruleset_add_item(p->rs, PF_ITEM_TABLE, NULL, p->rs->ntables - 1))
		pf_error_nomem(p);
	p->table_scrap = false;
}

static void macro_define(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (p->nomem)
		return;
	for (const char *c = name; *c; c++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_",
			    *c)) {
			pf_error(p, loc, "macro name '%s' may hold letters, digits and _ only",
				 name);
			return;
		}
	}
	/* what could not be read back from between quotes */
	if (p->value.len > PF_STRING_LARGEST) {
		pf_error(p, loc, "the value of macro '%s' is too long", name);
		return;
	}
	if (p->value.len && p->value.text[p->value.len - 1] == '\\') {
		pf_error(p, loc, "a macro's value cannot end in a backslash");
		return;
	}
	if (!pf_macro_set(p, name, p->value.text, false))
		pf_error_nomem(p);
	echo(p, pf_stmt_printf(p, "%s = \"%s\"", name, quotable(p, p->value.text)));
}

/* Appends to the value of the macro at hand. */
static void value_add(struct pf_parser *p, const char *text)
{
	if (text)
		pf_text_add(p, &p->value, text, strlen(text));
}

/* A word where an option should be. */
static void no_option(struct pf_parser *p, const struct pf_loc *loc, const char *word)
{
	char what[64];

	if (strcmp(word, "source") == 0) {
		unbuilt(p, loc, "source limiter");
		return;
	}
	source_format(p, loc, what, sizeof(what));
	pf_error(p, loc, "syntax error: unexpected %s", *what ? what : "word");
	p->recover = true;
}
