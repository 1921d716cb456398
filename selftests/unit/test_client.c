// SPDX-License-Identifier: BSD-2-Clause
/* lib/client: what it makes of answers, good and bad; the daemon is a socket's other end. */
#include "unit.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../lib/client.h"

struct peer {
	struct pf_client client;
	int fd;
	/* what the callback saw, and what it returns */
	size_t calls, bytes;
	int result;
};

static struct peer peer_new(void)
{
	struct peer p = {.client = PF_CLIENT_INIT};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p.client.fd = fds[0];
	p.fd = fds[1];
	return p;
}

static void peer_free(struct peer *p)
{
	pf_client_close(&p->client);
	assert_int_equal(p->client.fd, -1);
	pf_client_close(&p->client);
	if (p->fd >= 0)
		close(p->fd);
}

static void put_frame(struct pf_buf *b, enum pf_msg type, uint32_t seq, const void *payload,
		      size_t len)
{
	const struct pf_frame f = {
		.magic = PF_PROTO_MAGIC, .type = (uint16_t)type, .len = (uint32_t)len, .seq = seq};

	pf_put(b, &f, sizeof(f));
	pf_put(b, payload, len);
}

static int on_data(void *ctx, const void *payload, size_t len)
{
	struct peer *p = ctx;

	(void)payload;
	p->calls++;
	p->bytes += len;
	return p->result;
}

/* Answers with these bytes, and then with the end of the connection. */
static int call(struct peer *p, const struct pf_buf *answer, struct pf_buf *ok)
{
	if (answer->len)
		assert_int_equal(send(p->fd, answer->data, answer->len, 0), answer->len);
	shutdown(p->fd, SHUT_WR);
	return pf_client_call(&p->client, PF_REQ_STATUS, NULL, on_data, p, ok);
}

static void requests_are_one_frame(void **state)
{
	struct peer p = peer_new();
	pf_buf_auto payload = {0};
	pf_buf_auto answer = {0};
	struct pf_frame f;
	char bytes[8];

	(void)state;
	pf_put(&payload, "abc", 3);
	for (uint32_t seq = 1; seq <= 3; seq++)
		put_frame(&answer, PF_MSG_OK, seq, NULL, 0);
	assert_int_equal(send(p.fd, answer.data, answer.len, 0), answer.len);
	for (uint32_t seq = 1; seq <= 3; seq++) {
		const struct pf_buf *sent = seq == 2 ? &payload : NULL;

		assert_int_equal(pf_client_call(&p.client, PF_REQ_TABLE, sent, NULL, NULL, NULL),
				 0);
		assert_int_equal(recv(p.fd, &f, sizeof(f), MSG_WAITALL), sizeof(f));
		assert_int_equal(f.magic, PF_PROTO_MAGIC);
		assert_int_equal(f.type, PF_REQ_TABLE);
		assert_int_equal(f.reserved, 0);
		assert_int_equal(f.seq, seq);
		assert_int_equal(f.len, sent ? 3 : 0);
		if (sent)
			assert_int_equal(recv(p.fd, bytes, 3, MSG_WAITALL), 3);
	}
	assert_int_equal(recv(p.fd, bytes, 1, MSG_DONTWAIT), -1);
	peer_free(&p);
}

static void answers_are_data_and_ok(void **state)
{
	struct peer p = peer_new();
	pf_buf_auto answer = {0};
	pf_buf_auto ok = {0};

	(void)state;
	put_frame(&answer, PF_MSG_DATA, 1, "12345", 5);
	put_frame(&answer, PF_MSG_DATA, 1, NULL, 0);
	put_frame(&answer, PF_MSG_DATA, 1, "67", 2);
	put_frame(&answer, PF_MSG_OK, 1, "fine", 4);
	/* the next answer stays where it is */
	put_frame(&answer, PF_MSG_OK, 2, NULL, 0);
	assert_int_equal(call(&p, &answer, &ok), 0);
	assert_int_equal(p.calls, 3);
	assert_int_equal(p.bytes, 7);
	assert_int_equal(ok.len, 4);
	assert_memory_equal(ok.data, "fine", 4);
	assert_int_equal(pf_client_call(&p.client, PF_REQ_STATUS, NULL, NULL, NULL, NULL), 0);
	peer_free(&p);
}

static void the_largest_frame_fits(void **state)
{
	struct peer p = peer_new();
	pf_buf_auto answer = {0};
	char *big = calloc(1, PF_FRAME_MOST);
	pid_t pid;

	(void)state;
	put_frame(&answer, PF_MSG_DATA, 1, big, PF_FRAME_MOST);
	put_frame(&answer, PF_MSG_OK, 1, NULL, 0);
	/* more than the socket holds: somebody must write while we read */
	pid = fork();
	if (pid == 0) {
		for (size_t at = 0; at < answer.len;)
			at += (size_t)send(p.fd, answer.data + at, answer.len - at, 0);
		_exit(0);
	}
	assert_int_equal(pf_client_call(&p.client, PF_REQ_STATUS, NULL, on_data, &p, NULL), 0);
	assert_int_equal(p.bytes, PF_FRAME_MOST);
	free(big);
	peer_free(&p);
}

static void errors_are_the_daemons(void **state)
{
	struct peer p = peer_new();
	pf_buf_auto answer = {0};
	pf_buf_auto error = {0};

	(void)state;
	pf_put_u32(&error, EBUSY);
	pf_put_string(&error, "not now");
	put_frame(&answer, PF_MSG_DATA, 1, "x", 1);
	put_frame(&answer, PF_MSG_ERROR, 1, error.data, error.len);
	assert_int_equal(call(&p, &answer, NULL), -EBUSY);
	assert_string_equal(p.client.error, "not now");
	assert_int_equal(p.calls, 1);
	peer_free(&p);
}

