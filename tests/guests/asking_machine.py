# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: a machine whose guest asks for things (see console.py for the lines it prints)."""

import contextlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))

# pylint: disable=wrong-import-position
import serving

FOLDER = tempfile.mkdtemp()
SOCKET = os.path.join(FOLDER, "qmp")


def say(is_good, statement, detail=""):
    print("@@ok" if is_good else "@@bad", statement, "" if is_good or not detail else f"({detail})",
          flush=True)


class Machine:
    """`paravane run` with QMP and these options. What its guest says is printed. A guest that falls over does
    not begin anew, in the middle of what the host does."""

    def __init__(self, *options):
        self.words = [serving.PARAVANE, "run", *options, "--on-reboot", "exit", "--qmp", "unix:" + SOCKET]
        self.process = self.monitor = None

    def qmp(self, name, /, **arguments):
        self.monitor = self.monitor or serving.Qmp(SOCKET)
        return self.monitor.command(name, **arguments)

    def run(self, name, actions):
        """A `@@do word args` calls actions[word](*args); returns the values that were said."""
        values, status = {}, None
        with subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as self.process:
            for line in self.process.stdout:
                word, _, rest = line.rstrip("\r\n").partition(" ")
                if word == "@@do":
                    self.answer(actions, *rest.split())
                    continue
                if word == "@@is":
                    key, _, values[key] = rest.partition(" ")
                if word == "@@rc":
                    status = rest
                print(line, end="", flush=True)
        say(status == "0", "the guest's script ran to its end")
        print("@@case", name, self.process.returncode, flush=True)
        return values

    def answer(self, actions, word, *arguments):
        """What cannot be done ends the machine, too."""
        try:
            reply = actions[word](*arguments) or "done"
        except BaseException:
            self.process.kill()
            raise
        # If it has just ended its output tells the story.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{reply}\n")
            self.process.stdin.flush()
