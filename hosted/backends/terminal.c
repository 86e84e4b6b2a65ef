/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signal handlers use nothing but these system calls:
 *
 * #syscalls ioctl fcntl getpgrp rt_sigaction rt_sigprocmask rt_sigreturn tgkill getpid gettid
 */
#define _GNU_SOURCE
#include "hosted/backends/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Written while nobody has it, and read by the handlers. */
static struct pv_terminal_wish wish;
static struct termios before, raw;
static int in_flags, out_flags;
static volatile sig_atomic_t is_taken, is_terminal;

/* ---- what is done to it ---- */

static void make_raw(void)
{
	fcntl(STDIN_FILENO, F_SETFL, in_flags | O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, out_flags | O_NONBLOCK);
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void put_back(void)
{
	if (is_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fcntl(STDIN_FILENO, F_SETFL, in_flags);
	fcntl(STDOUT_FILENO, F_SETFL, out_flags);
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

bool pv_terminal_take(const struct pv_terminal_wish *wanted)
{
	static bool is_at_exit;

	if (is_taken)
		return false;
	wish = *wanted;
	in_flags = fcntl(STDIN_FILENO, F_GETFL);
	out_flags = fcntl(STDOUT_FILENO, F_GETFL);
	plan_raw();
	is_taken = true;
	for (size_t i = 0; i < MINDED; i++)
		mind(&minded[i]);
	make_raw();
	if (!is_at_exit)
		is_at_exit = atexit(pv_terminal_give_back) == 0;
	return true;
}

void pv_terminal_give_back(void)
{
	if (!is_taken)
		return;
	for (size_t i = 0; i < MINDED; i++)
		leave_alone(&minded[i]);
	put_back();
	is_taken = false;
}
