// SPDX-License-Identifier: BSD-2-Clause
/* The parser's outside: sources in, ruleset out. */
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parser.h"
#include "parse.tab.h"

#define MAX_ERRORS 20

static int define_macros(struct pf_parser *p)
{
	for (size_t i = 0; i < p->opt->ndefines; i++) {
		const struct pf_define *d = &p->opt->defines[i];

		if (!pf_macro_set(p, d->name, d->value, true))
			return -ENOMEM;
	}
	return 0;
}

static int run(struct pf_parser *p)
{
	void *scanner;
	int err = define_macros(p);

	if (err)
		return err;
	if (pf_yylex_init_extra(p, &scanner))
		return -ENOMEM;
	err = pf_gram_parse(p, scanner);
	/* flex frees the newest of its buffers only */
	pf_lex_unwind(p, scanner);
	pf_yylex_destroy(scanner);
	if (p->nomem)
		return -ENOMEM;
	/* 2 is bison's for too deep a nesting, which has been reported */
	return err || p->nerrors ? -EINVAL : 0;
}

int pf_parse_text(const char *text, size_t len, const struct pf_parse_options *opt,
		  struct pf_ruleset **out, unsigned int *nerrors)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_parser *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (rs && p) {
		p->opt = opt;
		p->rs = rs;
		p->err = opt->err ? opt->err : stderr;
		p->max_errors = opt->max_errors ? opt->max_errors : MAX_ERRORS;
		p->text = text;
		p->len = len;
		p->line = 1;
		err = run(p);
		if (nerrors)
			*nerrors = p->nerrors;
		free(p->string.text);
		free(p->value.text);
		pf_arena_free(&p->stmt_arena);
		pf_arena_free(&p->macro_arena);
	}
	free(p);
	if (err)
		return err;
	pf_options_finish(&rs->options);
	*out = rs;
	rs = NULL;
	return 0;
}

/* All that comes from fd; the caller frees *out. */
static int read_all(int fd, char **out, size_t *len)
{
	size_t size = 0, n = 0;
	char *buf = NULL;

	for (;;) {
		ssize_t got;

		if (n == size) {
			char *more;

			size = size ? size * 2 : 65536;
			more = realloc(buf, size);
			if (!more) {
				free(buf);
				return -ENOMEM;
			}
			buf = more;
		}
		got = read(fd, buf + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int err = -errno;

			free(buf);
			return err;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*out = buf;
	*len = n;
	return 0;
}

int pf_parse_file(const char *path, const struct pf_parse_options *opt, struct pf_ruleset **out,
		  unsigned int *nerrors)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	size_t len = 0;
	int err;

	if (nerrors)
		*nerrors = 0;
	if (fd < 0)
		return -errno;
	err = read_all(fd, &text, &len);
	if (fd != STDIN_FILENO)
		close(fd);
	if (!err)
		err = pf_parse_text(text, len, opt, out, nerrors);
	free(text);
	return err;
}
