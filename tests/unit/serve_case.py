# SPDX-License-Identifier: BSD-2-Clause
"""A folder, `paravane serve DEVICE` in it, and what all tests of the program ask of it."""

import copy
import json
import mmap
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
IS_SANITIZED = sys.argv.pop(1) == 'sanitized'
PATIENCE_S = 20


def is_of_this_place(line):
    """Is it a warning that comes from how, or where, the program was built or runs?"""
    return any(words in line for words in ('warning: runs without its sandbox',
                                           'warning: io_uring is refused',
                                           'open descriptors are allowed'))


class FrontEnd:
    """A front-end with a little memory, which the back-end cannot keep from being cut short."""
    SIZE = 1 << 16
    KIND = 0  # flags of memfd_create
    GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
    SET_PROTOCOL_FEATURES, SET_BACKEND_REQ_FD = 16, 21
    BACKEND_REQ, CONFIG, F_PROTOCOL = 1 << 5, 1 << 9, 1 << 30
    CONFIG_CHANGE_MSG = 2
    GET_CONFIG, SET_CONFIG = 24, 25
    SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK = 8, 9, 10, 12
    VERSION_1 = 1 << 32
    GUEST, USER = 0x10000, 0x7000000000

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        # Without MFD_ALLOW_SEALING.
        self.memory, self.eventfd = os.memfd_create('guest', self.KIND), os.eventfd(0)
        os.ftruncate(self.memory, self.SIZE)

    def close(self):
        self.socket.close()
        os.close(self.memory)
        os.close(self.eventfd)

    def config(self, offset, size):
        """Of the device, with CONFIG or without: nobody asks whether it was accepted."""
        self.send(self.GET_CONFIG, struct.pack('<III', offset, size, 0) + bytes(size))
        return self.socket.recv(12 + 12 + size)[24:]

    def set_config(self, offset, data):
        self.send(self.SET_CONFIG, struct.pack('<III', offset, len(data), 0) + data)

    def send(self, request, payload=b'', fds=()):
        header = struct.pack('<III', request, 1, len(payload))
        socket.send_fds(self.socket, [header + payload], fds)

    def is_served(self):
        """All that was sent before has been worked on then."""
        self.send(self.GET_FEATURES)
        return len(self.socket.recv(20)) == 20

    def is_dropped(self):
        return self.socket.recv(20) == b''

    def start_queue(self, size=8, index=0, features=0):
        self.send(self.SET_OWNER)
        self.send(self.SET_FEATURES, struct.pack('<Q', self.VERSION_1 | features))
        self.send(self.SET_MEM_TABLE, struct.pack('<IIQQQQ', 1, 0, self.GUEST, self.SIZE, self.USER,
                                                  0), [self.memory])
        return self.set_queue(size, index)

    def set_queue(self, size, index, at=0):
        """Its areas begin `at` so many bytes of memory."""
        user = self.USER + at
        self.send(self.SET_VRING_NUM, struct.pack('<II', index, size))
        self.send(self.SET_VRING_BASE, struct.pack('<II', index, 0))
        self.send(self.SET_VRING_ADDR, struct.pack('<IIQQQQ', index, 0, user, user + 0x8000, user + 0x4000, 0))
        self.send(self.SET_VRING_KICK, struct.pack('<Q', index), [self.eventfd])
        return self.is_served()

    def give_channel(self, fd):
        self.send(self.SET_FEATURES, struct.pack('<Q', self.VERSION_1 | self.F_PROTOCOL))
        self.send(self.SET_PROTOCOL_FEATURES, struct.pack('<Q', self.BACKEND_REQ | self.CONFIG))
        self.send(self.SET_BACKEND_REQ_FD, b'', [fd])
        return self.is_served()

    def kick(self):
        os.eventfd_write(self.eventfd, 1)

    def shrink(self):
        os.ftruncate(self.memory, 0)


