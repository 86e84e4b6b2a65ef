/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/qmp_peer.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define LATE_MAX 64

struct pv_qmp_peer {
	struct pv_loop *loop;
	struct pv_qmp *qmp;
	char folder[32];
	struct sockaddr_un address;

	/* One piece of work for the server's thread. */
	struct pv_loop_message message;
	void (*work)(struct pv_qmp *qmp, void *arg);
	void *work_arg;
	sem_t worked;

	/* The server's thread. */
	struct pv_qmp_request *late[LATE_MAX];
	unsigned int lates;
	unsigned int quits;
};

static void echo(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	(void)arg;
	pv_qmp_return(request, json_object_get(arguments));
}

static void later(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_qmp_peer *peer = arg;

	(void)arguments;
	if (peer->lates == LATE_MAX)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "too many late ones");
	else
		peer->late[peer->lates++] = request;
}

static void big(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	int bytes = json_object_get_int(json_object_object_get(arguments, "bytes"));
	char *text;

	(void)arg;
	if (bytes < 0 || bytes > 2000000) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "not so many");
		return;
	}
	text = malloc((size_t)bytes);
	memset(text, 'x', (size_t)bytes);
	pv_qmp_return(request, json_object_new_string_len(text, bytes));
	free(text);
}

static const struct pv_qmp_parameter echo_parameters[] = {
	{ "text", PV_QMP_TEXT, true },      { "number", PV_QMP_INTEGER, false },
	{ "flag", PV_QMP_BOOL, false },     { "list", PV_QMP_LIST, false },
	{ "object", PV_QMP_OBJECT, false }, { 0 },
};

static const struct pv_qmp_parameter big_parameters[] = {
	{ "bytes", PV_QMP_INTEGER, true },
	{ 0 },
};

static const struct pv_qmp_command commands[] = {
	{ "echo", echo_parameters, echo },
	{ "later", NULL, later },
	{ "big", big_parameters, big },
	{ 0 },
};

static const char *status(void *arg)
{
	(void)arg;
	return "running";
}

static void quit(void *arg)
{
	struct pv_qmp_peer *peer = arg;

	peer->quits++;
}

static int listen_at(struct pv_qmp_peer *peer)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(peer->folder, "/tmp/pv-qmp-XXXXXX");
	assert_non_null(mkdtemp(peer->folder));
	peer->address.sun_family = AF_UNIX;
	snprintf(peer->address.sun_path, sizeof(peer->address.sun_path), "%s/s", peer->folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&peer->address, sizeof(peer->address)),
	                 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

struct pv_qmp_peer *pv_qmp_peer_create(void)
{
	struct pv_qmp_peer *peer = calloc(1, sizeof(*peer));
	const struct pv_loop_options loop = { .name = "qmp" };
	struct pv_qmp_options options = { .status = status, .quit = quit, .arg = peer };

	sem_init(&peer->worked, 0, 0);
	assert_int_equal(pv_loop_create(&peer->loop, &loop), 0);
	options.loop = peer->loop;
	assert_int_equal(pv_qmp_create(&peer->qmp, &options), 0);
	pv_qmp_register(peer->qmp, commands, peer);
	assert_int_equal(pv_qmp_listen(peer->qmp, listen_at(peer)), 0);
	assert_int_equal(pv_loop_thread_start(peer->loop), 0);
	return peer;
}

static void nothing(struct pv_qmp *qmp, void *arg)
{
	(void)qmp;
	(void)arg;
}

void pv_qmp_peer_destroy(struct pv_qmp_peer *peer)
{
	pv_qmp_peer_do(peer, nothing, NULL);
	pv_loop_thread_join(peer->loop);
	for (unsigned int i = 0; i < peer->lates; i++)
		pv_qmp_return(peer->late[i], NULL);
	pv_qmp_destroy(peer->qmp);
	pv_loop_destroy(peer->loop);
	unlink(peer->address.sun_path);
	rmdir(peer->folder);
	sem_destroy(&peer->worked);
	free(peer);
}

