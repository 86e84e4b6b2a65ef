/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl fcntl close
 */
#define _GNU_SOURCE
#include "hosted/vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the program's own terminal, or what stands in its place ---- */

/* Its keys are the guest's, all of them but what the program's own signals need. */
static void open_stdio(struct pv_console *console)
{
	struct termios raw;

	console->is_stdio = true;
	console->in_fd = STDIN_FILENO;
	console->out_fd = STDOUT_FILENO;
	console->in_flags = fcntl(STDIN_FILENO, F_GETFL);
	console->out_flags = fcntl(STDOUT_FILENO, F_GETFL);
	fcntl(STDIN_FILENO, F_SETFL, console->in_flags | O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, console->out_flags | O_NONBLOCK);
	if (tcgetattr(STDIN_FILENO, &console->before) < 0)
		return;
	raw = console->before;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_iflag &= (tcflag_t)~ICRNL;
	console->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void give_back_stdio(const struct pv_console *console)
{
	if (console->is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &console->before);
	fcntl(STDIN_FILENO, F_SETFL, console->in_flags);
	fcntl(STDOUT_FILENO, F_SETFL, console->out_flags);
}

/* ---- a terminal of our own ---- */

/*
 * Our own hold on the other end keeps the line up when whoever looked at it leaves, and can drop
 * what nobody reads.
 */
static bool open_pty(struct pv_console *console, char sentence[static PV_SENTENCE_BYTES])
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios raw;

	console->in_fd = console->out_fd = fd;
	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
	    ptsname_r(fd, console->path, sizeof(console->path)) != 0)
		return pv_sentence_wrong(sentence, "option '--console': no pty is to be had: %s",
		                         strerror(errno));
	console->pty_fd = open(console->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (console->pty_fd < 0 || tcgetattr(console->pty_fd, &raw) < 0)
		return pv_sentence_wrong(sentence, "option '--console': %s: %s", console->path,
		                         strerror(errno));
	cfmakeraw(&raw);
	tcsetattr(console->pty_fd, TCSANOW, &raw);
	return true;
}

bool pv_console_make_room(const struct pv_console *console)
{
	return console->pty_fd >= 0 && tcflush(console->pty_fd, TCIFLUSH) == 0;
}

/* ---- a file ---- */

static bool open_file(struct pv_console *console, const char *path,
                      char sentence[static PV_SENTENCE_BYTES])
{
	console->out_fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
	return console->out_fd >= 0 ||
	       pv_sentence_wrong(sentence, "option '--console': %s: %s", path, strerror(errno));
}

/* ---- all of them ---- */

#define FILE_KEY "file="

bool pv_console_open(struct pv_console *console, const char *text,
                     char sentence[static PV_SENTENCE_BYTES])
{
	size_t key = strlen(FILE_KEY);
	bool is_good = true;

	*console = (struct pv_console){ .in_fd = -1, .out_fd = -1, .pty_fd = -1 };
	if (strcmp(text, "stdio") == 0)
		open_stdio(console);
	else if (strcmp(text, "pty") == 0)
		is_good = open_pty(console, sentence);
	else if (strncmp(text, FILE_KEY, key) == 0 && text[key])
		is_good = open_file(console, text + key, sentence);
	else if (strcmp(text, "off") != 0)
		is_good = pv_sentence_wrong(
			sentence, "option '--console' takes stdio, pty, file=PATH or off, not '%s'",
			text);
	if (!is_good)
		pv_console_close(console);
	return is_good;
}

void pv_console_close(struct pv_console *console)
{
	if (console->is_stdio) {
		give_back_stdio(console);
		return;
	}
	if (console->pty_fd >= 0)
		close(console->pty_fd);
	if (console->out_fd >= 0)
		close(console->out_fd);
}