class Driver(FrontEnd):
    """With a split ring of its own, of one queue: the areas are where set_queue() says."""
    QUEUE_SIZE = 8
    AVAIL, USED, DATA, END = 0x4000, 0x8000, 0xc000, 0x10000
    WRITE = 2

    def __init__(self, path, index=0, features=0):
        super().__init__(path)
        self.guest = mmap.mmap(self.memory, self.SIZE)
        self.at = self.asked = self.taken = 0
        self.start_queue(self.QUEUE_SIZE, index, features)

    def close(self):
        self.guest.close()
        super().close()

    def another_queue(self, index):
        """Another of the same device, behind this one's areas: to be used as this one is, and not to be closed."""
        another = copy.copy(self)
        another.at, another.asked, another.taken = self.at + self.END, 0, 0
        another.set_queue(self.QUEUE_SIZE, index, another.at)
        return another

    def offer(self, length, flags=0):
        """A buffer at DATA."""
        slot = self.asked % self.QUEUE_SIZE
        avail = self.at + self.AVAIL
        struct.pack_into('<QIHH', self.guest, self.at + 16 * slot, self.GUEST + self.at + self.DATA, length, flags, 0)
        struct.pack_into('<H', self.guest, avail + 4 + 2 * slot, slot)
        self.asked += 1
        # In one go: pack_into() writes zeroes first, and a back-end that polls might find those.
        self.guest[avail + 2:avail + 4] = struct.pack('<H', self.asked)
        self.kick()

    def take(self, patience_s=PATIENCE_S):
        """The bytes that were written to the next used buffer; None: there is none in time."""
        deadline = time.monotonic() + patience_s
        used, data = self.at + self.USED, self.at + self.DATA
        while struct.unpack_from('<H', self.guest, used + 2)[0] == self.taken:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.001)
        slot = self.taken % self.QUEUE_SIZE
        _, length = struct.unpack_from('<II', self.guest, used + 4 + 8 * slot)
        self.taken += 1
        return bytes(self.guest[data:data + length])


class Case(unittest.TestCase):
    DEVICE = 'blk'

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix='pv-', dir='/tmp')
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.disk = self.path / 'disk.img'
        self.disk.write_bytes(bytes(1 << 20))
        self.socket = self.path / 's'
        self.qmp = self.path / 'q'

    def start(self, *words, **more):
        process = subprocess.Popen([PROGRAM, 'serve', self.DEVICE, *map(str, words)],
                                   stderr=subprocess.PIPE, text=True, **more)
        self.addCleanup(self.reap, process)
        line = process.stderr.readline()
        while is_of_this_place(line):
            line = process.stderr.readline()
        self.assertIn('serving', line)
        return process, line

    def connect(self, path):
        front_end = FrontEnd(path)
        self.addCleanup(front_end.close)
        return front_end

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()

    def assert_ends_well(self, process):
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ['disk.img'])

    @staticmethod
    def switches(process):
        """How often its threads have gone to sleep so far."""
        return sum(int(line.split()[1])
                   for task in pathlib.Path(f'/proc/{process.pid}/task').iterdir()
                   for line in (task / 'status').read_text().splitlines()
                   if line.startswith('voluntary_ctxt_switches'))

    def ask(self, *commands):
        """Each command's answer; events are left out."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.qmp))
            lines = client.makefile('r', encoding='utf-8')
            self.assertIn('QMP', json.loads(lines.readline()))
            answers = []
            for command in ({'execute': 'qmp_capabilities'}, *commands):
                client.sendall(json.dumps(command).encode())
                answer = json.loads(lines.readline())
                while 'event' in answer:
                    answer = json.loads(lines.readline())
                answers.append(answer)
            lines.close()
            return answers[1:]

    def refuse(self, *words, **more):
        before = sorted(self.path.iterdir())
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False, **more)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, '')
        said = [line for line in done.stderr.splitlines() if not is_of_this_place(line)]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertEqual(sorted(self.path.iterdir()), before)
        return said[0]

    def refuse_serve(self, *words, **more):
        sentence = self.refuse('serve', self.DEVICE, *words, **more)
        self.assertTrue(sentence.startswith(f'paravane serve {self.DEVICE}: '), sentence)
        return sentence.removeprefix(f'paravane serve {self.DEVICE}: ')
