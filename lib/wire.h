/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of messages: a growing buffer to write, a cursor to read.  Numbers are
 * in host order, for both ends are on one machine.  Reading past the end, or a
 * string that does not fit, makes the cursor bad, and it then yields zeroes: the
 * reader checks once, at the end.
 */
#ifndef PF_LIB_WIRE_H
#define PF_LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_buf {
	uint8_t *data;
	size_t len, capacity;
	bool failed; /* memory was short: the content is incomplete */
};

void pf_buf_free(struct pf_buf *b);
#define pf_buf_auto __attribute__((cleanup(pf_buf_free))) struct pf_buf

void pf_put(struct pf_buf *b, const void *data, size_t len);
void pf_put_u8(struct pf_buf *b, uint8_t v);
void pf_put_u16(struct pf_buf *b, uint16_t v);
void pf_put_u32(struct pf_buf *b, uint32_t v);
void pf_put_u64(struct pf_buf *b, uint64_t v);
/* Length and bytes; NULL is distinct from "". */
void pf_put_string(struct pf_buf *b, const char *s);
/* Drops the first n bytes. */
void pf_buf_consume(struct pf_buf *b, size_t n);

struct pf_cursor {
	const uint8_t *at, *end;
	bool bad;
};

struct pf_cursor pf_cursor_of(const void *data, size_t len);
void pf_get(struct pf_cursor *c, void *out, size_t len);
uint8_t pf_get_u8(struct pf_cursor *c);
uint16_t pf_get_u16(struct pf_cursor *c);
uint32_t pf_get_u32(struct pf_cursor *c);
uint64_t pf_get_u64(struct pf_cursor *c);
/* Into buf with its NUL; true if there was a string, false if it was NULL or bad. */
bool pf_get_string(struct pf_cursor *c, char *buf, size_t size);
/* True when all has been read, and nothing was bad. */
bool pf_cursor_done(const struct pf_cursor *c);
/* A bad value was found by the reader. */
void pf_cursor_fail(struct pf_cursor *c);

#endif /* PF_LIB_WIRE_H */
