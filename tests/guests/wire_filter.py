# SPDX-License-Identifier: BSD-2-Clause
"""A man in the middle that takes offered features away.

It stands between a front-end and the back-end and clears bits in the answers to GET_FEATURES and
GET_PROTOCOL_FEATURES, so that one guest can be run against every combination the back-end
knows, without the back-end having an option for it.
"""

import os
import socket
import struct
import threading

GET_FEATURES, GET_PROTOCOL_FEATURES = 1, 15
INBAND_NOTIFICATIONS = 1 << 14
FLUSH, CONFIG_WCE = 1 << 9, 1 << 11
INDIRECT_DESC, EVENT_IDX, RING_PACKED = 1 << 28, 1 << 29, 1 << 34
MAX_FDS = 16


def receive_all(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def forward(source, target):
    """From the front-end: bytes and descriptors as they come."""
    data, fds, _, _ = socket.recv_fds(source, 65536, MAX_FDS)
    if not data:
        raise ConnectionError
    socket.send_fds(target, [data], fds)
    for fd in fds:
        os.close(fd)


class WireFilter:
    """Listens on `path`, speaks to the back-end at `backend_path`."""

    def __init__(self, path, backend_path, hidden_features=0, hidden_protocol=0):
        self.path = path
        self.backend_path = backend_path
        self.hidden = {GET_FEATURES: hidden_features, GET_PROTOCOL_FEATURES: hidden_protocol}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        os.unlink(self.path)

    def serve(self):
        while True:
            try:
                guest, _ = self.listener.accept()
            except OSError:
                return
            with guest, socket.socket(socket.AF_UNIX) as backend:
                backend.connect(self.backend_path)
                answers = threading.Thread(target=self.pump, daemon=True,
                                           args=(self.answer, backend, guest))
                answers.start()
                self.pump(forward, guest, backend)
                answers.join()

    @staticmethod
    def pump(step, source, target):
        try:
            while True:
                step(source, target)
        except OSError:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def answer(self, backend, guest):
        """From the back-end: whole messages, some of them changed."""
        header = receive_all(backend, 12)
        request, _, size = struct.unpack("<III", header)
        payload = receive_all(backend, size)
        if request in self.hidden:
            (offered,) = struct.unpack("<Q", payload)
            payload = struct.pack("<Q", offered & ~self.hidden[request])
        guest.sendall(header + payload)