static void run_work(struct pv_loop_message *message)
{
	struct pv_qmp_peer *peer =
		(struct pv_qmp_peer *)((char *)message - offsetof(struct pv_qmp_peer, message));

	peer->work(peer->qmp, peer->work_arg);
	sem_post(&peer->worked);
}

void pv_qmp_peer_do(struct pv_qmp_peer *peer, void (*work)(struct pv_qmp *qmp, void *arg),
                    void *arg)
{
	peer->work = work;
	peer->work_arg = arg;
	peer->message.run = run_work;
	pv_loop_post(peer->loop, &peer->message);
	while (sem_wait(&peer->worked) < 0)
		assert_int_equal(errno, EINTR);
}

struct answering {
	struct pv_qmp_peer *peer;
	bool is_done;
};

static void answer_oldest(struct pv_qmp *qmp, void *arg)
{
	struct answering *answering = arg;
	struct pv_qmp_peer *peer = answering->peer;
	struct pv_qmp_request *oldest = peer->late[0];

	(void)qmp;
	if (peer->lates == 0)
		return;
	memmove(peer->late, peer->late + 1, --peer->lates * sizeof(oldest));
	pv_qmp_return(oldest, NULL);
	answering->is_done = true;
}

void pv_qmp_peer_answer_late(struct pv_qmp_peer *peer)
{
	struct answering answering = { peer, false };

	for (int i = 0; i < 2000 && !answering.is_done; i++) {
		pv_qmp_peer_do(peer, answer_oldest, &answering);
		usleep(answering.is_done ? 0 : 1000);
	}
	assert_true(answering.is_done);
}

unsigned int pv_qmp_peer_quits(struct pv_qmp_peer *peer)
{
	pv_qmp_peer_do(peer, nothing, NULL);
	return peer->quits;
}

struct pv_qmp_caller *pv_qmp_caller_connect(struct pv_qmp_peer *peer)
{
	struct pv_qmp_caller *client = malloc(sizeof(*client));
	const struct timeval patience = { .tv_sec = 5 };

	client->bytes = 0;
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(client->fd, (const struct sockaddr *)&peer->address,
	                         sizeof(peer->address)),
	                 0);
	return client;
}

struct pv_qmp_caller *pv_qmp_caller_open(struct pv_qmp_peer *peer)
{
	struct pv_qmp_caller *client = pv_qmp_caller_connect(peer);

	assert_non_null(pv_qmp_caller_line(client));
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"qmp_capabilities\"}"),
	                    "{\"return\":{}}");
	return client;
}

void pv_qmp_caller_close(struct pv_qmp_caller *client)
{
	close(client->fd);
	free(client);
}

void pv_qmp_caller_send_bytes(struct pv_qmp_caller *client, const void *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t sent = send(client->fd, data, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return; /* what was expected does not come, and that is noticed */
		data = (const char *)data + sent;
		bytes -= (size_t)sent;
	}
}

void pv_qmp_caller_send(struct pv_qmp_caller *client, const char *text)
{
	pv_qmp_caller_send_bytes(client, text, strlen(text));
}

const char *pv_qmp_caller_line(struct pv_qmp_caller *client)
{
	static char line[1 << 21];

	for (;;) {
		char *end = memmem(client->received, client->bytes, "\r\n", 2);
		ssize_t got;

		if (end) {
			size_t bytes = (size_t)(end - client->received);

			assert_true(bytes < sizeof(line));
			memcpy(line, client->received, bytes);
			line[bytes] = '\0';
			client->bytes -= bytes + 2;
			memmove(client->received, end + 2, client->bytes);
			return line;
		}
		got = recv(client->fd, client->received + client->bytes,
		           sizeof(client->received) - client->bytes, 0);
		/* The kernel's own work for a ring interrupts calls that have a time limit. */
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			fail_msg("the server does not answer");
		if (got <= 0)
			return NULL;
		client->bytes += (size_t)got;
	}
}

const char *pv_qmp_caller_ask(struct pv_qmp_caller *client, const char *text)
{
	const char *line;

	pv_qmp_caller_send(client, text);
	line = pv_qmp_caller_line(client);
	if (!line)
		fail_msg("the server has closed the connection");
	return line;
}
