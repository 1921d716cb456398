// SPDX-License-Identifier: BSD-2-Clause
/* The parser's outside: sources in, ruleset out. */
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "label.h"
#include "lint.h"
#include "optimize.h"
#include "parser.h"

#define MAX_ERRORS 20

static int define_macros(struct pf_parser *p)
{
	for (size_t i = 0; i < p->opt->ndefines; i++) {
		const struct pf_define *d = &p->opt->defines[i];
		struct pf_macro *m = pf_macro_set(p, d->name, d->value, true);

		if (!m)
			return -ENOMEM;
		m->used = true;
	}
	return 0;
}

static void warn_rule(void *ctx, uint16_t file, uint32_t line, const char *text)
{
	struct pf_parser *p = ctx;
	const char *name = file < p->rs->nfiles ? p->rs->files[file] : p->opt->name;

	p->result.warnings++;
	fprintf(p->err, "%s:%u: warning: %s\n", name, line, text);
}

/* NOLINTBEGIN(misc-no-recursion): the parser bounds the depth of loads */

/* What a file says of it holds for those that it loads, unless they say it themselves. */
static int optimize(struct pf_parser *p, struct pf_ruleset *rs, enum pf_optimize outer)
{
	const struct pf_parse_options *opt = p->opt;
	enum pf_optimize level = (enum pf_optimize)opt->optimize;
	uint64_t *weights = NULL;
	int err;

	if (level == PF_OPTIMIZE_DEFAULT)
		level = (enum pf_optimize)rs->options.optimize;
	if (level == PF_OPTIMIZE_DEFAULT)
		level = outer;
	if (level == PF_OPTIMIZE_PROFILE && opt->weights && rs == p->rs)
		weights = opt->weights(opt->weights_ctx, rs);
	err = pf_ruleset_optimize(rs, level, weights);
	free(weights);
	for (size_t i = 0; i < rs->nloads && !err; i++)
		err = optimize(p, rs->loads[i].rs, level);
	return err;
}

static int number_labels(struct pf_parser *p, struct pf_ruleset *rs)
{
	const struct pf_rule *bad = NULL;
	int err = pf_labels_number(rs, &bad);

	if (err == -E2BIG) {
		p->result.errors++;
		fprintf(p->err,
			"%s:%u:1: the label or tag becomes too long by the number of its rule\n",
			rs->files[bad->file], bad->line);
		return -EINVAL;
	}
	for (size_t i = 0; i < rs->nloads && !err; i++)
		err = number_labels(p, rs->loads[i].rs);
	return err;
}

/* NOLINTEND(misc-no-recursion) */

static int run(struct pf_parser *p, const struct pf_file *file)
{
	int err = define_macros(p);

	if (err)
		return err;
	if (!pf_lex_push(p, file))
		return -ENOMEM;
	p->block = &p->rs->main;
	/* as behind an empty line: the first token is read by the statement loop */
	p->tok.kind = TOK_NEWLINE;
	pf_parse_block(p);
	if (!pf_error_full(p) && !p->nomem)
		pf_check_names(p);
	pf_lex_end(p);
	if (p->nomem)
		return -ENOMEM;
	if (p->result.errors)
		return -EINVAL;
	if (p->opt->lint) {
		pf_macro_lint(p);
		pf_ruleset_lint(p->rs, warn_rule, p);
	}
	if (p->opt->load_depth) /* with that which loads it */
		return 0;
	err = optimize(p, p->rs, PF_OPTIMIZE_BASIC);
	return err ? err : number_labels(p, p->rs);
}

static int parse(const char *text, size_t len, dev_t dev, ino_t ino,
		 const struct pf_parse_options *opt, struct pf_ruleset **out,
		 struct pf_parse_result *result)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_parser *p = calloc(1, sizeof(*p));
	struct pf_file first = {
		.text = text,
		.len = len,
		.dev = dev,
		.ino = ino,
		.by = opt->loaded_by,
		.by_line = opt->loaded_line,
	};
	int err = -ENOMEM;

	first.name = opt->name;
	if (rs && p && pf_ruleset_add_file(rs, opt->name) == 0) {
		p->opt = opt;
		p->rs = rs;
		rs->in_anchor = opt->anchor && *opt->anchor;
		p->err = opt->err ? opt->err : stderr;
		p->max_errors = opt->max_errors ? opt->max_errors : MAX_ERRORS;
		p->files_bytes = len;
		err = run(p, &first);
		if (result)
			*result = p->result;
		for (struct pf_file *f = p->files; f; f = f->next)
			free(f->owned);
		free(p->string.text);
		pf_ifdb_free(p->ifdb);
		pf_arena_free(&p->stmt_arena);
		pf_arena_free(&p->keep_arena);
	}
	free(p);
	if (err)
		return err;
	pf_options_finish(&rs->options);
	*out = rs;
	rs = NULL;
	return 0;
}

int pf_parse_text(const char *text, size_t len, const struct pf_parse_options *opt,
		  struct pf_ruleset **out, struct pf_parse_result *result)
{
	if (result)
		memset(result, 0, sizeof(*result));
	if (len > PF_FILES_LARGEST)
		return -EFBIG;
	return parse(text, len, 0, 0, opt, out, result);
}

/* All that comes from fd, up to `most` bytes; the caller frees *out. */
static int read_all(int fd, size_t most, char **out, size_t *len)
{
	size_t size = 0, n = 0;
	char *buf = NULL;
	int err = 0;

	for (;;) {
		ssize_t got;

		if (n > most) {
			err = -EFBIG;
			break;
		}
		if (n == size) {
			char *more;

			size = size ? size * 2 : 65536;
			more = realloc(buf, size);
			if (!more) {
				err = -ENOMEM;
				break;
			}
			buf = more;
		}
		got = read(fd, buf + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (err) {
		free(buf);
		return err;
	}
	*out = buf;
	*len = n;
	return 0;
}

int pf_read_file(const char *path, size_t most, char **out, size_t *len, dev_t *dev, ino_t *ino)
{
	bool input = strcmp(path, "-") == 0;
	int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		err = -errno;
	} else if (S_ISDIR(st.st_mode)) {
		err = -EISDIR;
	} else {
		*dev = st.st_dev;
		*ino = st.st_ino;
		err = read_all(fd, most, out, len);
	}
	if (!input)
		close(fd);
	return err;
}

int pf_parse_file(const char *path, const struct pf_parse_options *opt, struct pf_ruleset **out,
		  struct pf_parse_result *result)
{
	char *text = NULL;
	size_t len = 0;
	dev_t dev = 0;
	ino_t ino = 0;
	int err;

	if (result)
		memset(result, 0, sizeof(*result));
	err = pf_read_file(path, PF_FILES_LARGEST, &text, &len, &dev, &ino);
	if (!err)
		err = parse(text ? text : "", len, dev, ino, opt, out, result);
	free(text);
	return err;
}
