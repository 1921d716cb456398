// SPDX-License-Identifier: BSD-2-Clause
/* lib/wire: what is written, and reading what others wrote. */
#include "unit.h"

#include "../../lib/wire.h"

/* So that a request for too much memory is an error here too, as it is without a sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void numbers_are_written_in_host_order(void **state)
{
	const uint16_t v16 = 0x0102;
	const uint32_t v32 = 0x03040506;
	const uint64_t v64 = 0x0708090a0b0c0d0eULL;
	pf_buf_auto b = {0};

	(void)state;
	pf_put_u8(&b, 0xfe);
	pf_put_u16(&b, v16);
	pf_put_u32(&b, v32);
	pf_put_u64(&b, v64);
	assert_false(b.failed);
	assert_int_equal(b.len, 1 + 2 + 4 + 8);
	assert_int_equal(b.data[0], 0xfe);
	assert_memory_equal(b.data + 1, &v16, 2);
	assert_memory_equal(b.data + 3, &v32, 4);
	assert_memory_equal(b.data + 7, &v64, 8);
}

static void numbers_are_read_back(void **state)
{
	pf_buf_auto b = {0};
	struct pf_cursor c;

	(void)state;
	pf_put_u64(&b, UINT64_MAX);
	pf_put_u8(&b, 0);
	pf_put_u8(&b, UINT8_MAX);
	pf_put_u16(&b, UINT16_MAX);
	pf_put_u32(&b, UINT32_MAX);
	pf_put_u64(&b, 1ULL << 63);
	c = pf_cursor_of(b.data, b.len);
	assert_true(pf_get_u64(&c) == UINT64_MAX);
	assert_int_equal(pf_get_u8(&c), 0);
	assert_int_equal(pf_get_u8(&c), UINT8_MAX);
	assert_int_equal(pf_get_u16(&c), UINT16_MAX);
	assert_int_equal(pf_get_u32(&c), UINT32_MAX);
	assert_false(pf_cursor_done(&c));
	assert_true(pf_get_u64(&c) == 1ULL << 63);
	assert_true(pf_cursor_done(&c));
}

static void strings_are_length_and_bytes(void **state)
{
	static const uint8_t null[] = {0xff, 0xff, 0xff, 0xff};
	const uint32_t three = 3, zero = 0;
	pf_buf_auto b = {0};

	(void)state;
	pf_put_string(&b, NULL);
	pf_put_string(&b, "");
	pf_put_string(&b, "abc");
	assert_int_equal(b.len, 4 + 4 + 4 + 3);
	assert_memory_equal(b.data, null, 4);
	assert_memory_equal(b.data + 4, &zero, 4);
	assert_memory_equal(b.data + 8, &three, 4);
	assert_memory_equal(b.data + 12, "abc", 3);
}

static void strings_are_read_back(void **state)
{
	pf_buf_auto b = {0};
	struct pf_cursor c;
	char buf[4];

	(void)state;
	pf_put_string(&b, NULL);
	pf_put_string(&b, "");
	pf_put_string(&b, "abc");
	c = pf_cursor_of(b.data, b.len);
	strcpy(buf, "x");
	assert_false(pf_get_string(&c, buf, sizeof(buf)));
	assert_false(c.bad);
	assert_string_equal(buf, "");
	strcpy(buf, "x");
	assert_true(pf_get_string(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(pf_get_string(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "abc");
	assert_true(pf_cursor_done(&c));
}

static void nothing_put_needs_no_memory(void **state)
{
	pf_buf_auto b = {0};

	(void)state;
	pf_put(&b, NULL, 0);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_false(b.failed);
	pf_buf_consume(&b, 0);
	pf_buf_consume(&b, 10);
	assert_int_equal(b.len, 0);
	pf_buf_free(&b);
}

static void a_buffer_grows_and_can_be_used_again(void **state)
{
	static uint8_t big[70000];
	struct pf_buf b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	for (int round = 0; round < 2; round++) {
		size_t at = 0;

		for (size_t n = 1; at + n <= sizeof(big); n = n * 3 / 2 + 1) {
			pf_put(&b, big + at, n);
			at += n;
			assert_true(b.capacity >= b.len);
			assert_int_equal(b.len, at);
		}
		assert_memory_equal(b.data, big, at);
		pf_buf_free(&b);
		assert_null(b.data);
		assert_int_equal(b.len + b.capacity, 0);
	}
	/* one put that is far more than twice what there was */
	pf_put_u8(&b, 1);
	pf_put(&b, big, sizeof(big));
	assert_int_equal(b.len, sizeof(big) + 1);
	assert_memory_equal(b.data + 1, big, sizeof(big));
	pf_buf_free(&b);
}

