/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl close
 */
#define _GNU_SOURCE
#include "hosted/vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "hosted/backends/terminal.h"

/* The program's own terminal: its keys are the guest's, all but what our signals need. */
static bool open_stdio(struct pv_console *console, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_terminal_wish wish = { .keeps_signal_keys = true };

	console->is_stdio = pv_terminal_take(&wish);
	if (!console->is_stdio)
		return pv_sentence_wrong(sentence, "option '--console': stdio is in use already");
	console->in_fd = pv_terminal_input();
	console->out_fd = pv_terminal_output();
	return true;
}

/* ---- a terminal of our own ---- */

/*
 * Our own hold on the other end keeps the line up when whoever looked at it leaves, and can drop
 * what nobody reads.
 */
static bool open_pty(struct pv_console *console, char sentence[static PV_SENTENCE_BYTES])
{
	char why[PV_SENTENCE_BYTES / 2];
	const struct pv_refusal refusal = { why, sizeof(why) };

	if (pv_pty_open(&console->pty, &refusal))
		return pv_sentence_wrong(sentence, "option '--console': %s", why);
	console->in_fd = console->out_fd = console->pty.fd;
	console->pty_fd = open(console->pty.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return console->pty_fd >= 0 || pv_sentence_wrong(sentence, "option '--console': %s: %s",
	                                                 console->pty.path, strerror(errno));
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

	*console = (struct pv_console){ .in_fd = -1, .out_fd = -1, .pty.fd = -1, .pty_fd = -1 };
	if (strcmp(text, "stdio") == 0)
		is_good = open_stdio(console, sentence);
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
		pv_terminal_give_back();
		return;
	}
	if (console->pty_fd >= 0)
		close(console->pty_fd);
	if (console->out_fd >= 0)
		close(console->out_fd);
	else
		pv_pty_close(&console->pty);
}
