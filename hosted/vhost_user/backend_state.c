/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's state, to a front-end that moves its guest, or from it.
 *
 * It goes through a pipe or socket of the front-end's while all queues are idle, in our own format
 * (devices/core/save.c).  The control loop moves it as far as the other end takes or gives it, and
 * never waits: a state is written into a buffer at once, and one that is read is looked at only
 * when the front-end asks how it went, by which time it has closed its end.
 *
 * What is in force of a state that was loaded is what the device alone knows; features, status and
 * rings are the front-end's, which sets them as ever (pv_device_load_own).
 *
 * #syscalls read write recvfrom sendto poll fstat newfstatat fcntl close
 */
#include "hosted/vhost_user/backend_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/err.h"

/* What a pipe that is ready takes without blocking, and many times the state of any device here. */
#define PIECE_BYTES PIPE_BUF
#define STATE_MAX   (1u << 20)

struct pv_vhu_transfer {
	struct pv_vhu_backend *backend;
	bool is_load;
	bool is_socket;
	bool is_over; /* all has been written, or the end has been read */
	bool has_failed;
	int fd; /* -1 once it is over or has failed */
	struct pv_watch *watch;
	size_t bytes; /* save: of the state; load: that have come */
	size_t done;  /* save: written */
	uint8_t data[STATE_MAX];
};

static void stop(struct pv_vhu_transfer *transfer)
{
	if (transfer->watch)
		pv_loop_unwatch(transfer->backend->options.control, transfer->watch);
	transfer->watch = NULL;
	if (transfer->fd >= 0)
		close(transfer->fd);
	transfer->fd = -1;
}

void pv_vhu_state_forget(struct pv_vhu_backend *backend)
{
	if (!backend->transfer)
		return;
	stop(backend->transfer);
	free(backend->transfer);
	backend->transfer = NULL;
}

/* ---- moving ---- */

/*
 * A pipe does not block, but its other end could have that changed: it is looked at each time. One
 * that takes part in a race for it holds up its own connection.
 */
static bool is_ready(const struct pv_vhu_transfer *transfer)
{
	struct pollfd fd = { .fd = transfer->fd, .events = transfer->is_load ? POLLIN : POLLOUT };

	return poll(&fd, 1, 0) > 0;
}

static ssize_t move_piece(struct pv_vhu_transfer *transfer)
{
	uint8_t *data = transfer->data + (transfer->is_load ? transfer->bytes : transfer->done);
	size_t bytes = transfer->is_load ? STATE_MAX - transfer->bytes
	                                 : transfer->bytes - transfer->done;

	if (bytes > PIECE_BYTES)
		bytes = PIECE_BYTES;
	if (transfer->is_socket)
		return transfer->is_load
		               ? recv(transfer->fd, data, bytes, MSG_DONTWAIT)
		               : send(transfer->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!is_ready(transfer)) {
		errno = EAGAIN;
		return -1;
	}
	return transfer->is_load ? read(transfer->fd, data, bytes)
	                         : write(transfer->fd, data, bytes);
}

/* Returns whether to go on. */
static bool account(struct pv_vhu_transfer *transfer, ssize_t count)
{
	if (count < 0 && errno == EINTR)
		return true;
	if (count < 0) {
		transfer->has_failed = errno != EAGAIN;
		return false;
	}
	if (transfer->is_load) {
		transfer->bytes += (size_t)count;
		transfer->is_over = count == 0;
		transfer->has_failed = transfer->bytes == STATE_MAX;
	} else {
		transfer->done += (size_t)count;
		transfer->is_over = transfer->done == transfer->bytes;
	}
	return !transfer->is_over && !transfer->has_failed;
}

/* As far as it goes now. The end of what is saved is the end of the file. */
static void move(struct pv_vhu_transfer *transfer)
{
	if (transfer->fd < 0)
		return;
	while (account(transfer, move_piece(transfer)))
		;
	if (transfer->is_over || transfer->has_failed)
		stop(transfer);
}

static void ready(void *arg, int events)
{
	(void)events;
	move(arg);
}

/* ---- beginning ---- */

