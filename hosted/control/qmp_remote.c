/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/control/qmp_remote.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosted/control/qmp_input.h"
#include "hosted/control/qmp_message.h"
#include "hosted/loop/clock.h"

#define READ_BYTES    65536u
#define CONNECT_PAUSE 20000000 /* ns */

struct pv_qmp_remote {
	struct pv_qmp_remote_options options;
	int fd;
	uint64_t deadline_ns; /* of CLOCK_MONOTONIC; UINT64_MAX: none */
	const char *awaited;  /* what we wait for, in a sentence */
	int64_t last_id;
	bool has_ended;
	struct json_tokener *tokener;

	/* Read, and not looked at yet. */
	char unread[READ_BYTES];
	size_t unread_at, unread_bytes;
	struct pv_qmp_input input;
};

/* ---- waiting ---- */

static uint64_t left_ns(const struct pv_qmp_remote *remote)
{
	uint64_t now = pv_clock_ns(CLOCK_MONOTONIC);

	return remote->deadline_ns > now ? remote->deadline_ns - now : 0;
}

static int left_ms(const struct pv_qmp_remote *remote)
{
	uint64_t left = left_ns(remote) / 1000000 + 1;

	if (remote->deadline_ns == UINT64_MAX)
		return -1;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static bool too_late(const struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence, "%s: no %s within %u s; --timeout waits longer",
	                         remote->options.path, remote->awaited, remote->options.timeout_s);
}

/* Even a server that never pauses is not listened to beyond the deadline. */
static bool wait_for(const struct pv_qmp_remote *remote, short events,
                     char sentence[static PV_SENTENCE_BYTES])
{
	struct pollfd ready = { .fd = remote->fd, .events = events };

	while (left_ns(remote) > 0) {
		int got = poll(&ready, 1, left_ms(remote));

		if (got > 0)
			return true;
		if (got < 0 && errno != EINTR)
			return pv_sentence_wrong(sentence, "%s: %s", remote->options.path,
			                         strerror(errno));
	}
	return too_late(remote, sentence);
}

static bool has_closed(const struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence,
	                         "%s: the server has closed the connection, and there was no %s; "
	                         "its own messages say why",
	                         remote->options.path, remote->awaited);
}

/* ---- messages in ---- */

static bool refill(struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	ssize_t got;

	do {
		if (!wait_for(remote, POLLIN, sentence))
			return false;
		got = recv(remote->fd, remote->unread, sizeof(remote->unread), 0);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	remote->unread_at = 0;
	remote->unread_bytes = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return true;
	remote->has_ended = remote->input.depth == 0;
	return has_closed(remote, sentence);
}

static bool is_no_server(const struct pv_qmp_remote *remote, const char *what,
                         char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence,
	                         "%s does not speak QMP: %s; name the socket of the server's "
	                         "option --qmp",
	                         remote->options.path, what);
}

static bool has_too_many_values(const struct pv_qmp_input *input)
{
	unsigned int values = 0;

	for (size_t i = 0; i < input->bytes; i++)
		values += input->text[i] == '{' || input->text[i] == '[' || input->text[i] == ',';
	return values > PV_QMP_REMOTE_VALUES;
}

static struct json_object *parse(struct pv_qmp_remote *remote,
                                 char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *message = NULL;
	const char *fault = "a message has too many values";

	if (!has_too_many_values(&remote->input) &&
	    pv_qmp_parse(remote->tokener, remote->input.text, remote->input.bytes, &message,
	                 &fault)) {
		if (json_object_is_type(message, json_type_object))
			return message;
		json_object_put(message);
		fault = "a message is no object";
	}
	is_no_server(remote, fault, sentence);
	return NULL;
}

