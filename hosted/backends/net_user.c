/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user-mode network: libslirp on a loop.
 *
 * libslirp thinks of poll(2): it says what it waits for, and is told what of it is there.  So it is
 * asked and told whenever something may have changed: frames were sent, a descriptor of its
 * changed, a timer is due, the driver has taken some of what waited for it.  The watches of the
 * loop only say that there was a change; what is there is found out by poll(2), which does not
 * wait.
 *
 * It has one lock.  Lanes of other loops than pair 0's give it their frames, and leave the rest to
 * that loop, which they wake.
 *
 * What libslirp gives must be taken.  It waits for the driver in a bounded queue; when that is half
 * full libslirp is asked for no more, so that its sockets, and who sends to them, wait in turn;
 * what it gives nevertheless, when it is full, is lost, as on any network.
 *
 * #syscalls poll
 * #syscalls [internet] socket connect bind listen accept accept4 shutdown getsockname getpeername
 * #syscalls [internet] getsockopt setsockopt sendto recvfrom sendmsg recvmsg poll fcntl ioctl close
 * #syscalls [internet] openat newfstatat fstat lseek read pread64 getpid gettid gettimeofday
 */
#include "hosted/backends/net_user.h"

#include <time.h>

#include "hosted/loop/clock.h"
#include "hosted/loop/log.h"

/* Turns before others on the loop have theirs. */
#define TURNS_AT_A_TIME 4

/* ---- what libslirp calls ---- */

static ssize_t take_packet(const void *packet, size_t bytes, void *arg)
{
	struct pv_user *user = arg;
	const struct pv_iov iov = { (void *)(uintptr_t)packet, bytes };
	const struct pv_net_frame frame = { .iov = &iov, .pieces = 1, .bytes = (uint32_t)bytes };

	if (bytes < PV_NET_FRAME_MIN || bytes > PV_NET_FRAME_MAX)
		pv_wire_count(&user->wire.counters.bad, 1);
	else if (!pv_wire_fifo_put(&user->fifo, &frame))
		pv_wire_count(&user->wire.counters.lost, 1);
	return (ssize_t)bytes;
}