static void short_memory_marks_the_buffer(void **state)
{
	struct pf_buf b = {0};
	volatile size_t huge = (size_t)1 << 62;

	(void)state;
	pf_put_u32(&b, 42);
	pf_put(&b, "x", huge);
	assert_true(b.failed);
	assert_int_equal(b.len, 4);
	pf_put_u32(&b, 43);
	pf_put_string(&b, "abc");
	assert_int_equal(b.len, 4);
	assert_true(b.failed);
	pf_buf_free(&b);
	assert_false(b.failed);
	pf_put_u8(&b, 1);
	assert_int_equal(b.len, 1);
	pf_buf_free(&b);
}

static void consume_drops_the_first_bytes(void **state)
{
	pf_buf_auto b = {0};

	(void)state;
	pf_put(&b, "abcdef", 6);
	pf_buf_consume(&b, 0);
	assert_int_equal(b.len, 6);
	pf_buf_consume(&b, 2);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "cdef", 4);
	pf_put(&b, "gh", 2);
	assert_memory_equal(b.data, "cdefgh", 6);
	pf_buf_consume(&b, 6);
	assert_int_equal(b.len, 0);
	pf_put(&b, "ij", 2);
	pf_buf_consume(&b, SIZE_MAX);
	assert_int_equal(b.len, 0);
}

/* One read of each width with a byte less than it needs. */
static void reading_past_the_end_yields_zeroes(void **state)
{
	static const uint8_t ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t out[8];
	struct pf_cursor c;

	(void)state;
	c = pf_cursor_of(ones, 0);
	assert_int_equal(pf_get_u8(&c), 0);
	assert_true(c.bad);
	c = pf_cursor_of(ones, 1);
	assert_int_equal(pf_get_u16(&c), 0);
	assert_true(c.bad);
	c = pf_cursor_of(ones, 3);
	assert_int_equal(pf_get_u32(&c), 0);
	assert_true(c.bad);
	c = pf_cursor_of(ones, 7);
	assert_true(pf_get_u64(&c) == 0);
	assert_true(c.bad);
	c = pf_cursor_of(ones, 7);
	memset(out, 0xaa, sizeof(out));
	pf_get(&c, out, sizeof(out));
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
	assert_true(c.bad);
	/* nor does it read at all when it is asked for more than there can be */
	c = pf_cursor_of(ones, sizeof(ones));
	pf_get(&c, out, 0);
	assert_false(c.bad);
	assert_false(pf_cursor_done(&c));
}

