# SPDX-License-Identifier: BSD-2-Clause
"""A terminal, with a program in it that a test types to, and lines in the sandbox."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

PATIENCE_S = 30


def reads(descriptor, enough, limit_s=PATIENCE_S):
    """What comes, until it is enough or there is no more."""
    data, deadline = b"", time.monotonic() + limit_s
    while not enough(data):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError(f"only {data[-2000:]!r}")
        try:
            some = os.read(descriptor, 65536)
        except OSError:
            break  # a terminal that nobody has open
        if not some:
            break
        data += some
    return data


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


# A shell's job in the background is deaf to the second and the third, and hands that on.
HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP)


def hear_signals():
    """In a child: what a terminal's user can send to it comes."""
    for number in HEARD:
        signal.signal(number, signal.SIG_DFL)


def be_third(descriptor):
    """In a child: it has this one as its descriptor 3."""
    if descriptor:
        os.dup2(descriptor, 3)


class Terminal:
    """Runs a program in a session of its own, whose terminal it is."""

    def __init__(self, *words, said=None):
        self.master, self.slave = pty.openpty()
        self.set_size(80, 24)
        self.before = self.modes()

        def take():
            hear_signals()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            be_third(said)
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        self.process = subprocess.Popen(words, stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, start_new_session=True,
                                        pass_fds=(3,) if said else (), preexec_fn=take)

    def modes(self):
        return termios.tcgetattr(self.slave)

    def flags(self):
        return fcntl.fcntl(self.slave, fcntl.F_GETFL)

    def make_wait(self):
        """As any program does that has the same open file for its input or output."""
        fcntl.fcntl(self.slave, fcntl.F_SETFL, self.flags() & ~os.O_NONBLOCK)

    def is_raw(self):
        return not self.modes()[3] & (termios.ICANON | termios.ECHO)

    def is_as_before(self):
        return self.modes() == self.before and not self.flags() & os.O_NONBLOCK

    def wait_until(self, is_so):
        wait_until(is_so)

    def set_size(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, data):
        os.write(self.master, data)

    def shows(self, words, times=1):
        return reads(self.master, lambda data: data.count(words) >= times)

    def ends(self):
        return self.process.wait(PATIENCE_S)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Bridge:
    """tests/support/line_bridge.c: a line with a guest that sends back what it gets."""

    def __init__(self, program, *words, terminal=False, stdin=subprocess.DEVNULL, stdout=None):
        self.told, say = os.pipe()
        command = [program, *map(str, words)]
        if terminal:
            self.terminal = Terminal(*command, said=say)
            self.process = self.terminal.process
        else:
            self.terminal = None
            # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout, pass_fds=(3,),
                                            preexec_fn=lambda: be_third(say))
        os.close(say)
        self.lines = b""
        self.place = self.says()

    def says(self):
        """The next of its lines."""
        self.lines += reads(self.told, lambda data: b"\n" in self.lines + data)
        if b"\n" not in self.lines:
            raise EOFError("the bridge has ended")
        line, _, self.lines = self.lines.partition(b"\n")
        return line.decode()

    def awaits(self, line):
        while self.says() != line:
            pass

    def close(self):
        if self.terminal:
            self.terminal.close()
        elif self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        os.close(self.told)