static struct json_object *next_message(struct pv_qmp_remote *remote,
                                        char sentence[static PV_SENTENCE_BYTES])
{
	for (;;) {
		enum pv_qmp_found found;

		if (remote->unread_at == remote->unread_bytes && !refill(remote, sentence))
			return NULL;
		remote->unread_at +=
			pv_qmp_input_feed(&remote->input, remote->unread + remote->unread_at,
		                          remote->unread_bytes - remote->unread_at, &found);
		switch (found) {
		case PV_QMP_MORE:
			break;
		case PV_QMP_MESSAGE:
			return parse(remote, sentence);
		case PV_QMP_GARBAGE:
			is_no_server(remote, "it sends what is no JSON", sentence);
			return NULL;
		case PV_QMP_TOO_LONG:
			is_no_server(remote, "a message is too long", sentence);
			return NULL;
		}
	}
}

static void hear(const struct pv_qmp_remote *remote, struct json_object *message)
{
	struct json_object *name = json_object_object_get(message, "event");

	if (remote->options.event && json_object_is_type(name, json_type_string))
		remote->options.event(remote->options.arg, message);
}

bool pv_qmp_remote_listen(struct pv_qmp_remote *remote, const char *awaited,
                          char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *message;

	remote->awaited = awaited;
	message = next_message(remote, sentence);
	if (!message)
		return false;
	hear(remote, message);
	json_object_put(message);
	return true;
}

bool pv_qmp_remote_has_ended(const struct pv_qmp_remote *remote)
{
	return remote->has_ended;
}

int pv_qmp_remote_pid(const struct pv_qmp_remote *remote)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	return getsockopt(remote->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ? -1 : peer.pid;
}

void pv_qmp_remote_be_patient(struct pv_qmp_remote *remote)
{
	remote->deadline_ns = UINT64_MAX;
}

/* ---- commands out ---- */

static bool send_all(const struct pv_qmp_remote *remote, const char *text, size_t bytes,
                     char sentence[static PV_SENTENCE_BYTES])
{
	while (bytes > 0) {
		ssize_t sent;

		if (!wait_for(remote, POLLOUT, sentence))
			return false;
		sent = send(remote->fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EINTR && errno != EAGAIN)
			return has_closed(remote, sentence);
		if (sent > 0) {
			text += sent;
			bytes -= (size_t)sent;
		}
	}
	return true;
}

static bool send_command(struct pv_qmp_remote *remote, const char *command,
                         struct json_object *arguments, char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *message = json_object_new_object();
	size_t bytes;
	const char *text;
	bool is_good;

	json_object_object_add(message, "execute", json_object_new_string(command));
	if (arguments)
		json_object_object_add(message, "arguments", json_object_get(arguments));
	json_object_object_add(message, "id", json_object_new_int64(++remote->last_id));
	text = json_object_to_json_string_length(
		message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	is_good = text ? send_all(remote, text, bytes, sentence)
	               : pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	json_object_put(message);
	return is_good;
}

/* A command that the server could not make out is answered without its `id`. */
static bool is_answer(const struct pv_qmp_remote *remote, struct json_object *message)
{
	bool is_error = json_object_object_get_ex(message, "error", NULL);
	struct json_object *id;

	if (!is_error && !json_object_object_get_ex(message, "return", NULL))
		return false;
	if (!json_object_object_get_ex(message, "id", &id))
		return is_error;
	return json_object_is_type(id, json_type_int) &&
	       json_object_get_int64(id) == remote->last_id;
}

struct json_object *pv_qmp_remote_ask(struct pv_qmp_remote *remote, const char *command,
                                      struct json_object *arguments,
                                      char sentence[static PV_SENTENCE_BYTES])
{
	char awaited[96];
	struct json_object *message;

	snprintf(awaited, sizeof(awaited), "answer to '%.64s'", command);
	remote->awaited = awaited;
	if (!send_command(remote, command, arguments, sentence))
		return NULL;
	while ((message = next_message(remote, sentence))) {
		if (is_answer(remote, message))
			return message;
		hear(remote, message);
		json_object_put(message);
	}
	return NULL;
}

/* ---- beginning and end ---- */

static bool no_server(const char *path, int error, char sentence[static PV_SENTENCE_BYTES])
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return pv_sentence_wrong(sentence,
		                         "there is no socket %s; start the server with --qmp "
		                         "unix:%s, or name the one that it has",
		                         path, path);
	case ECONNREFUSED:
		return pv_sentence_wrong(sentence,
		                         "nobody listens on %s; start the server with --qmp "
		                         "unix:%s",
		                         path, path);
	case EACCES:
		return pv_sentence_wrong(sentence,
		                         "%s may not be used by this user; run as the one who "
		                         "started the server",
		                         path);
	}
	return pv_sentence_wrong(sentence, "cannot connect to %s: %s", path, strerror(error));
}