static void a_bad_cursor_stays_bad(void **state)
{
	static const uint8_t bytes[4] = {1, 2, 3, 4};
	struct pf_cursor c = pf_cursor_of(bytes, sizeof(bytes));
	char buf[8] = "x";

	(void)state;
	assert_true(pf_get_u64(&c) == 0);
	/* these would fit */
	assert_int_equal(pf_get_u8(&c), 0);
	assert_int_equal(pf_get_u16(&c), 0);
	assert_int_equal(pf_get_u32(&c), 0);
	assert_false(pf_get_string(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(c.bad);
	assert_false(pf_cursor_done(&c));
	/* the same when the reader says so, even at the end */
	c = pf_cursor_of(bytes, sizeof(bytes));
	assert_int_equal(pf_get_u8(&c), 1);
	pf_cursor_fail(&c);
	assert_int_equal(pf_get_u8(&c), 0);
	c = pf_cursor_of(bytes, 0);
	assert_true(pf_cursor_done(&c));
	pf_cursor_fail(&c);
	assert_false(pf_cursor_done(&c));
}

static void a_cursor_over_nothing(void **state)
{
	struct pf_cursor c = pf_cursor_of(NULL, 0);
	char buf[2] = "x";

	(void)state;
	assert_true(pf_cursor_done(&c));
	assert_false(pf_get_string(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(c.bad);
}

struct bad_string {
	const char *what;
	uint32_t length; /* as announced */
	const char *bytes;
	size_t have;
	size_t size; /* of the reader's buffer */
};

static void bad_strings_are_refused(void **state)
{
	static const struct bad_string cases[] = {
		{"as long as the buffer", 4, "abcd", 4, 4},
		{"longer than the buffer", 5, "abcde", 5, 4},
		{"no room but for the NUL", 1, "a", 1, 1},
		{"longer than what is there", 4, "abc", 3, 8},
		{"nothing behind the length", 1, "", 0, 8},
		{"the largest length", UINT32_MAX - 1, "abc", 3, 8},
		{"a NUL inside", 3, "a\0c", 3, 8},
		{"a NUL at the end", 3, "ab", 3, 8},
		{"a NUL alone", 1, "", 1, 8},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct bad_string *s = &cases[i];
		pf_buf_auto b = {0};
		struct pf_cursor c;
		char buf[8] = "x";

		print_message("# %s\n", s->what);
		pf_put_u32(&b, s->length);
		pf_put(&b, s->bytes, s->have);
		c = pf_cursor_of(b.data, b.len);
		assert_false(pf_get_string(&c, buf, s->size));
		assert_true(c.bad);
		assert_false(pf_cursor_done(&c));
	}
}

static void a_cut_length_is_a_bad_string(void **state)
{
	static const uint8_t bytes[] = {1, 0, 0};
	struct pf_cursor c = pf_cursor_of(bytes, sizeof(bytes));
	char buf[8];

	(void)state;
	assert_false(pf_get_string(&c, buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(c.bad);
}

/* A message of random parts, read whole, and cut at every byte. */
enum part { PART_U8, PART_U16, PART_U32, PART_U64, PART_STRING, PART_NULL, PART_MAX };

static void put_parts(struct pf_buf *b, struct rnd r, int n)
{
	for (int i = 0; i < n; i++) {
		enum part part = (enum part)rnd_below(&r, PART_MAX);
		uint64_t v = rnd_next(&r);
		char s[10];

		snprintf(s, sizeof(s), "%.*s", (int)(v % 9), "abcdefghi");
		switch (part) {
		case PART_U8:
			pf_put_u8(b, (uint8_t)v);
			break;
		case PART_U16:
			pf_put_u16(b, (uint16_t)v);
			break;
		case PART_U32:
			pf_put_u32(b, (uint32_t)v);
			break;
		case PART_U64:
			pf_put_u64(b, v);
			break;
		case PART_STRING:
			pf_put_string(b, s);
			break;
		default:
			pf_put_string(b, NULL);
			break;
		}
	}
}

/* True if all parts were as written. */
static bool get_parts(struct pf_cursor *c, struct rnd r, int n)
{
	bool same = true;

	for (int i = 0; i < n; i++) {
		enum part part = (enum part)rnd_below(&r, PART_MAX);
		uint64_t v = rnd_next(&r);
		char s[10], got[10];

		snprintf(s, sizeof(s), "%.*s", (int)(v % 9), "abcdefghi");
		switch (part) {
		case PART_U8:
			same &= pf_get_u8(c) == (uint8_t)v;
			break;
		case PART_U16:
			same &= pf_get_u16(c) == (uint16_t)v;
			break;
		case PART_U32:
			same &= pf_get_u32(c) == (uint32_t)v;
			break;
		case PART_U64:
			same &= pf_get_u64(c) == v;
			break;
		case PART_STRING:
			same &= pf_get_string(c, got, sizeof(got)) && strcmp(got, s) == 0;
			break;
		default:
			same &= !pf_get_string(c, got, sizeof(got)) && !c->bad;
			break;
		}
	}
	return same;
}

static void random_messages_come_back(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 200; round++) {
		int n = (int)rnd_below(&r, 30);
		struct rnd parts = {.s = rnd_next(&r)};
		pf_buf_auto b = {0};
		struct pf_cursor c;

		put_parts(&b, parts, n);
		c = pf_cursor_of(b.data, b.len);
		assert_true(get_parts(&c, parts, n));
		assert_true(pf_cursor_done(&c));
		for (size_t cut = 0; cut < b.len; cut++) {
			/* in memory of its own, so that a byte too far is seen */
			uint8_t *copy = malloc(cut + !cut);

			memcpy(copy, b.data, cut);
			c = pf_cursor_of(copy, cut);
			get_parts(&c, parts, n);
			assert_true(c.bad);
			assert_false(pf_cursor_done(&c));
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_written_in_host_order),
		cmocka_unit_test(numbers_are_read_back),
		cmocka_unit_test(strings_are_length_and_bytes),
		cmocka_unit_test(strings_are_read_back),
		cmocka_unit_test(nothing_put_needs_no_memory),
		cmocka_unit_test(a_buffer_grows_and_can_be_used_again),
		cmocka_unit_test(short_memory_marks_the_buffer),
		cmocka_unit_test(consume_drops_the_first_bytes),
		cmocka_unit_test(reading_past_the_end_yields_zeroes),
		cmocka_unit_test(a_bad_cursor_stays_bad),
		cmocka_unit_test(a_cursor_over_nothing),
		cmocka_unit_test(bad_strings_are_refused),
		cmocka_unit_test(a_cut_length_is_a_bad_string),
		cmocka_unit_test(random_messages_come_back),
	};

	return unit_run(tests);
}
