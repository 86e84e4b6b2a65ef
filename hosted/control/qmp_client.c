/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: bytes in, messages to the dispatcher, answers out.
 *
 * #syscalls recvfrom sendto close
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/control/qmp_internal.h"
#include "hosted/loop/log.h"

/* Reads of one turn, so that a client that never pauses does not keep the loop to itself. */
#define READS_A_TURN 16

static ssize_t send_some(const struct pv_qmp_client *client)
{
	return send(client->fd, client->out + client->out_at, client->out_bytes - client->out_at,
	            MSG_NOSIGNAL | MSG_DONTWAIT);
}

void pv_qmp_client_close(struct pv_qmp_client *client)
{
	if (client->is_dead)
		return;
	client->is_dead = true;
	/* A last try for what is on its way, such as the answer to quit. */
	if (client->out_at < client->out_bytes)
		(void)send_some(client);
	pv_loop_unwatch(client->qmp->options.loop, client->watch);
	close(client->fd);
}

/* Room for a long answer is not kept. */
static void all_sent(struct pv_qmp_client *client)
{
	client->out_at = client->out_bytes = client->out_longest = 0;
	if (client->out_capacity <= PV_QMP_OUTPUT_BYTES)
		return;
	free(client->out);
	client->out = NULL;
	client->out_capacity = 0;
}

static void flush(struct pv_qmp_client *client)
{
	while (client->out_at < client->out_bytes) {
		ssize_t sent = send_some(client);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			client->out_at = client->out_bytes;
			pv_qmp_client_close(client);
			return;
		}
		client->out_at += (size_t)sent;
	}
	all_sent(client);
}

void pv_qmp_client_free(struct pv_qmp_client *client)
{
	if (client->request)
		client->request->client = NULL;
	free(client->out);
	free(client);
}

static bool make_room(struct pv_qmp_client *client, size_t bytes)
{
	size_t waiting = client->out_bytes - client->out_at;
	size_t wanted = client->out_capacity ? client->out_capacity : QMP_READ_BYTES;
	char *larger;

	while (wanted < waiting + bytes)
		wanted *= 2;
	if (wanted > client->out_capacity) {
		larger = realloc(client->out, wanted);
		if (!larger)
			return false;
		client->out = larger;
		client->out_capacity = wanted;
	}
	memmove(client->out, client->out + client->out_at, waiting);
	client->out_at = 0;
	client->out_bytes = waiting;
	return true;
}

/*
 * There is one answer at most that is longer than what may pile up: the next command waits. What
 * comes behind it are events.
 */
static bool has_room(struct pv_qmp_client *client, size_t bytes)
{
	if (bytes > client->out_longest)
		client->out_longest = bytes;
	if (client->out_bytes - client->out_at + bytes <= PV_QMP_OUTPUT_BYTES + client->out_longest)
		return true;
	pv_log("qmp", PV_LOG_WARNING, "dropped a client that does not read its answers");
	return false;
}

static void append(struct pv_qmp_client *client, const char *text, size_t bytes)
{
	if (client->is_dead)
		return;
	if (!make_room(client, bytes)) {
		pv_qmp_client_close(client);
		return;
	}
	memcpy(client->out + client->out_bytes, text, bytes);
	client->out_bytes += bytes;
}

void pv_qmp_client_send(struct pv_qmp_client *client, struct json_object *message)
{
	size_t bytes;
	const char *text = json_object_to_json_string_length(
		message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);

	if (!text || (!client->is_dead && !has_room(client, bytes))) {
		pv_qmp_client_close(client);
		return;
	}
	append(client, text, bytes);
	append(client, "\r\n", 2);
	if (!client->is_dead)
		flush(client);
}

static bool is_paused(const struct pv_qmp_client *client)
{
	return client->is_dead || client->request || client->is_quitting ||
	       client->out_bytes - client->out_at > QMP_OUTPUT_PAUSE_BYTES;
}

/* One that only wrote and has gone still gets all its answers, if it reads. */
static bool is_finished(const struct pv_qmp_client *client)
{
	return client->has_ended && !client->request && client->out_at == client->out_bytes &&
	       (client->unread_at == client->unread_bytes || client->is_quitting);
}

/* Reading goes on until a read finds nothing more: a watch tells of changes only. */
bool pv_qmp_client_has_more(const struct pv_qmp_client *client)
{
	if (client->is_dead)
		return false;
	if (is_paused(client))
		return is_finished(client);
	return client->unread_at < client->unread_bytes || client->may_read || is_finished(client);
}

/* Returns false when there is nothing, or the client has left. */
static bool refill(struct pv_qmp_client *client)
{
	ssize_t got;

	do
		got = recv(client->fd, client->unread, sizeof(client->unread), MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	client->unread_at = 0;
	client->unread_bytes = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return true;
	client->may_read = false;
	if (got == 0)
		client->has_ended = true;
	else if (errno != EAGAIN)
		pv_qmp_client_close(client);
	return false;
}

static void take_in(struct pv_qmp_client *client)
{
	while (!is_paused(client) && client->unread_at < client->unread_bytes) {
		enum pv_qmp_found found;

		client->unread_at +=
			pv_qmp_input_feed(&client->input, client->unread + client->unread_at,
		                          client->unread_bytes - client->unread_at, &found);
		if (found == PV_QMP_MESSAGE)
			pv_qmp_dispatch(client);
		else if (found == PV_QMP_GARBAGE)
			pv_qmp_dispatch_nonsense(client, "this is no message");
		else if (found == PV_QMP_TOO_LONG)
			pv_qmp_dispatch_nonsense(client, "the message is longer than 64 KiB");
	}
}

void pv_qmp_client_turn(struct pv_qmp_client *client)
{
	client->is_busy = true;
	flush(client);
	for (int i = 0; i < READS_A_TURN && !is_paused(client); i++) {
		if (client->unread_at == client->unread_bytes &&
		    (!client->may_read || !refill(client)))
			break;
		take_in(client);
	}
	if (is_finished(client))
		pv_qmp_client_close(client);
	client->is_busy = false;
}

static void ready(void *arg, int events)
{
	struct pv_qmp_client *client = arg;

	/* What it sent before it left is still carried out: reading finds the end. */
	client->may_read = client->may_read || events & (POLLIN | POLLHUP | POLLERR);
	if (events < 0)
		pv_qmp_client_close(client);
	else
		pv_qmp_client_turn(client);
	pv_qmp_client_settle(client);
}

static void greet(struct pv_qmp_client *client)
{
	struct json_object *greeting = json_object_new_object();
	struct json_object *qmp = json_object_new_object();

	json_object_object_add(qmp, "version", pv_qmp_version());
	json_object_object_add(qmp, "capabilities", json_object_new_array());
	json_object_object_add(greeting, "QMP", qmp);
	pv_qmp_client_send(client, greeting);
	json_object_put(greeting);
}

void pv_qmp_client_create(struct pv_qmp *qmp, int fd)
{
	struct pv_qmp_client *client = calloc(1, sizeof(*client));

	if (client)
		client->watch =
			pv_loop_watch(qmp->options.loop, fd, POLLIN | POLLOUT, ready, client);
	if (!client || !client->watch) {
		free(client);
		close(fd);
		return;
	}
	client->qmp = qmp;
	client->fd = fd;
	client->input.text = client->message;
	client->input.text_max = PV_QMP_MESSAGE_BYTES;
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++) {
		if (!qmp->client[i]) {
			qmp->client[i] = client;
			break;
		}
	}
	greet(client);
	pv_qmp_client_settle(client);
}
