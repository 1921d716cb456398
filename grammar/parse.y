/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of pf.conf.  Its order of clauses is OpenBSD's.  Actions, whose
 * larger part is in act_rule.c and act_statement.c, put together lists and one
 * struct pf_stmt_rule; expand.c multiplies them out.
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
#include <stdlib.h>
#include <string.h>

#include "actions.h"

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

static void no_option(struct pf_parser *p, const struct pf_loc *loc, const char *word);
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
		pf_act_unbuilt(p, &@$, pf_stmt_printf(p, "no %s", $2));
		YYERROR;
	}
	| STATE UNBUILT	{
		pf_act_unbuilt(p, &@$, pf_stmt_printf(p, "state %s", $2));
		YYERROR;
	}
	| WORD UNBUILT	{
		pf_act_unbuilt(p, &@$, pf_stmt_printf(p, "%s %s", $1, $2));
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
	WORD '=' value	{ pf_act_macro(p, &@1, $1); }
	;

value:
	value_item		{
		p->value.len = 0;
		pf_text_add(p, &p->value, "", 0);
		pf_act_value_add(p, $1);
	}
	| value value_item	{
		pf_act_value_add(p, " ");
		pf_act_value_add(p, $2);
	}
	;

value_item:
	text
	| NUMBER	{ $$ = pf_stmt_printf(p, "%lld", $1); }
	;

/* --- options --- */

set:
	SET SKIP ON ifs		{ pf_act_skip(p, $4); }
	| SET LIMIT limit
	| SET LIMIT '{' optnl limit_list '}'
	| SET TIMEOUT timeout
	| SET TIMEOUT '{' optnl timeout_list '}'
	| SET BLOCK_POLICY DROP	{
		p->rs->options.block_return = false;
		pf_act_echo(p, "set block-policy drop");
	}
	| SET BLOCK_POLICY RETURN	{
		p->rs->options.block_return = true;
		pf_act_echo(p, "set block-policy return");
	}
	| SET REASSEMBLE NO	{ pf_act_echo(p, "set reassemble no"); }
	| SET REASSEMBLE WORD	{
		if (strcmp($3, "yes") == 0) {
			pf_act_unbuilt(p, &@3, "set reassemble yes");
		} else {
			pf_error(p, &@3, "set reassemble takes yes or no");
		}
	}
	| SET STATE_POLICY FLOATING	{ pf_act_echo(p, "set state-policy floating"); }
	| SET OPTIMIZATION WORD		{ pf_act_optimization(p, &@3, $3); }
	| SET RULESET_OPTIMIZATION WORD	{
		if (strcmp($3, "none") == 0)
			pf_act_echo(p, "set ruleset-optimization none");
		else if (strcmp($3, "basic") != 0 && strcmp($3, "profile") != 0)
			pf_error(p, &@3, "unknown ruleset-optimization %s", $3);
		else
			pf_act_unbuilt(p, &@3, pf_stmt_printf(p, "ruleset-optimization %s", $3));
	}
	;

limit:
	WORD NUMBER	{ pf_act_limit(p, &@1, $1, &@2, $2); }
	;

limit_list:
	limit optnl
	| limit_list comma limit optnl
	;

timeout:
	WORD NUMBER	{ pf_act_timeout(p, &@1, $1, &@2, $2); }
	;

timeout_list:
	timeout optnl
	| timeout_list comma timeout optnl
	;

/* --- tables --- */

table:
	TABLE table_name	{
		struct pf_loc name = pf_act_inside(p, &@2);

		pf_act_table_begin(p, &name, $2);
	}
	table_options		{ pf_act_table_end(p); }
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
	| '{' optnl host_list '}'	{ pf_act_table_list(p, $3); }
	| TIMEOUT	{
		pf_act_unbuilt(p, &@1, "a table's timeout");
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
	PASS		{ pf_act_rule_begin(p, &@1); }
	| BLOCK		{
		pf_act_rule_begin(p, &@1);
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
		if (pf_act_in_range(p, &@4, "ttl", $4, 0, 255))
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
	WORD		{ $$ = pf_act_return_code(p, &@1, 0, $1, 0); }
	| NUMBER	{ $$ = pf_act_return_code(p, &@1, 0, NULL, $1); }
	;

code6:
	WORD		{ $$ = pf_act_return_code(p, &@1, 1, $1, 0); }
	| NUMBER	{ $$ = pf_act_return_code(p, &@1, 1, NULL, $1); }
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
		pf_act_unbuilt(p, &@2, "log with options");
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
	text		{ $$ = pf_act_interface(p, &@1, $1); }
	| ANY		{ $$ = pf_act_interface(p, &@1, PF_IF_ANY); }
	| '!' ANY	{
		$$ = pf_act_interface(p, &@2, PF_IF_ANY);
		if ($$.first)
			$$.first->neg = true;
	}
	| '!' text	{
		$$ = pf_act_interface(p, &@2, $2);
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
	text		{ $$ = pf_act_protocol(p, &@1, $1, 0); }
	| NUMBER	{ $$ = pf_act_protocol(p, &@1, NULL, $1); }
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
	| host_list comma host_item optnl	{ $$ = pf_act_join($1, $3); }
	| host_list comma '{' optnl host_list '}' optnl	{ $$ = pf_act_join($1, $5); }
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
		pf_act_negate(&$$);
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
		pf_act_unbuilt(p, &@$, "an address range");
		YYERROR;
	}
	| '('		{
		pf_act_unbuilt(p, &@1, "an interface in parentheses as an address");
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
		name = pf_act_inside(p, &@1);
		pf_act_table_name_ok(p, &name, $1);
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
		$$ = pf_act_port(p, &@$, $1.op == PF_PORT_RANGE ? PF_PORT_RANGE : PF_PORT_EQ, $1, $1);
	}
	| port_op port_number	{
		$$ = pf_act_port(p, &@$, (enum pf_port_op)$1, $2, $2);
	}
	| port_number PORT_INSIDE port_number	{
		$$ = pf_act_port(p, &@$, PF_PORT_INSIDE, $1, $3);
	}
	| port_number PORT_OUTSIDE port_number	{
		$$ = pf_act_port(p, &@$, PF_PORT_OUTSIDE, $1, $3);
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
	text		{ $$ = pf_act_port_word(p, &@1, $1); }
	| NUMBER	{
		$$ = (struct pf_rule_port){0};
		if (pf_act_in_range(p, &@1, "port", $1, 0, 65535))
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
	FLAGS WORD '/' WORD	{ pf_act_flags(p, &@$, $2, $4); }
	| FLAGS '/' WORD	{ pf_act_flags(p, &@$, "", $3); }
	| FLAGS ANY		{ pf_act_flags(p, &@$, "", ""); }
	| ICMP_TYPE icmp_item	{
		pf_act_seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $2;
		p->stmt.icmp_loc = @$;
	}
	| ICMP_TYPE '{' optnl icmp_list '}'	{
		pf_act_seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $4;
		p->stmt.icmp_loc = @1;
	}
	| ICMP6_TYPE icmp6_item	{
		pf_act_seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $2;
		p->stmt.icmp_loc = @$;
	}
	| ICMP6_TYPE '{' optnl icmp6_list '}'	{
		pf_act_seen(p, &@1, PF_OPT_ICMP, "icmp-type");
		p->stmt.icmp = $4;
		p->stmt.icmp_loc = @1;
	}
	| KEEP STATE		{
		pf_act_seen(p, &@$, PF_OPT_STATE, "state");
		p->stmt.rule.keep_state = true;
		p->stmt.state_loc = @$;
	}
	| KEEP STATE '('	{
		pf_act_unbuilt(p, &@3, "keep state with options");
		YYERROR;
	}
	| NO STATE		{
		pf_act_seen(p, &@$, PF_OPT_STATE, "state");
		p->stmt.state_loc = @$;
	}
	| LABEL text		{ pf_act_label(p, &@2, $2); }
	| ALLOW_OPTS		{
		pf_act_seen(p, &@1, PF_OPT_ALLOW_OPTS, "allow-opts");
		p->stmt.rule.allow_opts = true;
	}
	| FRAGMENT		{
		pf_act_seen(p, &@1, PF_OPT_FRAGMENT, "fragment");
		p->stmt.rule.fragment = true;
	}
	| SET			{
		pf_act_unbuilt(p, &@1, "set in a rule");
		YYERROR;
	}
	| STATE UNBUILT		{
		pf_act_unbuilt(p, &@$, pf_stmt_printf(p, "state %s", $2));
		YYERROR;
	}
	| WORD			{
		no_option(p, &@1, $1);
		YYERROR;
	}
	| '!' UNBUILT		{
		pf_act_unbuilt(p, &@2, $2);
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
	icmp_name	{ $$ = pf_act_icmp(p, &@1, 0, $1, 0); }
	| NUMBER	{ $$ = pf_act_icmp(p, &@1, 0, NULL, $1); }
	| icmp_name CODE text	{
		$$ = pf_act_icmp(p, &@1, 0, $1, 0);
		pf_act_icmp_code(p, &@3, &$$, $3, 0);
	}
	| icmp_name CODE NUMBER	{
		$$ = pf_act_icmp(p, &@1, 0, $1, 0);
		pf_act_icmp_code(p, &@3, &$$, NULL, $3);
	}
	| NUMBER CODE text	{
		$$ = pf_act_icmp(p, &@1, 0, NULL, $1);
		pf_act_icmp_code(p, &@3, &$$, $3, 0);
	}
	| NUMBER CODE NUMBER	{
		$$ = pf_act_icmp(p, &@1, 0, NULL, $1);
		pf_act_icmp_code(p, &@3, &$$, NULL, $3);
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
	text		{ $$ = pf_act_icmp(p, &@1, 1, $1, 0); }
	| NUMBER	{ $$ = pf_act_icmp(p, &@1, 1, NULL, $1); }
	| text CODE text	{
		$$ = pf_act_icmp(p, &@1, 1, $1, 0);
		pf_act_icmp_code(p, &@3, &$$, $3, 0);
	}
	| text CODE NUMBER	{
		$$ = pf_act_icmp(p, &@1, 1, $1, 0);
		pf_act_icmp_code(p, &@3, &$$, NULL, $3);
	}
	| NUMBER CODE text	{
		$$ = pf_act_icmp(p, &@1, 1, NULL, $1);
		pf_act_icmp_code(p, &@3, &$$, $3, 0);
	}
	| NUMBER CODE NUMBER	{
		$$ = pf_act_icmp(p, &@1, 1, NULL, $1);
		pf_act_icmp_code(p, &@3, &$$, NULL, $3);
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

/* A word where an option should be. */
static void no_option(struct pf_parser *p, const struct pf_loc *loc, const char *word)
{
	char what[64];

	if (strcmp(word, "source") == 0) {
		pf_act_unbuilt(p, loc, "source limiter");
		return;
	}
	source_format(p, loc, what, sizeof(what));
	pf_error(p, loc, "syntax error: unexpected %s", *what ? what : "word");
	p->recover = true;
}