/* Where more clients wait than the server lets wait there is room again when it takes one. */
static bool dial(struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = remote->options.path;

	if (strlen(path) >= sizeof(address.sun_path))
		return pv_sentence_wrong(
			sentence, "a socket's path has at most %zu bytes, not %zu as %.64s...",
			sizeof(address.sun_path) - 1, strlen(path), path);
	strcpy(address.sun_path, path);
	remote->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (remote->fd < 0)
		return no_server(path, errno, sentence);
	while (connect(remote->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN)
			return no_server(path, errno, sentence);
		if (left_ns(remote) == 0)
			return too_late(remote, sentence);
		nanosleep(&(struct timespec){ .tv_nsec = CONNECT_PAUSE }, NULL);
	}
	return true;
}

static bool be_greeted(struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *message = next_message(remote, sentence);
	bool is_good = message && json_object_object_get_ex(message, "QMP", NULL);

	if (message && !is_good)
		is_no_server(remote, "it does not greet", sentence);
	json_object_put(message);
	return is_good;
}

static bool negotiate(struct pv_qmp_remote *remote, char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *answer = pv_qmp_remote_ask(remote, "qmp_capabilities", NULL, sentence);
	bool is_good = answer && json_object_object_get_ex(answer, "return", NULL);

	if (answer && !is_good)
		is_no_server(remote, "it refuses 'qmp_capabilities'", sentence);
	json_object_put(answer);
	return is_good;
}

static struct pv_qmp_remote *allocate(const struct pv_qmp_remote_options *options)
{
	struct pv_qmp_remote *remote = calloc(1, sizeof(*remote));

	if (!remote)
		return NULL;
	remote->options = *options;
	/* As the option --qmp calls it. */
	if (strncmp(options->path, "unix:", strlen("unix:")) == 0)
		remote->options.path += strlen("unix:");
	remote->fd = -1;
	remote->awaited = "greeting";
	remote->deadline_ns =
		pv_clock_ns(CLOCK_MONOTONIC) + options->timeout_s * UINT64_C(1000000000);
	remote->tokener = pv_qmp_tokener_create();
	/* Pages that no message reaches are never touched. */
	remote->input.text = malloc(PV_QMP_REMOTE_BYTES + 1);
	remote->input.text_max = PV_QMP_REMOTE_BYTES;
	if (remote->tokener && remote->input.text)
		return remote;
	pv_qmp_remote_close(remote);
	return NULL;
}

bool pv_qmp_remote_open(struct pv_qmp_remote **remote, const struct pv_qmp_remote_options *options,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_qmp_remote *new = allocate(options);

	if (!new)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	if (dial(new, sentence) && be_greeted(new, sentence) && negotiate(new, sentence)) {
		*remote = new;
		return true;
	}
	pv_qmp_remote_close(new);
	return false;
}

void pv_qmp_remote_close(struct pv_qmp_remote *remote)
{
	if (remote->fd >= 0)
		close(remote->fd);
	if (remote->tokener)
		json_tokener_free(remote->tokener);
	free(remote->input.text);
	free(remote);
}
