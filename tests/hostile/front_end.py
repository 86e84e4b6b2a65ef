# SPDX-License-Identifier: BSD-2-Clause
"""The program as a back-end, and a front-end that speaks vhost-user byte by byte, right or wrong."""

import json
import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

PARAVANE = os.environ['PARAVANE']
IS_SANITIZED = os.environ.get('PV_SANITIZED') == '1'
PATIENCE_S = 20
QUEUES = 2
DISK_BYTES = 1 << 20

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_LOG_BASE, SET_LOG_FD = 6, 7
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = 12, 13, 14
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 15, 16, 17
SET_VRING_ENABLE, SET_BACKEND_REQ_FD, GET_CONFIG, SET_CONFIG = 18, 21, 24, 25
GET_INFLIGHT_FD, SET_INFLIGHT_FD = 31, 32
RESET_DEVICE, VRING_KICK, GET_MAX_MEM_SLOTS = 34, 35, 36
ADD_MEM_REG, REM_MEM_REG, SET_STATUS, GET_STATUS = 37, 38, 39, 40
SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE = 42, 43

VERSION, REPLY, NEED_REPLY = 1, 4, 8
NO_FD = 0x100

MQ, LOG_SHMFD, REPLY_ACK, CONFIG = 1 << 0, 1 << 1, 1 << 3, 1 << 9
INFLIGHT = 1 << 12
RESET, MEM_SLOTS, STATUS, DEVICE_STATE = 1 << 13, 1 << 15, 1 << 16, 1 << 19
PROTOCOL_FEATURES = (MQ | LOG_SHMFD | REPLY_ACK | CONFIG | INFLIGHT | RESET | MEM_SLOTS | STATUS
                     | DEVICE_STATE)

F_LOG_ALL, F_PROTOCOL, F_VERSION_1, F_PACKED = 1 << 26, 1 << 30, 1 << 32, 1 << 34
NEEDS_RESET = 0x40

MEMORY_BYTES = 1 << 20
GUEST, USER = 0x100000000, 0x700000000000
DESC, AVAIL, USED, HEADER, DATA, STATUS_BYTE = 0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
SIZE = 16


def region(guest=GUEST, size=MEMORY_BYTES, user=USER, offset=0):
    return struct.pack('<QQQQ', guest, size, user, offset)


def table(*regions):
    return struct.pack('<II', len(regions), 0) + b''.join(regions)


def state(index, num):
    return struct.pack('<II', index, num)


def inflight(size, offset=0, queues=QUEUES, queue_size=SIZE):
    return struct.pack('<QQHHI', size, offset, queues, queue_size, 0)


def u64(value):
    return struct.pack('<Q', value)


def addresses(index=0, desc=USER + DESC, used=USER + USED, avail=USER + AVAIL, log=None):
    """`log`: where the used ring is logged, if it is."""
    return struct.pack('<IIQQQQ', index, log is not None, desc, used, avail, log or 0)


def message(request, payload=b'', flags=VERSION, size=None):
    return struct.pack('<III', request, flags, len(payload) if size is None else size) + payload


class Server:
    """`paravane serve blk` in a process of its own; it listens when the constructor returns."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory(prefix='pv-', dir='/tmp')
        self.path = os.path.join(self.folder.name, 's')
        self.qmp_path = os.path.join(self.folder.name, 'q')
        self.log_path = os.path.join(self.folder.name, 'log')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [PARAVANE, 'serve', 'blk', '--qmp', 'unix:' + self.qmp_path, *self.disks(),
                 *options], stderr=log)
        wait_until(lambda: 'serving' in self.log(), 'the server does not start')
        self.mark = 0
        self.heard()

    def disks(self):
        return ['--socket-path', self.path, '--memory', str(DISK_BYTES), '--num-queues',
                str(QUEUES), '--queue-size', '256']

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def heard(self):
        """The warnings since this was last asked."""
        lines = self.log().splitlines()
        new, self.mark = lines[self.mark:], len(lines)
        return [line for line in new if re.search('warning:|error:', line)]

    def is_alive(self):
        return self.process.poll() is None

    def fds(self):
        """How many it has open; None where that cannot be seen."""
        try:
            return len(os.listdir(f'/proc/{self.process.pid}/fd'))
        except PermissionError:
            return None

    def resident_kib(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as status:
            return int(re.search(r'VmRSS:\s+(\d+)', status.read()).group(1))

    def qmp(self, *commands):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(self.qmp_path)
            lines = client.makefile('r', encoding='utf-8')
            lines.readline()
            answer = None
            for command in ('qmp_capabilities', *commands):
                client.sendall(json.dumps({'execute': command}).encode() + b'\n')
                answer = json.loads(lines.readline())
                while 'return' not in answer and 'error' not in answer:
                    answer = json.loads(lines.readline())
            return answer['return']

    def end(self):
        """By SIGTERM. Its exit status; None if it had to be killed."""
        code = None
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        return code


def wait_until(is_so, what):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(what)
        time.sleep(0.005)


def memory_file(size=MEMORY_BYTES, flags=0):
    fd = os.memfd_create('guest', os.MFD_CLOEXEC | flags)
    os.ftruncate(fd, size)
    return fd


def full_pipe():
    """Its two ends; whoever writes to it now waits."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