/* Anything but a pipe or a stream of a socket could block, or be no stream at all. */
static const char *examine(struct pv_vhu_transfer *transfer, int fd)
{
	struct stat status;
	int flags;

	if (fstat(fd, &status))
		return "its descriptor is bad";
	transfer->is_socket = S_ISSOCK(status.st_mode);
	if (transfer->is_socket)
		return NULL;
	flags = fcntl(fd, F_GETFL);
	if (!S_ISFIFO(status.st_mode) || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return "its descriptor is neither a pipe nor a socket";
	return NULL;
}

static const char *begin(struct pv_vhu_transfer *transfer, int fd)
{
	struct pv_vhu_backend *backend = transfer->backend;
	struct pv_state_writer to = { .data = transfer->data, .capacity = STATE_MAX };
	const char *error = examine(transfer, fd);

	if (error)
		return error;
	if (!transfer->is_load) {
		if (pv_device_save(backend->options.device, &to))
			return "the device cannot be saved now";
		transfer->bytes = to.bytes;
	}
	transfer->watch = pv_loop_watch(backend->options.control, fd,
	                                transfer->is_load ? POLLIN : POLLOUT, ready, transfer);
	return transfer->watch ? NULL : "there is no memory for it";
}

static const char *check_parameters(struct pv_vhu_backend *backend,
                                    const struct vhost_user_transfer *parameters)
{
	if (parameters->phase != VHOST_USER_TRANSFER_STOPPED)
		return "a phase that is not known here";
	if (parameters->direction > VHOST_USER_TRANSFER_LOAD)
		return "neither to be saved nor to be loaded";
	return pv_device_is_idle(backend->options.device) ? NULL : "queues are running";
}

/* In the place of one that is under way. On success the descriptor is taken over. */
static const char *transfer_begin(struct pv_vhu_backend *backend,
                                  const struct vhost_user_transfer *parameters, int fd)
{
	const char *error = check_parameters(backend, parameters);
	struct pv_vhu_transfer *transfer;

	pv_vhu_state_forget(backend);
	if (error)
		return error;
	transfer = calloc(1, sizeof(*transfer));
	if (!transfer)
		return "there is no memory for it";
	transfer->backend = backend;
	transfer->is_load = parameters->direction == VHOST_USER_TRANSFER_LOAD;
	transfer->fd = -1;
	error = begin(transfer, fd);
	if (error) {
		free(transfer);
		return error;
	}
	transfer->fd = fd;
	backend->transfer = transfer;
	return NULL;
}

/* ---- the end ---- */

static const char *load(struct pv_vhu_backend *backend, const struct pv_vhu_transfer *transfer)
{
	switch (pv_device_load_own(backend->options.device, transfer->data, transfer->bytes)) {
	case 0:
		return NULL;
	case -PV_EBUSY:
		return "queues are running";
	case -PV_EFEATURES:
		return "the state is of a device with other features";
	default:
		return "the state is damaged, or of another device";
	}
}

static const char *outcome(struct pv_vhu_backend *backend, struct pv_vhu_transfer *transfer)
{
	if (transfer->is_load)
		move(transfer); /* what has come since, up to the end */
	if (transfer->has_failed)
		return "the state could not be passed on";
	if (!transfer->is_over)
		return "the state has not come to its end";
	return transfer->is_load ? load(backend, transfer) : NULL;
}

/* How it went; it is over. */
static const char *transfer_end(struct pv_vhu_backend *backend)
{
	const char *error = "there is no state on its way";

	if (backend->transfer)
		error = outcome(backend, backend->transfer);
	pv_vhu_state_forget(backend);
	return error;
}

/* ---- the messages ---- */

/* What has an answer of its own says in it that it was refused. */
enum pv_vhu_handled pv_vhu_set_device_state_fd(struct pv_vhu_backend *backend,
                                               struct pv_vhu_message *message)
{
	const char *error = "DEVICE_STATE was not negotiated";

	if (backend->protocol_features & VHOST_USER_PROTOCOL_F_DEVICE_STATE)
		error = transfer_begin(backend, &message->payload.transfer, message->fd[0]);
	if (error) {
		pv_vhu_refuse(backend, message, error);
		return pv_vhu_reply_u64(backend, message, VHOST_USER_TRANSFER_NO_FD | 1);
	}
	pv_vhu_take_fd(message);
	return pv_vhu_reply_u64(backend, message, VHOST_USER_TRANSFER_NO_FD);
}

enum pv_vhu_handled pv_vhu_check_device_state(struct pv_vhu_backend *backend,
                                              struct pv_vhu_message *message)
{
	const char *error = transfer_end(backend);

	if (error)
		pv_vhu_refuse(backend, message, error);
	return pv_vhu_reply_u64(backend, message, error != NULL);
}
