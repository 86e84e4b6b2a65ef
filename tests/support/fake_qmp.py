# SPDX-License-Identifier: BSD-2-Clause
"""A QMP server that says what a test wants, good or bad."""

import json
import pathlib
import socket
import threading

PATIENCE_S = 20
GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}, "package": ""},
                    "capabilities": []}}


def line(message):
    return json.dumps(message).encode() + b"\r\n"


class FakeQmp:
    """Serves one client, or one after another until it is closed, on a thread of its own: `play(self)` is
    its part. Keeps the commands."""

    def __init__(self, folder, play, name="fake", has_many=False):
        self.path = str(pathlib.Path(folder) / name)
        self.has_many, self.is_closing, self.clients = has_many, False, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.play, self.commands, self.client, self.stream = play, [], None, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.serve()
        while self.has_many and not self.is_closing:
            self.serve()

    def serve(self):
        self.client, _ = self.listener.accept()
        self.clients += 1
        self.client.settimeout(PATIENCE_S)
        self.stream = self.client.makefile("rb")
        try:
            self.play(self)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client had enough
        self.stream.close()
        self.client.close()

    def close(self):
        """Lets a server that nobody came to end, too."""
        self.is_closing = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.path)
            self.listener.close()
        self.thread.join()
        pathlib.Path(self.path).unlink()

    def send(self, *messages):
        for message in messages:
            self.client.sendall(message if isinstance(message, bytes) else line(message))

    def hear(self):
        """The next command; None when the client has left."""
        data = b""
        while byte := self.stream.read(1):
            data += byte
            try:
                self.commands.append(json.loads(data))
                return self.commands[-1]
            except json.JSONDecodeError:
                pass
        return None

    def answer(self, **what):
        """The next command gets this, and its id."""
        command = self.hear()
        if command:
            self.send({**what, "id": command["id"]})
        return command

    def be_greeted(self):
        self.send(GREETING)
        self.answer(**{"return": {}})

    def wait_until_left(self):
        while self.hear():
            pass