class FrontEnd:
    """A connection, and a guest's memory with one split ring in it."""

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.connect(server.path)  # blocks while the queue of connections is full
        self.socket.settimeout(PATIENCE_S)
        self.server = server
        self.fds = []
        self.memory = None
        self.index = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        if self.memory is not None:
            self.memory.close()
            self.memory = None
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def keep(self, fd):
        self.fds.append(fd)
        return fd

    def raw(self, data, fds=()):
        """Sends bytes; a server that has left already is no error."""
        try:
            if fds:
                socket.send_fds(self.socket, [data], list(fds))
            else:
                self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, request, payload=b'', fds=(), flags=VERSION):
        self.raw(message(request, payload, flags), fds)

    def receive(self, size):
        data = b''
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError('the back-end has left')
            data += piece
        return data

    def reply(self):
        request, _, size = struct.unpack('<III', self.receive(12))
        return request, self.receive(size)

    def get(self, request):
        self.send(request)
        return struct.unpack('<Q', self.reply()[1])[0]

    def ask(self, request, payload=b'', fds=()):
        """With an acknowledgement: 0 is yes."""
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        return struct.unpack('<Q', self.reply()[1][:8])[0]

    def get_inflight(self, *shape):
        """The in-flight region that the back-end makes: its size and its descriptor, or None."""
        self.send(GET_INFLIGHT_FD, inflight(0, 0, *shape))
        data, fds, _, _ = socket.recv_fds(self.socket, 12 + 24, 2)
        size, offset, _, _, _ = struct.unpack('<QQHHI', data[12:])
        assert offset == 0 and len(fds) == (size > 0)
        return size, self.keep(fds[0]) if fds else None

    def is_dropped(self):
        """Waits until the back-end has closed the connection."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except socket.timeout:
            return False
        return True

    # ---- doing it right ----

    def negotiate(self, features=F_PROTOCOL | F_VERSION_1, protocol=PROTOCOL_FEATURES):
        self.send(SET_OWNER)
        self.get(GET_FEATURES)
        self.get(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, u64(protocol))
        self.send(SET_FEATURES, u64(features))

    def map_memory(self, fd=None):
        self.memory_fd = self.keep(memory_file() if fd is None else fd)
        self.memory = mmap.mmap(self.memory_fd, MEMORY_BYTES)
        return self.ask(SET_MEM_TABLE, table(region()), [self.memory_fd])

    def start(self, kick=True, call=None):
        self.kick_fd = self.keep(os.eventfd(0)) if kick else None
        self.ask(SET_VRING_NUM, state(0, SIZE))
        self.ask(SET_VRING_BASE, state(0, 0))
        self.ask(SET_VRING_ADDR, addresses())
        if call is not None:
            self.ask(SET_VRING_CALL, u64(0), [call])
        if kick:
            self.ask(SET_VRING_KICK, u64(0), [self.kick_fd])
        else:
            self.ask(SET_VRING_KICK, u64(NO_FD))
        return self.ask(SET_VRING_ENABLE, state(0, 1))

    def set_up(self, **more):
        self.negotiate()
        assert self.map_memory() == 0
        assert self.start(**more) == 0
        return self

    def put(self, offset, form, *values):
        # In one go: pack_into() writes zeroes first, and a back-end that polls might find those.
        data = struct.pack(form, *values)
        self.memory[offset:offset + len(data)] = data

    def desc(self, at, offset, size, flags, following=0):
        self.put(DESC + 16 * at, '<QIHH', GUEST + offset, size, flags, following)

    def offer(self, head=0):
        self.put(AVAIL + 4 + 2 * (self.index % SIZE), '<H', head)
        self.index = (self.index + 1) & 0xffff
        self.put(AVAIL + 2, '<H', self.index)
        if self.kick_fd is not None:
            os.eventfd_write(self.kick_fd, 1)

    def used(self):
        return struct.unpack_from('<H', self.memory, USED + 2)[0]

    def offer_request(self, kind, sector=0, size=512):
        self.put(HEADER, '<IIQ', kind, 0, sector)
        self.put(STATUS_BYTE, '<B', 0xee)
        self.desc(0, HEADER, 16, 1, 1)
        self.desc(1, DATA, size, 1 | (2 if kind == 0 else 0), 2)
        self.desc(2, STATUS_BYTE, 1, 2)
        self.offer()

    def request(self, kind, sector=0, size=512):
        """A read or a write, waited for. Its status."""
        self.offer_request(kind, sector, size)
        wait_until(lambda: self.used() == self.index, 'a request does not come back')
        return self.memory[STATUS_BYTE]


def is_served(server):
    """What a guest that means well wrote, it reads back."""
    pattern = os.urandom(512)
    with FrontEnd(server) as guest:
        guest.set_up()
        guest.memory[DATA:DATA + 512] = pattern
        if guest.request(1, sector=3) != 0:
            return False
        guest.memory[DATA:DATA + 512] = bytes(512)
        return guest.request(0, sector=3) == 0 and guest.memory[DATA:DATA + 512] == pattern
