# SPDX-License-Identifier: BSD-2-Clause
"""A guest seen through its console and the line on which its script speaks.

That line is a terminal of its own: what the kernel logs goes to the console, and on the same one it
would get between the words. The script's lines begin with @@:

    @@ok TEXT        a statement holds            @@bad TEXT      it does not
    @@is NAME VALUE  a value for the host         @@rc N          the script's end
    @@do WORD ...    the host is to do something; its answer is one line

A guest that ends without @@rc, runs into its time limit or panics is told apart from a script
whose statements fail.
"""

import os
import re
import selectors
import signal
import socket
import subprocess
import time

from report import Failure, Skip

SPOKEN = re.compile(r"@@(ok|bad|is|rc|do) ?(.*)")
PANIC = re.compile(r"Kernel panic - not syncing.*|BUG: .*|Oops: .*|soft lockup.*")
# A race in UML's own idle loop that no device has a part in.
IDLE_PANIC = "bad: scheduling from the idle thread"
UML_IMPOSSIBLE = re.compile(r"check_ptrace.*|ptrace failed.*|mmap.*PROT_EXEC.*failed.*")


class IdlePanic(Exception):
    """The guest kernel fell over its own feet; the run may be repeated once."""


class Guest:
    """A running guest. `command` gives its arguments, told the descriptor of the script's line;
    `environ` is what its process gets on top of ours."""

    def __init__(self, command, log_path, limit_s, report, environ=None):
        self.report = report
        self.log_path = log_path
        self.limit_s = limit_s
        self.deadline = time.monotonic() + limit_s
        self.values = {}
        self.status = None
        self.tail = []
        self.log = open(log_path, "ab")
        self.line, theirs = socket.socketpair()
        with theirs:
            # A session of its own: killing the group ends all of UML's processes.
            self.process = subprocess.Popen(
                command(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environ or {})})

    def close(self):
        """Ends the guest, whatever state it is in."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for stream in (self.line, self.process.stdout, self.log):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, until_rc=False, **actions):
        """Follows the guest to its end; a `@@do word args` calls actions[word](*args). With
        `until_rc` the end of the script will do: a kernel whose disk died may not power off."""
        for source, text in self.read_lines():
            self.tail = self.tail[-60:] + [text]
            if source is self.line:
                self.take_line(text, actions)
            if until_rc and self.status is not None:
                break
        else:
            self.process.wait()
        self.check_end()
        return self.values

    def read_lines(self):
        """Yields (source, line) until both the console and the script's line have ended."""
        partial = {self.process.stdout: b"", self.line: b""}
        with selectors.DefaultSelector() as selector:
            for source in partial:
                selector.register(source, selectors.EVENT_READ)
            while selector.get_map():
                left_s = self.deadline - time.monotonic()
                events = selector.select(left_s) if left_s > 0 else []
                if not events:
                    self.fail(f"the guest did not end within {self.limit_s} s")
                for source in [key.fileobj for key, _ in events]:
                    data = self.read(source)
                    if not data:
                        selector.unregister(source)
                    *lines, partial[source] = (partial[source] + data).split(b"\n")
                    for line in lines:
                        yield source, line.decode(errors="replace").rstrip("\r")

    def read(self, source):
        try:
            data = os.read(source.fileno(), 65536)
        except ConnectionResetError:
            data = b""  # the guest was killed with an answer of ours unread
        self.log.write(data)
        self.log.flush()
        return data

    def take_line(self, line, actions):
        spoken = SPOKEN.match(line)
        if not spoken:
            return
        kind, text = spoken.groups()
        if kind in ("ok", "bad"):
            self.report.ok(kind == "ok", text)
        elif kind == "is":
            name, _, self.values[name] = text.partition(" ")
        elif kind == "rc":
            self.status = int(text)
        else:
            word, *arguments = text.split()
            self.answer(actions[word](*arguments))

    def answer(self, text):
        try:
            self.line.sendall(f"{text or 'done'}\n".encode())
        except BrokenPipeError:
            pass  # it has just died: the end of its output tells the story

    def check_end(self):
        if self.status == 0:
            return
        console = "\n".join(self.tail)
        panic = PANIC.search(console)
        if panic:
            self.fail(f"the guest's kernel went down: {panic.group()}")
        impossible = UML_IMPOSSIBLE.search(console)
        if impossible:
            raise Skip(f"User Mode Linux cannot run here: {impossible.group()}")
        if self.status is None:
            self.fail("the guest ended before its script did, with exit status "
                      f"{self.process.returncode}")
        self.fail(f"the guest's script ended with status {self.status}")

    def fail(self, sentence):
        if any(IDLE_PANIC in line for line in self.tail):
            raise IdlePanic
        self.report.note("the console's last lines:")
        self.report.note("\n".join(self.tail))
        raise Failure(sentence)
