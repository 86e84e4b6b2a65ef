# SPDX-License-Identifier: BSD-2-Clause
"""Back-end processes of a test: started, asked over QMP, and ended; and a disk that is full."""

import ctypes
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

PARAVANE = os.environ["PARAVANE"]
START_S = 20
ANSWER_S = 20

CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000
MS_REMOUNT = 32


def short_folder():
    """A folder whose sockets fit in 107 bytes, wherever the checkout lies."""
    wanted = os.environ.get("TMPDIR", "/tmp")
    return tempfile.mkdtemp(prefix="pvb", dir=wanted if len(wanted) < 60 else "/tmp")


def is_listening(path):
    """Does somebody listen on this socket? Read from the kernel's list: a test connection would
    count as the first front-end."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        for row in table:
            fields = row.split()
            if fields[-1] == path and int(fields[3], 16) & 0x10000:
                return True
    return False


def wait_until_gone(path):
    """After the process has: the kernel takes io_uring apart later, and the socket that it watched
    with it, and who waits for the next one there would believe in it too early."""
    deadline = time.monotonic() + START_S
    while is_listening(path) and time.monotonic() < deadline:
        time.sleep(0.01)


class Server:
    """A back-end process; it listens when the constructor returns."""

    def __init__(self, folder, command, name="s"):
        self.path = os.path.join(folder, name)
        self.log = open(os.path.join(folder, f"{name}.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(command(self.path), stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_S
        while not is_listening(self.path):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"{command(self.path)[0]} does not listen: {self.text()}")
            time.sleep(0.02)

    def text(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def wait_for_text(self, words):
        deadline = time.monotonic() + ANSWER_S
        while words not in self.text():
            if time.monotonic() > deadline:
                raise RuntimeError(f"it never said '{words}': {self.text()}")
            time.sleep(0.02)

    def wait_for_front_end(self):
        """Until ours has heard of one, and a little longer, so that requests are under way."""
        self.wait_for_text("has connected")
        time.sleep(0.2)

    def has_front_end_while(self, client):
        """Waits for the client's connection, as above; False if it has ended before."""
        while "has connected" not in self.text():
            if client.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(0.2)
        return client.poll() is None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        wait_until_gone(self.path)


class Qmp:
    """A client that keeps the events it has heard."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_S)
        self.connect(path)
        # For reading alone: a text stream forgets what it has read ahead when it is written to.
        self.stream = self.socket.makefile("r", encoding="utf-8")
        self.stream.readline()
        self.events = []
        self.command("qmp_capabilities")

    def connect(self, path):
        """QMP listens a little later than what a Server waits for."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.socket.connect(path)
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def next(self):
        line = self.stream.readline()
        if not line:
            raise RuntimeError("QMP closed the connection")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def ask(self, name, /, **arguments):
        """The whole answer; what events come before it are kept."""
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self.next()
            if "return" in message or "error" in message:
                return message

    def command(self, name, /, **arguments):
        """What it returns; a refusal comes back as the whole message."""
        message = self.ask(name, **arguments)
        return message.get("return", message)

    def wait_for(self, name):
        """The first event of that name that was not asked for before; it is forgotten then."""
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event.get("data")
            self.next()

    def counters(self):
        """All counters by name, those of several queues added up."""
        total = {}
        for provider in self.command("query-stats"):
            for entry in provider["stats"]:
                if isinstance(entry["value"], int):
                    total[entry["name"]] = total.get(entry["name"], 0) + entry["value"]
        return total

    def close(self):
        self.stream.close()
        self.socket.close()


class SmallDisk:
    """A file system of a given size, seen by this process and its children alone."""

    libc = ctypes.CDLL(None, use_errno=True)
    is_alone = False

    def __init__(self, folder, size):
        self.folder = folder
        if not SmallDisk.is_alone:
            self.call("unshare", CLONE_NEWNS)
            self.call("mount", None, b"/", None, ctypes.c_ulong(MS_REC_PRIVATE), None)
            SmallDisk.is_alone = True
        os.makedirs(folder, exist_ok=True)
        self.mount(size, 0)

    def call(self, name, *arguments):
        """PermissionError where the process may not have mounts of its own."""
        if getattr(self.libc, name)(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")

    def mount(self, size, flags):
        self.call("mount", b"small", self.folder.encode(), b"tmpfs", ctypes.c_ulong(flags),
                  f"size={size}".encode())

    def resize(self, size):
        self.mount(size, MS_REMOUNT)

    def end(self):
        self.libc.umount2(self.folder.encode(), 2)
