/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server: its clients, its command tables, its events.
 *
 * #syscalls accept4 close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hosted/control/qmp_internal.h"
#include "ring/err.h"

static bool is_any_waiting(const struct pv_qmp *qmp)
{
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		if (qmp->client[i] && pv_qmp_client_has_more(qmp->client[i]))
			return true;
	return false;
}

static bool rest_poll(struct pv_poller *poller)
{
	struct pv_qmp *qmp = (struct pv_qmp *)((char *)poller - offsetof(struct pv_qmp, rest));

	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++) {
		struct pv_qmp_client *client = qmp->client[i];

		if (!client || !pv_qmp_client_has_more(client))
			continue;
		pv_qmp_client_turn(client);
		pv_qmp_client_settle(client);
	}
	if (!is_any_waiting(qmp)) {
		pv_loop_poller_remove(qmp->options.loop, &qmp->rest);
		qmp->is_rest_added = false;
	}
	return true;
}

static bool rest_arm(struct pv_poller *poller)
{
	return is_any_waiting((struct pv_qmp *)((char *)poller - offsetof(struct pv_qmp, rest)));
}

static void rest_disarm(struct pv_poller *poller)
{
	(void)poller;
}

static void forget(struct pv_qmp_client *client)
{
	struct pv_qmp *qmp = client->qmp;

	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		if (qmp->client[i] == client)
			qmp->client[i] = NULL;
	pv_qmp_client_free(client);
}

void pv_qmp_client_settle(struct pv_qmp_client *client)
{
	struct pv_qmp *qmp = client->qmp;

	if (client->is_busy)
		return;
	if (client->is_dead) {
		forget(client);
	} else if (pv_qmp_client_has_more(client) && !qmp->is_rest_added) {
		pv_loop_poller_add(qmp->options.loop, &qmp->rest);
		qmp->is_rest_added = true;
	}
}

static bool has_room(const struct pv_qmp *qmp)
{
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		if (!qmp->client[i])
			return true;
	return false;
}

static void incoming(void *arg, int events)
{
	struct pv_qmp *qmp = arg;

	if (events < 0)
		return;
	for (;;) {
		int fd = accept4(qmp->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		if (has_room(qmp))
			pv_qmp_client_create(qmp, fd);
		else
			close(fd);
	}
}

int pv_qmp_create(struct pv_qmp **qmp, const struct pv_qmp_options *options)
{
	struct pv_qmp *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->tokener = pv_qmp_tokener_create();
	if (!new->tokener) {
		free(new);
		return -ENOMEM;
	}
	new->options = *options;
	new->listen_fd = -1;
	new->rest = (struct pv_poller){ .poll = rest_poll, .arm = rest_arm, .disarm = rest_disarm };
	pv_qmp_register(new, pv_qmp_basic_commands, new);
	*qmp = new;
	return 0;
}

void pv_qmp_destroy(struct pv_qmp *qmp)
{
	if (qmp->listen_watch)
		pv_loop_unwatch(qmp->options.loop, qmp->listen_watch);
	if (qmp->listen_fd >= 0)
		close(qmp->listen_fd);
	if (qmp->is_rest_added)
		pv_loop_poller_remove(qmp->options.loop, &qmp->rest);
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++) {
		if (!qmp->client[i])
			continue;
		pv_qmp_client_close(qmp->client[i]);
		pv_qmp_client_free(qmp->client[i]);
	}
	json_tokener_free(qmp->tokener);
	free(qmp);
}

void pv_qmp_register(struct pv_qmp *qmp, const struct pv_qmp_command *table, void *arg)
{
	pv_bug_on(qmp->tables == QMP_TABLES);
	qmp->table[qmp->tables++] = (struct pv_qmp_table){ table, arg };
}

int pv_qmp_listen(struct pv_qmp *qmp, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	qmp->listen_fd = fd;
	qmp->listen_watch = pv_loop_watch(qmp->options.loop, fd, POLLIN, incoming, qmp);
	if (qmp->listen_watch)
		return 0;
	qmp->listen_fd = -1;
	return -ENOMEM;
}

static struct json_object *timestamp(void)
{
	struct json_object *stamp = json_object_new_object();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_object_add(stamp, "seconds", json_object_new_int64(now.tv_sec));
	json_object_object_add(stamp, "microseconds", json_object_new_int64(now.tv_nsec / 1000));
	return stamp;
}

void pv_qmp_event(struct pv_qmp *qmp, const char *name, struct json_object *data)
{
	struct json_object *event = json_object_new_object();

	json_object_object_add(event, "timestamp", timestamp());
	json_object_object_add(event, "event", json_object_new_string(name));
	if (data)
		json_object_object_add(event, "data", data);
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++) {
		struct pv_qmp_client *client = qmp->client[i];

		if (!client || !client->has_negotiated)
			continue;
		pv_qmp_client_send(client, event);
		pv_qmp_client_settle(client);
	}
	json_object_put(event);
}
