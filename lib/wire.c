// SPDX-License-Identifier: BSD-2-Clause
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define NO_STRING UINT32_MAX

void pf_buf_free(struct pf_buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

void pf_put(struct pf_buf *b, const void *data, size_t len)
{
	if (b->failed || !len)
		return;
	if (b->capacity - b->len < len) {
		size_t want = b->capacity ? b->capacity : 256;
		uint8_t *p;

		while (want - b->len < len)
			want *= 2;
		p = realloc(b->data, want);
		if (!p) {
			b->failed = true;
			return;
		}
		b->data = p;
		b->capacity = want;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void pf_put_u8(struct pf_buf *b, uint8_t v)
{
	pf_put(b, &v, sizeof(v));
}

void pf_put_u16(struct pf_buf *b, uint16_t v)
{
	pf_put(b, &v, sizeof(v));
}

void pf_put_u32(struct pf_buf *b, uint32_t v)
{
	pf_put(b, &v, sizeof(v));
}

void pf_put_u64(struct pf_buf *b, uint64_t v)
{
	pf_put(b, &v, sizeof(v));
}

void pf_put_string(struct pf_buf *b, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	pf_put_u32(b, s ? (uint32_t)len : NO_STRING);
	pf_put(b, s, len);
}

void pf_buf_consume(struct pf_buf *b, size_t n)
{
	if (n < b->len)
		memmove(b->data, b->data + n, b->len - n);
	b->len -= n < b->len ? n : b->len;
}

struct pf_cursor pf_cursor_of(const void *data, size_t len)
{
	return (struct pf_cursor){.at = data, .end = (const uint8_t *)data + len};
}

void pf_get(struct pf_cursor *c, void *out, size_t len)
{
	if (c->bad || (size_t)(c->end - c->at) < len) {
		c->bad = true;
		memset(out, 0, len);
		return;
	}
	if (len)
		memcpy(out, c->at, len);
	c->at += len;
}

uint8_t pf_get_u8(struct pf_cursor *c)
{
	uint8_t v;

	pf_get(c, &v, sizeof(v));
	return v;
}

uint16_t pf_get_u16(struct pf_cursor *c)
{
	uint16_t v;

	pf_get(c, &v, sizeof(v));
	return v;
}

uint32_t pf_get_u32(struct pf_cursor *c)
{
	uint32_t v;

	pf_get(c, &v, sizeof(v));
	return v;
}

uint64_t pf_get_u64(struct pf_cursor *c)
{
	uint64_t v;

	pf_get(c, &v, sizeof(v));
	return v;
}

bool pf_get_string(struct pf_cursor *c, char *buf, size_t size)
{
	uint32_t len = pf_get_u32(c);

	*buf = '\0';
	if (c->bad || len == NO_STRING)
		return false;
	if (len >= size) {
		c->bad = true;
		return false;
	}
	pf_get(c, buf, len);
	if (c->bad)
		return false;
	buf[len] = '\0';
	/* a NUL inside would make two strings of it */
	if (strlen(buf) != len)
		c->bad = true;
	return !c->bad;
}

bool pf_cursor_done(const struct pf_cursor *c)
{
	return !c->bad && c->at == c->end;
}

void pf_cursor_fail(struct pf_cursor *c)
{
	c->bad = true;
}
