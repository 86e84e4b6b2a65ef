# SPDX-License-Identifier: BSD-2-Clause
"""The host's ends of the ports of a serial device: sockets with random bytes both ways, a terminal on the
console, and the guest's agent."""

import fcntl
import hashlib
import json
import os
import pty
import select
import signal
import socket
import struct
import termios
import threading
import time

CHUNK = 64 << 10
LIMIT_S = 120


def connect(path, limit_s=LIMIT_S):
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(limit_s)
    end.connect(path)
    return end


class Exchange(threading.Thread):
    """Sends so many random bytes to a port's socket, and receives as many, or as few as `to_send` says; `sent`
    and `received` are their digests then. So many bytes `have_gone` and `have_come` meanwhile."""

    def __init__(self, path, size, limit_s=LIMIT_S, to_send=None):
        super().__init__(daemon=True)
        self.path, self.size, self.limit_s = path, size, limit_s
        self.to_send = size if to_send is None else to_send
        self.sent = self.received = self.error = None
        self.have_gone = self.have_come = 0
        self.start()

    def run(self):
        try:
            with connect(self.path, self.limit_s) as end:
                self.work(end)
        except OSError as why:
            self.error = f"{os.path.basename(self.path)}: {why}"

    def work(self, end):
        self.swap(end, self.to_send, self.size)

    def swap(self, end, to_send, size):
        """Both ways at once."""
        self.sent = self.received = None
        writer = threading.Thread(target=self.send, args=(end, to_send), daemon=True)
        writer.start()
        digest, left = hashlib.sha256(), size
        while left > 0:
            data = end.recv(min(left, CHUNK))
            if not data:
                raise OSError(f"it ended {left} bytes early")
            digest.update(data)
            left -= len(data)
            self.have_come += len(data)
        writer.join(self.limit_s)
        self.received = digest.hexdigest()

    def send(self, end, to_send):
        data = os.urandom(to_send)
        try:
            for begin in range(0, to_send, CHUNK):
                piece = data[begin:begin + CHUNK]
                end.sendall(piece)
                self.have_gone += len(piece)
            self.sent = hashlib.sha256(data).hexdigest()
        except OSError as why:
            self.error = f"{os.path.basename(self.path)}: {why}"


class Terminal:
    """`paravane attach` in a terminal of its own."""

    def __init__(self, words, columns, rows):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt100"
            os.execv(words[0], words)
        self.text = ""
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, words, limit_s=30):
        """Whether that comes up, in what came since the last time."""
        deadline = time.monotonic() + limit_s
        while words not in self.text:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self.fd], [], [], left_s)[0]:
                return False
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return False
            self.text += data.decode(errors="replace")
        self.text = self.text.partition(words)[2]
        return True

    def close(self):
        """Returns the exit status; the escape key has been typed, or it is ended."""
        os.close(self.fd)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None


def visit(command, say):
    """Logs in on a console, as whoever has a terminal would; `say(is_good, statement)`."""
    terminal = Terminal(command, 101, 37)
    terminal.type("\n")
    say(terminal.wait_for("login:"), "attach: the console asks who is there")
    terminal.type("root\n")
    say(terminal.wait_for("welcome root"), "attach: and lets us in")
    terminal.type("stty size\n")
    say(terminal.wait_for("37 101"), "attach: the guest knows how large our terminal is")
    terminal.resize(77, 21)
    for _ in range(20):
        terminal.type("stty size\n")
        is_seen = terminal.wait_for("21 77", 1)
        if is_seen:
            break
    say(is_seen, "attach: and that it has become smaller")
    terminal.type("echo $((6 * 7)); exit\n")
    say(terminal.wait_for("42"), "attach: what is typed is done")
    say(terminal.close() is not None, "attach: it ends with its terminal")


def ask_agent(path, command):
    """One question to qemu-guest-agent; what was left in the port is skipped."""
    with connect(path, 30) as end:
        end.sendall(b"\xff" + json.dumps({"execute": "guest-sync-delimited",
                                          "arguments": {"id": 4711}}).encode() + b"\n")
        answers = end.makefile("rb")
        while True:
            line = answers.readline().rpartition(b"\xff")[2]
            if line.strip() and json.loads(line).get("return") == 4711:
                break
        end.sendall(json.dumps({"execute": command}).encode() + b"\n")
        return json.loads(answers.readline())


def agent_statements(path, say):
    try:
        say("return" in ask_agent(path, "guest-ping"), "qemu-guest-agent answers guest-ping")
        info = ask_agent(path, "guest-info")["return"]
        say("version" in info, f"and guest-info: version {info.get('version')}")
    except (OSError, ValueError, KeyError) as why:
        say(False, f"qemu-guest-agent answers ({why!r})")


class Host:
    """What a guest that runs scripts/serial.sh asks for. `port(name)` is the path of a port's socket, `qmp` a
    function to send a command with, `attach` the words that attach to the console, `say` is told each
    statement."""

    EXTRA_BYTES = 100_000
    TIMES = 3

    def __init__(self, say, port, qmp, attach, ports, size):
        self.say, self.port, self.qmp, self.attach = say, port, qmp, attach
        self.ports, self.size = ports, size
        self.exchanges = {}
        self.times = 0

    def visit(self):
        visit(self.attach, self.say)

    def agent(self):
        agent_statements(self.port("org.qemu.guest_agent.0"), self.say)

    def exchange(self, *names):
        for name in names or [f"p{index}" for index in range(self.ports)]:
            self.exchanges[name] = Exchange(self.port(name), self.size)

    def listen(self, name):
        self.exchanges[name] = Exchange(self.port(name), self.size, to_send=0)

    def plug(self):
        self.times += 1
        path = self.port(f"extra{self.times}")
        self.qmp("chardev-add", id="extra", name="extra", backend={
            "type": "socket", "data": {"addr": {"type": "unix", "data": {"path": path}}, "server": True}})
        self.exchanges["extra"] = Exchange(path, self.EXTRA_BYTES)

    def unplug(self):
        exchange = self.exchanges["extra"]
        exchange.join(LIMIT_S)
        self.say(bool(exchange.sent and exchange.received), f"all has come through the new port {exchange.error or ''}")
        self.qmp("chardev-remove", id="extra")

    def more(self):
        """Is the new port to come once more?"""
        return "yes" if self.times < self.TIMES else "no"

    def actions(self):
        return {name: getattr(self, name)
                for name in ("visit", "agent", "exchange", "listen", "plug", "unplug", "more")}

    def judge(self, values):
        """By the digests that the guest has said."""
        for name, exchange in self.exchanges.items():
            exchange.join(LIMIT_S)
            self.say(exchange.received == values.get(f"{name}.sent", "?"),
                     f"{name}: what the guest has sent came as it was {exchange.error or ''}")
            self.say(exchange.sent == values.get(f"{name}.received", "?"),
                     f"{name}: and what we have sent {exchange.error or ''}")
