# SPDX-License-Identifier: BSD-2-Clause
"""`paravane serve blk`, started, asked and ended by a test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
import serving
from report import Failure

START_LIMIT_S = 20
END_LIMIT_S = 20


class Qmp(serving.Qmp):
    """To QEMU or to us: here a refusal fails the test."""

    def command(self, name, /, **arguments):
        message = self.ask(name, **arguments)
        if "error" in message:
            raise Failure(f"QMP refused {name}: {message['error'].get('desc')}")
        return message["return"]


class Backend:
    """One `paravane serve blk` process on `image`, with a socket and a QMP server."""

    DEVICE = "blk"

    def __init__(self, report, image, log_path, options=()):
        self.report = report
        self.image = image
        self.log_path = log_path
        self.options = list(options)
        self.directory = serving.short_folder()
        self.path = os.path.join(self.directory, "disk")
        self.qmp_path = os.path.join(self.directory, "qmp")
        self.process = None
        self.monitor = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.clean_up()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process and kind is None:
                self.stop()
            elif self.process and not self.is_alive():
                self.report.ok(False, "the back-end lived to the end", self.obituary())
        finally:
            self.clean_up()

    def clean_up(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def served(self):
        return ["--socket-path", self.path, "--blk-file", self.image]

    def launch(self, log):
        argv = [os.environ["PARAVANE"], "serve", self.DEVICE, "--qmp", f"unix:{self.qmp_path}",
                *self.served(), *self.options]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = self.launch(log)
        deadline = time.monotonic() + START_LIMIT_S
        while not serving.is_listening(self.path):
            if self.process.poll() is not None:
                raise Failure(f"the back-end ended at its start with status {self.process.returncode}"
                              f": {self.last_words()}")
            if time.monotonic() > deadline:
                raise Failure(f"the back-end did not listen within {START_LIMIT_S} s")
            time.sleep(0.02)

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().splitlines()[-4:])

    def obituary(self):
        return f"it ended with status {self.process.returncode}: {self.last_words()}"

    def qmp_client(self):
        if not self.monitor:
            self.monitor = Qmp(self.qmp_path)
        return self.monitor

    def qmp(self, name, /, **arguments):
        return self.qmp_client().command(name, **arguments)

    def counters(self):
        """All counters of query-stats by name, those of several queues added up."""
        return self.qmp_client().counters()

    def resize(self, size_bytes):
        device = self.qmp("query-block")[0]["device"]
        self.qmp("block_resize", device=device, size=size_bytes)

    def blocks(self):
        """What the image takes on the host's disk, in units of 512 bytes (`stat -c %b`)."""
        return os.stat(self.image).st_blocks

    def cpu_seconds(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, as a crash would look."""
        self.close_monitor()
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            serving.wait_until_gone(self.path)

    def stop(self):
        """SIGTERM: the clean end is part of every test."""
        self.close_monitor()
        if not self.report.ok(self.is_alive(), "the back-end lived to the end",
                              self.obituary()):
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            status = f"nothing after {END_LIMIT_S} s"
        self.report.ok(status == 0, "SIGTERM ends the back-end with status 0",
                       f"got {status}; its last words: {self.last_words()}")

    def close_monitor(self):
        if self.monitor:
            self.monitor.close()
            self.monitor = None


class TwoDisks(Backend):
    """One process with two disks on two loops, "first" and "second": also their serial numbers."""

    def __init__(self, report, image, second_image, log_path, options=()):
        super().__init__(report, image, log_path, options)
        self.second_image = second_image
        self.second_path = os.path.join(self.directory, "second")

    def served(self):
        config = os.path.join(self.directory, "config")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"loops": 2, "disks": [
                {"name": name, "serial": name, "socket-path": path, "blk-file": image,
                 "num-queues": 1}
                for name, path, image in (("first", self.path, self.image),
                                          ("second", self.second_path, self.second_image))]}, file)
        return ["--config", config]


class Network(Backend):
    """One `paravane serve net` process."""

    DEVICE = "net"

    def __init__(self, report, log_path, wire, options=()):
        super().__init__(report, None, log_path, options)
        self.wire = wire

    def served(self):
        return ["--socket-path", self.path, "--backend", self.wire]

    def set_link(self, state):
        self.qmp("set_link", name="net0", up=state == "on")


class Entropy(Backend):
    """One `paravane serve rng` process."""

    DEVICE = "rng"

    def __init__(self, report, log_path, options=()):
        super().__init__(report, None, log_path, options)

    def served(self):
        return ["--socket-path", self.path]


class Balloon(Backend):
    """One `paravane serve balloon` process."""

    DEVICE = "balloon"

    def __init__(self, report, log_path, options=()):
        super().__init__(report, None, log_path, options)

    def served(self):
        return ["--socket-path", self.path]


class Serial(Backend):
    """One `paravane serve serial` process with a console on a pty, and named ports on sockets."""

    DEVICE = "serial"

    def __init__(self, report, log_path, names, options=()):
        super().__init__(report, None, log_path, options)
        self.names = names

    def port(self, name):
        return os.path.join(self.directory, name)

    def served(self):
        named = [word for name in self.names
                 for word in ("--port", f"name={name},socket={self.port(name)},server=on")]
        return ["--socket-path", self.path, "--port", "console,pty,id=console", *named]
