/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That a read does not wait is no property of a descriptor but of the open file behind it, which
 * the shell and all that it started share: each of them may change it while we rely on it. So a
 * terminal or a pipe is opened once more, for us alone. Where that cannot be the shared one is made
 * not to wait, and made as it was afterwards.
 *
 * The signal handlers use nothing but the first of these system calls, and the second is for who
 * gives it back:
 *
 * #syscalls ioctl fcntl getpgrp rt_sigaction rt_sigprocmask rt_sigreturn tgkill getpid gettid
 * #syscalls close
 */
#define _GNU_SOURCE
#include "hosted/backends/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* Standard input or output. */
struct side {
	int shared; /* the descriptor that we were started with */
	int access; /* what we do there, as for open() */
	int own;    /* the same opened once more, or -1: the shared one is used */
	int flags;  /* of the shared one before, or -1: there is none */
};

/* Written while nobody has it, and read by the handlers. */
static struct side in = { STDIN_FILENO, O_RDONLY, -1, -1 };
static struct side out = { STDOUT_FILENO, O_WRONLY, -1, -1 };
static struct pv_terminal_wish wish;
static struct termios before, raw;
static volatile sig_atomic_t is_taken, is_terminal;

/* ---- open files of our own ---- */

/*
 * Files have a position, which is not opened with them, and sockets cannot be opened. What is
 * opened as the other end of a pseudo terminal is a new one.
 */
static bool can_be_opened_again(const struct side *side)
{
	int access = side->flags & O_ACCMODE;
	unsigned int number;
	struct stat is;

	if (side->flags < 0 || (access != side->access && access != O_RDWR) ||
	    fstat(side->shared, &is) < 0)
		return false;
	return S_ISFIFO(is.st_mode) ||
	       (isatty(side->shared) && ioctl(side->shared, TIOCGPTN, &number) < 0);
}

/* Of a named pipe only those hear that the last writer has gone who had it open then. */
static bool has_hung_up(const struct side *side)
{
	struct pollfd end = { .fd = side->shared };

	return poll(&end, 1, 0) > 0 && end.revents & POLLHUP;
}

static void close_own(struct side *side)
{
	if (side->own >= 0)
		close(side->own);
	side->own = -1;
}

/* May be refused: a terminal may be another user's, as it is after su. */
static void open_own(struct side *side)
{
	char path[32];

	side->flags = fcntl(side->shared, F_GETFL);
	if (!can_be_opened_again(side))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", side->shared);
	side->own = open(path, side->access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (has_hung_up(side))
		close_own(side);
}

static int descriptor_of(const struct side *side)
{
	return side->own >= 0 ? side->own : side->shared;
}

int pv_terminal_input(void)
{
	return descriptor_of(&in);
}

int pv_terminal_output(void)
{
	return descriptor_of(&out);
}

/* ---- what is done to it ---- */

static void change_shared(const struct side *side, int more)
{
	if (side->own < 0 && side->flags >= 0)
		fcntl(side->shared, F_SETFL, side->flags | more);
}

static void make_raw(void)
{
	change_shared(&in, O_NONBLOCK);
	change_shared(&out, O_NONBLOCK);
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void put_back(void)
{
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	change_shared(&in, 0);
	change_shared(&out, 0);
}

void pv_terminal_put_back(void)
{
	if (is_taken)
		put_back();
}

bool pv_terminal_is_raw(void)
{
	return is_taken && is_terminal;
}

bool pv_terminal_size(uint16_t *columns, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
	    ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return size.ws_col && size.ws_row;
}

/* ---- signals ---- */

/* The handler is gone: the signal does now what it does. */
static void end(int signal)
{
	int saved = errno;

	put_back();
	raise(signal);
	errno = saved;
}

static void rest(int signal)
{
	int saved = errno;

	(void)signal;
	put_back();
	raise(SIGSTOP);
	errno = saved;
}

/* In the background the terminal is another's; the signal comes again with the foreground. */
static void go_on(int signal)
{
	int saved = errno;

	(void)signal;
	if (!is_terminal || tcgetpgrp(STDIN_FILENO) == getpgrp())
		make_raw();
	if (wish.resized)
		wish.resized(wish.arg);
	errno = saved;
}

static void resize(int signal)
{
	int saved = errno;

	(void)signal;
	if (wish.resized)
		wish.resized(wish.arg);
	errno = saved;
}

static struct minded {
	int signal;
	void (*handler)(int signal);
	bool is_ours;
} minded[] = {
	{ SIGHUP, end, false },   { SIGINT, end, false },    { SIGQUIT, end, false },
	{ SIGTERM, end, false },  { SIGILL, end, false },    { SIGABRT, end, false },
	{ SIGFPE, end, false },   { SIGSEGV, end, false },   { SIGBUS, end, false },
	{ SIGSYS, end, false },   { SIGTRAP, end, false },   { SIGALRM, end, false },
	{ SIGUSR1, end, false },  { SIGUSR2, end, false },   { SIGXCPU, end, false },
	{ SIGTSTP, rest, false }, { SIGCONT, go_on, false }, { SIGWINCH, resize, false },
};

#define MINDED (sizeof(minded) / sizeof(minded[0]))

/* A signal that somebody has a handler for, or ignores, is his. */
static void mind(struct minded *this)
{
	struct sigaction action = { .sa_handler = this->handler, .sa_flags = SA_RESTART }, is;

	if (sigaction(this->signal, NULL, &is) < 0 || is.sa_handler != SIG_DFL)
		return;
	if (this->handler == end)
		action.sa_flags |= (int)SA_RESETHAND;
	sigfillset(&action.sa_mask);
	this->is_ours = sigaction(this->signal, &action, NULL) == 0;
}

static void leave_alone(struct minded *this)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	struct sigaction is;

	if (this->is_ours && sigaction(this->signal, NULL, &is) == 0 &&
	    is.sa_handler == this->handler)
		sigaction(this->signal, &standard, NULL);
	this->is_ours = false;
}

/* ---- having it ---- */

static void plan_raw(void)
{
	is_terminal = !wish.is_not_raw && tcgetattr(STDIN_FILENO, &before) == 0;
	if (!is_terminal)
		return;
	raw = before;
	if (wish.keeps_signal_keys) {
		raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
		raw.c_iflag &= (tcflag_t)~ICRNL;
	} else {
		cfmakeraw(&raw);
	}
}

/* Other threads may use our descriptors to the last: these stay open. */
static void leave(void)
{
	if (!is_taken)
		return;
	for (size_t i = 0; i < MINDED; i++)
		leave_alone(&minded[i]);
	put_back();
	is_taken = false;
}

bool pv_terminal_take(const struct pv_terminal_wish *wanted)
{
	static bool is_at_exit;

	if (is_taken)
		return false;
	wish = *wanted;
	open_own(&in);
	open_own(&out);
	plan_raw();
	is_taken = true;
	for (size_t i = 0; i < MINDED; i++)
		mind(&minded[i]);
	make_raw();
	if (!is_at_exit)
		is_at_exit = atexit(leave) == 0;
	return true;
}

void pv_terminal_give_back(void)
{
	if (!is_taken)
		return;
	leave();
	close_own(&in);
	close_own(&out);
}