/* An error without a number, or with one that is none, is not a success. */
static void malformed_errors(void **state)
{
	static const uint32_t numbers[] = {0, 1U << 31, UINT32_MAX, UINT32_MAX - 1};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(numbers); i++) {
		struct peer p = peer_new();
		pf_buf_auto answer = {0};
		pf_buf_auto error = {0};

		pf_put_u32(&error, numbers[i / 2]);
		if (i & 1)
			pf_put_string(&error, "text");
		put_frame(&answer, PF_MSG_ERROR, 1, error.data, error.len);
		assert_true(call(&p, &answer, NULL) < 0);
		assert_string_not_equal(p.client.error, "");
		peer_free(&p);
	}
}

static void long_error_messages(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = 510; len < 514; len++) {
		struct peer p = peer_new();
		pf_buf_auto answer = {0};
		pf_buf_auto error = {0};
		int err;

		text[len] = '\0';
		pf_put_u32(&error, EINVAL);
		pf_put_string(&error, text);
		put_frame(&answer, PF_MSG_ERROR, 1, error.data, error.len);
		err = call(&p, &answer, NULL);
		assert_int_equal(err, len < sizeof(p.client.error) ? -EINVAL : -EPROTO);
		assert_true(strlen(p.client.error) < sizeof(p.client.error));
		text[len] = 'x';
		peer_free(&p);
	}
}

static void other_protocols(void **state)
{
	(void)state;
	for (int which = 0; which < 4; which++) {
		struct pf_frame f = {.magic = PF_PROTO_MAGIC, .type = PF_MSG_OK, .seq = 1};
		struct peer p = peer_new();
		pf_buf_auto answer = {0};

		if (which == 0)
			f.magic++;
		else if (which == 1)
			f.seq++;
		else if (which == 2)
			f.len = PF_FRAME_MOST + 1;
		else
			f.type = PF_MSG_DATA + 1;
		pf_put(&answer, &f, sizeof(f));
		assert_int_equal(call(&p, &answer, NULL), -EPROTO);
		assert_string_not_equal(p.client.error, "");
		peer_free(&p);
	}
}

static void answers_that_end_early(void **state)
{
	pf_buf_auto answer = {0};
	size_t len;

	(void)state;
	put_frame(&answer, PF_MSG_DATA, 1, "abcd", 4);
	put_frame(&answer, PF_MSG_OK, 1, "ok", 2);
	for (len = answer.len, answer.len = 0; answer.len < len; answer.len++) {
		struct peer p = peer_new();

		assert_int_equal(call(&p, &answer, NULL), -ECONNRESET);
		assert_string_equal(p.client.error, "pfd has closed the connection");
		peer_free(&p);
	}
}

static void data_that_is_not_wanted(void **state)
{
	struct peer p = peer_new();
	pf_buf_auto answer = {0};

	(void)state;
	put_frame(&answer, PF_MSG_DATA, 1, "x", 1);
	put_frame(&answer, PF_MSG_OK, 1, NULL, 0);
	assert_int_equal(send(p.fd, answer.data, answer.len, 0), answer.len);
	assert_int_equal(pf_client_call(&p.client, PF_REQ_STATUS, NULL, NULL, NULL, NULL), -EPROTO);
	peer_free(&p);
	p = peer_new();
	p.result = -ENOSPC;
	assert_int_equal(call(&p, &answer, NULL), -ENOSPC);
	assert_int_equal(p.calls, 1);
	peer_free(&p);
}

static void requests_that_cannot_be_sent(void **state)
{
	struct peer p = peer_new();
	struct pf_buf payload = {.failed = true};

	(void)state;
	assert_int_equal(pf_client_call(&p.client, PF_REQ_STATUS, &payload, NULL, NULL, NULL),
			 -ENOMEM);
	close(p.fd);
	p.fd = -1;
	assert_int_equal(pf_client_call(&p.client, PF_REQ_STATUS, NULL, NULL, NULL, NULL), -EPIPE);
	assert_non_null(strstr(p.client.error, "Broken pipe"));
	peer_free(&p);
}

static void connecting(void **state)
{
	pf_client_auto c = PF_CLIENT_INIT;
	char dir[] = "/tmp/pf-unit-XXXXXX", path[64], longer[200];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	assert_int_equal(pf_client_connect(&c, path), -ENOENT);
	assert_int_equal(c.fd, -1);
	assert_non_null(strstr(c.error, "is it running?"));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(pf_client_connect(&c, path), -ECONNREFUSED);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(pf_client_connect(&c, path), 0);
	assert_true(c.fd >= 0);
	close(fd);
	unlink(path);
	rmdir(dir);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	pf_client_close(&c);
	assert_int_equal(pf_client_connect(&c, longer), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_one_frame),
		cmocka_unit_test(answers_are_data_and_ok),
		cmocka_unit_test(the_largest_frame_fits),
		cmocka_unit_test(errors_are_the_daemons),
		cmocka_unit_test(malformed_errors),
		cmocka_unit_test(long_error_messages),
		cmocka_unit_test(other_protocols),
		cmocka_unit_test(answers_that_end_early),
		cmocka_unit_test(data_that_is_not_wanted),
		cmocka_unit_test(requests_that_cannot_be_sent),
		cmocka_unit_test(connecting),
	};

	return unit_run(tests);
}