/* What a guest does wrong is not worth a line: it could write any number of them. */
static void hear_error(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static int64_t tell_ns(void *arg)
{
	(void)arg;
	return (int64_t)pv_clock_ns(CLOCK_MONOTONIC);
}

static void *timer_new(SlirpTimerCb due, void *due_arg, void *arg)
{
	struct pv_user *user = arg;
	struct pv_user_timer *timer = malloc(sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = (struct pv_user_timer){ user->timers, due, due_arg, INT64_MAX };
	user->timers = timer;
	return timer;
}

static void timer_free(void *timer, void *arg)
{
	struct pv_user *user = arg;
	struct pv_user_timer **link = &user->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
	free(timer);
}

static void timer_mod(void *timer, int64_t due_ms, void *arg)
{
	(void)arg;
	if (timer)
		((struct pv_user_timer *)timer)->due_ms = due_ms;
}

static void register_fd(int fd, void *arg)
{
	(void)fd;
	(void)arg;
}

/* Whatever has this number next is another file. */
static void unregister_fd(int fd, void *arg)
{
	struct pv_user *user = arg;

	if (fd >= 0 && fd < user->watches)
		user->watch[fd].is_stale = true;
}

/* Whoever calls libslirp looks at all that there is to do afterwards. */
static void notify(void *arg)
{
	(void)arg;
}

const SlirpCb pv_user_callbacks = {
	.send_packet = take_packet,
	.guest_error = hear_error,
	.clock_get_ns = tell_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = register_fd,
	.unregister_poll_fd = unregister_fd,
	.notify = notify,
};

/* ---- watches: pair 0's loop ---- */

static void change(void *arg, int events)
{
	(void)events;
	pv_user_run(arg);
}

/* Makes the table long enough. Returns false without memory. */
static bool has_place(struct pv_user *user, int fd)
{
	int watches = fd + 64;
	struct pv_user_watch *longer;

	if (fd < user->watches)
		return true;
	longer = realloc(user->watch, (size_t)watches * sizeof(*longer));
	if (!longer)
		return false;
	memset(longer + user->watches, 0, (size_t)(watches - user->watches) * sizeof(*longer));
	user->watch = longer;
	user->watches = watches;
	return true;
}

static void unwatch(struct pv_user *user, struct pv_user_watch *watch)
{
	if (watch->watch)
		pv_loop_unwatch(user->loop, watch->watch);
	*watch = (struct pv_user_watch){ 0 };
}

/* Without memory the timer, which is due soon again, stands in for what cannot be watched. */
static void watch_all(struct pv_user *user)
{
	for (int i = 0; i < user->watches; i++)
		if (user->watch[i].is_stale)
			unwatch(user, &user->watch[i]);
	for (int i = 0; i < user->polls; i++) {
		int fd = user->poll[i].fd;

		if (has_place(user, fd) && !user->watch[fd].watch)
			user->watch[fd].watch = pv_loop_watch(
				user->loop, fd, POLLIN | POLLOUT | POLLPRI, change, user);
	}
}

void pv_user_forget(struct pv_user *user)
{
	for (int i = 0; i < user->watches; i++)
		unwatch(user, &user->watch[i]);
	free(user->watch);
	while (user->timers)
		timer_free(user->timers, user);
}

/* ---- timers: pair 0's loop ---- */

static void run_timers(struct pv_user *user)
{
	int64_t now_ms = tell_ns(user) / 1000000;

	for (struct pv_user_timer *timer = user->timers, *next; timer; timer = next) {
		next = timer->next;
		if (timer->due_ms > now_ms)
			continue;
		timer->due_ms = INT64_MAX;
		timer->due(timer->arg);
	}
}

/* `wait_ms` is how long libslirp would wait itself. */
static void set_timer(struct pv_user *user, uint32_t wait_ms)
{
	uint64_t now_ns = pv_clock_ns(CLOCK_MONOTONIC);
	uint64_t due_ns = wait_ms == UINT32_MAX ? UINT64_MAX : now_ns + wait_ms * 1000000ull;

	for (const struct pv_user_timer *timer = user->timers; timer; timer = timer->next)
		if (timer->due_ms != INT64_MAX && (uint64_t)timer->due_ms * 1000000 < due_ns)
			due_ns = (uint64_t)timer->due_ms * 1000000;
	if (due_ns == UINT64_MAX || (user->timer_ns > now_ns && user->timer_ns <= due_ns))
		return;
	user->timer_ns = due_ns;
	pv_timer_set(&user->timer, due_ns > now_ns ? due_ns - now_ns : 1);
}

/* ---- a turn: pair 0's loop ---- */

static const struct {
	int slirp;
	short poll;
} event_names[] = {
	{ SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

#define EVENTS (sizeof(event_names) / sizeof(event_names[0]))

static bool has_poll_place(struct pv_user *user)
{
	int longer = user->polls_max + 64;
	struct pollfd *poll;

	if (user->polls < user->polls_max)
		return true;
	poll = realloc(user->poll, (size_t)longer * sizeof(*poll));
	if (!poll)
		return false;
	user->poll = poll;
	user->polls_max = longer;
	return true;
}

/* Returns what libslirp will know it by; -1, of which it hears nothing, without memory. */
static int add_poll(int fd, int events, void *arg)
{
	struct pv_user *user = arg;
	struct pollfd wanted = { .fd = fd };

	if (!has_poll_place(user))
		return -1;
	for (size_t i = 0; i < EVENTS; i++)
		if (events & event_names[i].slirp)
			wanted.events |= event_names[i].poll;
	user->poll[user->polls] = wanted;
	return user->polls++;
}

static int get_revents(int i, void *arg)
{
	const struct pv_user *user = arg;
	int events = 0;

	if (i < 0)
		return 0;
	for (size_t k = 0; k < EVENTS; k++)
		if (user->poll[i].revents & event_names[k].poll)
			events |= event_names[k].slirp;
	return events;
}

/* Returns whether something was there. `wait_ms` becomes how long libslirp would wait. */
static bool take_turn(struct pv_user *user, uint32_t *wait_ms)
{
	int ready;

	*wait_ms = UINT32_MAX;
	user->polls = 0;
	user->api->pollfds_fill(user->slirp, wait_ms, add_poll, user);
	watch_all(user);
	ready = poll(user->poll, (nfds_t)user->polls, 0);
	user->api->pollfds_poll(user->slirp, ready < 0, get_revents, user);
	return ready > 0;
}

static bool must_throttle(struct pv_user *user)
{
	user->is_throttled = pv_wire_fifo_bytes(&user->fifo) > PV_WIRE_FIFO_BYTES / 2;
	return user->is_throttled;
}

static void run_locked(struct pv_user *user)
{
	uint32_t wait_ms = UINT32_MAX;
	bool is_more = true;

	run_timers(user);
	for (int i = 0; i < TURNS_AT_A_TIME && is_more && !must_throttle(user); i++)
		is_more = take_turn(user, &wait_ms);
	set_timer(user, wait_ms);
	if (is_more && !user->is_throttled)
		pv_bell_ring(&user->bell);
}

void pv_user_run(void *arg)
{
	struct pv_user *user = arg;

	pthread_mutex_lock(&user->lock);
	run_locked(user);
	pthread_mutex_unlock(&user->lock);
}

/* ---- the wire ---- */

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pv_user *user = (struct pv_user *)net;

	pthread_mutex_lock(&user->lock);
	for (uint16_t i = 0; i < frames; i++) {
		pv_wire_gather(user->frame, &frame[i]);
		user->api->input(user->slirp, user->frame, (int)frame[i].bytes);
	}
	if (user->loop_of[pair] == user->loop)
		run_locked(user);
	else
		pv_bell_ring(&user->bell);
	pthread_mutex_unlock(&user->lock);
	return frames;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pv_user *user = (struct pv_user *)net;
	uint32_t bytes;

	(void)pair;
	(void)hdr;
	pthread_mutex_lock(&user->lock);
	bytes = pv_wire_fifo_get(&user->fifo, iov, pieces);
	if (user->is_throttled && user->fifo.frames == 0)
		run_locked(user);
	pthread_mutex_unlock(&user->lock);
	return bytes;
}

const struct pv_net_wire_ops pv_user_ops = {
	.send = send_frames,
	.receive = receive,
};
