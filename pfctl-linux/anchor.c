// SPDX-License-Identifier: BSD-2-Clause
/* -a and -s Anchors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"
#include "json.h"

int pfctl_anchor(struct pfctl *c, const char *path)
{
	size_t len = strlen(path);
	const char *why;
	char *copy;

	while (*path == '/') {
		path++;
		len--;
	}
	copy = strdup(path);
	if (!copy) {
		pfctl_warn("out of memory");
		return 1;
	}
	if (strcmp(copy, "*") == 0 || (len > 1 && strcmp(copy + len - 2, "/*") == 0)) {
		c->recurse = true;
		copy[len > 1 ? len - 2 : 0] = '\0';
	}
	why = *copy ? pf_anchor_path_error(copy, false) : NULL;
	/* what pf has named itself may be looked at */
	if (why && *copy != '_' && !strstr(copy, "/_")) {
		pfctl_warn("anchor '%s': %s", copy, why);
		free(copy);
		return 1;
	}
	free(c->anchor);
	c->anchor = copy;
	return 0;
}

static int add_path(void *ctx, const void *payload, size_t len)
{
	struct pf_cursor cur = pf_cursor_of(payload, len);
	struct pfctl_anchors *l = ctx;
	char path[PF_ANCHOR_SIZE];
	char **v;

	if (!pf_get_string(&cur, path, sizeof(path)))
		return -1;
	v = reallocarray(l->path, l->n + 1, sizeof(*v));
	if (!v)
		return -1;
	l->path = v;
	v[l->n] = strdup(path);
	return v[l->n] ? (l->n++, 0) : -1;
}

void pfctl_anchors_free(struct pfctl_anchors *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->path[i]);
	free(l->path);
	*l = (struct pfctl_anchors){0};
}

int pfctl_anchors(struct pfctl *c, struct pfctl_anchors *l)
{
	pf_buf_auto ok = {0};

	if (!pfctl_call(c, PF_REQ_ANCHORS, NULL, add_path, l, &ok))
		return 0;
	pfctl_anchors_free(l);
	return 1;
}

bool pfctl_anchor_exists(struct pfctl *c, const char *path)
{
	struct pfctl_anchors l = {0};
	bool found = !*path;

	if (pfctl_anchors(c, &l))
		return false;
	for (size_t i = 0; i < l.n; i++)
		found |= strcmp(l.path[i], path) == 0;
	pfctl_anchors_free(&l);
	return found;
}

/* The part of a path that is `below`, NULL if it is not. */
static const char *part_below(const char *path, const char *below)
{
	size_t len = strlen(below);

	if (strncmp(path, below, len) != 0 || (len && path[len] != '/'))
		return NULL;
	return path + len + (len ? 1 : 0);
}

/* Is a path's beginning, `len` long, also one of the other path? */
static bool shares(const char *path, size_t len, const char *other)
{
	return strncmp(path, other, len) == 0 && (!other[len] || other[len] == '/');
}

static void print_path(struct pfctl *c, const char *path, size_t len)
{
	char buf[PF_ANCHOR_SIZE];

	snprintf(buf, sizeof(buf), "%.*s", (int)len, path);
	if (c->json)
		pfctl_json_item(c, pfctl_json_text(buf));
	else
		printf("  %s\n", buf);
}

/*
 * Those directly below; with -v all.  An anchor is there as soon as something below it
 * is.  The daemon gives a path and what is below it in a row.
 */
static void print_level(struct pfctl *c, const struct pfctl_anchors *l, const char *from)
{
	const char *before = "";

	for (size_t i = 0; i < l->n; i++) {
		const char *path = l->path[i], *end = part_below(path, from);

		while (end && *end) {
			size_t len;

			end += strcspn(end, "/");
			len = (size_t)(end - path);
			if (!shares(path, len, before) &&
			    (c->verbose || (*path != '_' && !strstr(path, "/_"))))
				print_path(c, path, len);
			if (!c->verbose && !c->recurse)
				break;
			end += *end == '/';
		}
		before = path;
	}
}

int pfctl_show_anchors(struct pfctl *c)
{
	struct pfctl_anchors l = {0};
	const char *from = c->anchor ? c->anchor : "";

	if (pfctl_anchors(c, &l))
		return 1;
	if (*from && !pfctl_anchor_exists(c, from)) {
		bool below = false;

		for (size_t i = 0; i < l.n; i++)
			below |= part_below(l.path[i], from) != NULL;
		if (!below) {
			pfctl_warn("Anchor '%s' not found.", from);
			pfctl_anchors_free(&l);
			return 1;
		}
	}
	if (c->json)
		pfctl_json_begin(c);
	print_level(c, &l, from);
	if (c->json)
		pfctl_json_end();
	pfctl_anchors_free(&l);
	return 0;
}
