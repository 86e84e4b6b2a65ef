# SPDX-License-Identifier: BSD-2-Clause
"""`paravane run` with a bare guest, from inside the box: started, listened to, asked and ended."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import serving  # pylint: disable=wrong-import-position

# The box is slow, and what is proved here is not speed.
LIMIT_S = 120
STATEMENT = re.compile(r"(not )?ok (\d+) - (.*)")


def say(is_true, text, detail=""):
    """One statement, for whoever started us."""
    print(f"@@{'ok' if is_true else 'bad'} {text}", flush=True)
    if detail and not is_true:
        print("\n".join("# " + line for line in str(detail).splitlines()), flush=True)
    return is_true


class Machine:
    """One monitor. Its console is read all the time, so that the guest never waits for us."""

    def __init__(self, name, append, *options, kernel="BARE_GUEST", memory="64M",
                 environment=None):
        self.name = name
        self.folder = serving.short_folder()
        self.qmp_path = os.path.join(self.folder, "qmp")
        self.errors = open(os.path.join(self.folder, "errors"), "w+b")
        argv = [os.environ["PARAVANE"], "run", "--kernel", os.environ[kernel], "--memory", memory,
                "--append", append, "--qmp", f"unix:{self.qmp_path},server=on,wait=off", *options]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors,
                                        env={**os.environ, **(environment or {})})
        self.console = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.kill()
        status = self.process.wait()
        self.reader.join()
        if kind:
            say(False, f"{self.name}: nothing goes wrong", f"status {status}\n{self.obituary()}")
        self.errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.console += data

    def lines(self):
        return self.console.decode(errors="replace").replace("\r", "").split("\n")

    def wait_for(self, text, times=1):
        """True when the guest has said it that often."""
        deadline = time.monotonic() + LIMIT_S
        while self.console.count(text.encode()) < times:
            if time.monotonic() > deadline or self.process.poll() is not None:
                return self.console.count(text.encode()) >= times
            time.sleep(0.02)
        return True

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def qmp(self):
        return serving.Qmp(self.qmp_path)

    def errors_text(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def status_kib(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{key}:\s*(\d+) kB", status.read(), re.M).group(1))

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def is_alive(self):
        return self.process.poll() is None

    def obituary(self):
        return f"{self.errors_text()[-2000:]}\n{self.console[-2000:].decode(errors='replace')}"

    def pass_on(self):
        """What the guest stated becomes what the test states. Returns the last one's number."""
        last = 0
        for line in self.lines():
            if statement := STATEMENT.match(line):
                last = int(statement[2])
                say(not statement[1], f"{self.name}: {statement[3]}", self.obituary())
        return last

    def wait(self):
        """Returns the exit status; None if it does not end."""
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return None
        self.reader.join()
        return status

    def finish(self, status=0):
        """The guest switches off when it has said all that it has to say."""
        ended = self.wait()
        last = self.pass_on()
        say(ended == status, f"{self.name}: the program ends with status {status}",
            f"status {ended}\n{self.obituary()}")
        if status == 0:
            say(last > 0 and f"1..{last}" in self.lines()[-2:],
                f"{self.name}: the guest came to its end", self.obituary())
