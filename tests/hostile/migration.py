# SPDX-License-Identifier: BSD-2-Clause
"""Front-ends that move a guest, well or with bad intent: what is marked in the dirty log, and logs
that cannot be; a device's state, whole, cut, altered, and never read."""

import os
import socket
import struct
import threading
import unittest

import front_end as fe
from front_end import state, u64, wait_until
from frontend import Case

PAGE = 4096
LOG_BYTES = (fe.GUEST + fe.MEMORY_BYTES) // PAGE // 8
FEATURES = fe.F_PROTOCOL | fe.F_VERSION_1
SWITCHES = 3000


def log_at(size=LOG_BYTES, offset=0):
    return struct.pack('<QQ', size, offset)


def log_file(size=LOG_BYTES, flags=0):
    return fe.memory_file(size, flags)


def take_marks(fd, offset=0):
    """The pages of the guest's memory that are marked, as their offsets; then none is."""
    first = fe.GUEST // PAGE // 8
    bits = os.pread(fd, LOG_BYTES - first, offset + first)
    os.pwrite(fd, bytes(len(bits)), offset + first)
    assert not any(os.pread(fd, first, offset)), 'a page outside of memory is marked'
    return {page * PAGE for page in range(len(bits) * 8) if bits[page // 8] >> page % 8 & 1}


class DirtyLog(Case):
    def started(self):
        return self.connect().set_up()

    def log_all(self, front_end, is_on=True):
        self.assertEqual(front_end.ask(
            fe.SET_FEATURES, u64(FEATURES | (fe.F_LOG_ALL if is_on else 0))), 0)

    def log_ring(self, front_end, log=fe.GUEST + fe.USED):
        self.assertEqual(front_end.ask(fe.SET_VRING_ADDR, fe.addresses(log=log)), 0)

    def test_what_the_device_writes_is_marked_and_nothing_else(self):
        data = {fe.DATA, fe.STATUS_BYTE}
        front_end = self.started()
        fd = front_end.keep(log_file())
        self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [fd]), 0)
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(take_marks(fd), set())
        self.log_all(front_end)
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(take_marks(fd), data)
        self.assertEqual(front_end.request(1), 0)
        self.assertEqual(take_marks(fd), {fe.STATUS_BYTE})
        self.assertEqual(front_end.request(0, sector=1 << 40), 1)
        self.assertEqual(take_marks(fd), data, 'a request that fails may have written too')
        self.log_ring(front_end)
        self.assertEqual(front_end.request(0), 0)
        wait_until(lambda: fe.USED in take_marks(fd), 'the used ring is not marked')
        self.log_ring(front_end, fe.GUEST + 0x80000)
        self.assertEqual(front_end.request(0), 0)
        wait_until(lambda: 0x80000 in take_marks(fd), 'the used ring is not marked there')
        self.log_ring(front_end, None)
        take_marks(fd)  # of the index, which was seen before it was marked
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(take_marks(fd), data)
        self.log_all(front_end, False)
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(take_marks(fd), set())
        front_end.close()
        self.assertEqual(self.server.heard(), [])

    def test_a_log_is_answered_for_whether_that_is_asked_or_not(self):
        for protocol in (fe.PROTOCOL_FEATURES, fe.PROTOCOL_FEATURES & ~fe.REPLY_ACK):
            front_end = self.connect()
            front_end.negotiate(protocol=protocol)
            fd = front_end.keep(log_file())
            for flags in (fe.VERSION, fe.VERSION | fe.NEED_REPLY):
                front_end.send(fe.SET_LOG_BASE, log_at(), [fd], flags)
                self.assertEqual(front_end.reply(), (fe.SET_LOG_BASE, u64(0)))
            self.assertEqual(front_end.get(fe.GET_QUEUE_NUM), fe.QUEUES)
            front_end.close()

    def test_a_log_somewhere_in_its_file_is_marked_there(self):
        front_end = self.started()
        fd = front_end.keep(log_file(LOG_BYTES + 20000))
        self.log_all(front_end)
        for offset in (0, 1, 4096, 4097, 12345, 20000):
            self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(offset=offset), [fd]), 0)
            self.assertEqual(front_end.request(0), 0)
            self.assertEqual(take_marks(fd, offset), {fe.DATA, fe.STATUS_BYTE})
            self.assertFalse(any(os.pread(fd, LOG_BYTES + 20000, 0)))
        front_end.close()

    def test_logs_that_cannot_be_are_refused_and_the_old_one_stays(self):
        top = 1 << 64
        fd, reading = log_file(), os.pipe()
        read_only = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
        front_end = self.started()
        good = front_end.keep(log_file())
        self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [good]), 0)
        self.log_all(front_end)
        bad = [(log_at(size=0), fd), (log_at(size=top - 1), fd), (log_at(offset=top - 1), fd),
               (log_at(size=1 << 62), fd), (log_at(size=1 << 63, offset=1 << 63), fd),
               (log_at(size=LOG_BYTES + 1), fd), (log_at(offset=1), fd),
               (log_at(), reading[0]), (log_at(), read_only)]
        for payload, descriptor in bad:
            self.assertEqual(front_end.ask(fe.SET_LOG_BASE, payload, [descriptor]), 1)
            self.assertEqual(front_end.request(0), 0)
            self.assertEqual(take_marks(good), {fe.DATA, fe.STATUS_BYTE})
        front_end.close()
        wait_until(self.is_alone, 'it does not leave')
        lines = self.server.heard()
        self.assertEqual(len(lines), len(bad), lines)
        # To who goes on after a refusal it could not hear, marks would be missing.
        front_end = self.negotiated()
        front_end.send(fe.SET_LOG_BASE, log_at(size=0), [fd])
        self.assert_dropped(front_end, 'SET_LOG_BASE refused', 'dropped after SET_LOG_BASE')
        for one in (fd, read_only, *reading):
            os.close(one)

    def test_a_log_without_its_protocol_feature_is_refused(self):
        front_end = self.connect()
        front_end.negotiate(protocol=fe.PROTOCOL_FEATURES & ~fe.LOG_SHMFD)
        fd = front_end.keep(log_file())
        self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [fd]), 1)
        self.assertEqual(front_end.ask(fe.SET_LOG_FD, b'', [fd]), 1)
        front_end.close()

    def test_a_log_that_is_too_short_is_said_and_misses_no_request(self):
        front_end = self.started()
        fd = front_end.keep(log_file(8192))
        self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(64), [fd]), 0)
        self.log_all(front_end)
        self.log_ring(front_end, (1 << 64) - 8)
        for _ in range(100):
            self.assertEqual(front_end.request(0), 0)
        self.assertFalse(any(os.pread(fd, 8192, 64)))
        self.log_all(front_end, False)
        self.log_all(front_end)
        front_end.close()
        wait_until(self.is_alone, 'it does not leave')
        lines = self.server.heard()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn('shorter than the memory', lines[0])
        self.assertIn('does not reach to all that was written', lines[1])

    def test_a_log_that_shrinks_costs_the_connection(self):
        for _ in range(3):
            front_end = self.started()
            fd = front_end.keep(log_file())
            self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [fd]), 0)
            self.log_all(front_end)
            self.assertEqual(front_end.request(0), 0)
            os.ftruncate(fd, 0)
            self.assertEqual(front_end.request(0), 0)
            self.assert_dropped(front_end, 'its memory became shorter')

    def test_logs_that_change_under_load_have_every_mark_in_the_last_one(self):
        front_end = self.started()
        logs = [front_end.keep(log_file()) for _ in range(2)]
        self.log_all(front_end)
        for turn in range(SWITCHES):
            last, other = logs[turn % 2], logs[1 - turn % 2]
            self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [last]), 0)
            if turn % 3 == 0:
                self.log_ring(front_end, fe.GUEST + fe.USED if turn % 2 else None)
            if turn % 5 == 0:
                self.log_all(front_end, False)
                self.log_all(front_end)
            if turn % 50 == 0:
                take_marks(other)
                self.assertEqual(front_end.request(0), 0)
                self.assertLessEqual({fe.DATA, fe.STATUS_BYTE}, take_marks(last))
                self.assertEqual(take_marks(other), set())
        front_end.close()
        self.assertEqual(self.server.heard(), [])

    def test_a_log_changes_while_requests_are_never_at_rest(self):
        front_end = self.started()
        logs = [front_end.keep(log_file()) for _ in range(2)]
        must_stop = threading.Event()
        statuses = set()

        def load():
            while not must_stop.is_set():
                statuses.add(front_end.request(0))
        thread = threading.Thread(target=load)
        thread.start()
        try:
            for turn in range(SWITCHES // 3):
                self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [logs[turn % 2]]), 0)
                self.log_all(front_end, turn % 4 > 0)
                self.log_ring(front_end, fe.GUEST + fe.USED if turn % 3 else None)
        finally:
            must_stop.set()
            thread.join()
        self.assertEqual(statuses, {0})
        front_end.close()
        self.assertEqual(self.server.heard(), [])

    def test_the_next_front_end_is_not_logged(self):
        front_end = self.started()
        fd = log_file()
        self.assertEqual(front_end.ask(fe.SET_LOG_BASE, log_at(), [fd]), 0)
        self.log_all(front_end)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()
        wait_until(self.is_alone, 'it does not leave')
        take_marks(fd)
        self.assertTrue(fe.is_served(self.server))
        self.assertEqual(take_marks(fd), set())
        os.close(fd)


SAVE, LOAD = 0, 1
GOOD, REFUSED = fe.NO_FD, fe.NO_FD | 1
STATE_MAX = 1 << 20
F_FLUSH, F_CONFIG_WCE = 1 << 9, 1 << 11
CACHE_FEATURES = FEATURES | F_FLUSH | F_CONFIG_WCE
WRITEBACK = 32  # where it is in the configuration


class DeviceState(Case):
    def cached(self, features=CACHE_FEATURES):
        front_end = self.connect()
        front_end.negotiate(features=features)
        return front_end

    def begin(self, front_end, direction, fd, phase=0):
        front_end.send(fe.SET_DEVICE_STATE_FD, state(direction, phase), [fd])
        request, payload = front_end.reply()
        self.assertEqual(request, fe.SET_DEVICE_STATE_FD)
        return struct.unpack('<Q', payload)[0]

    def save(self, front_end):
        reading, writing = os.pipe()
        self.assertEqual(self.begin(front_end, SAVE, writing), GOOD)
        os.close(writing)
        with open(reading, 'rb') as pipe:
            data = pipe.read()
        self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 0)
        return data

    def load(self, front_end, data):
        """0 is yes."""
        reading, writing = os.pipe()
        self.assertEqual(self.begin(front_end, LOAD, reading), GOOD)
        os.close(reading)
        try:
            with open(writing, 'wb') as pipe:
                pipe.write(data)
        except BrokenPipeError:
            pass
        return front_end.get(fe.CHECK_DEVICE_STATE)

    def is_write_back(self, front_end):
        front_end.send(fe.GET_CONFIG, struct.pack('<III', WRITEBACK, 1, 0) + bytes(1))
        return front_end.reply()[1][-1]

    def set_write_back(self, front_end, value):
        self.assertEqual(front_end.ask(fe.SET_CONFIG,
                                       struct.pack('<IIIB', WRITEBACK, 1, 0, value)), 0)

    def test_what_the_device_alone_knows_goes_along(self):
        for are_features_set in (True, False):
            source = self.cached()
            self.assertEqual(self.is_write_back(source), 1)
            self.set_write_back(source, 0)
            data = self.save(source)
            self.assertEqual(self.save(source), data, 'a state can be saved again')
            source.close()
            target = self.connect()
            target.send(fe.SET_PROTOCOL_FEATURES, u64(fe.PROTOCOL_FEATURES))
            if are_features_set:
                target.send(fe.SET_FEATURES, u64(CACHE_FEATURES))
            self.assertEqual(self.is_write_back(target), 1)
            self.assertEqual(self.load(target, data), 0)
            self.assertEqual(self.is_write_back(target), 0)
            target.send(fe.SET_FEATURES, u64(CACHE_FEATURES))
            self.assertEqual(target.map_memory(), 0)
            self.assertEqual(target.start(), 0)
            self.assertEqual(target.request(0), 0)
            target.close()
        self.assertEqual(self.server.heard(), [])

    def test_a_state_goes_through_a_socket_too(self):
        front_end = self.cached()
        ours, theirs = socket.socketpair()
        self.assertEqual(self.begin(front_end, SAVE, theirs.fileno()), GOOD)
        theirs.close()
        data = ours.makefile('rb').read()
        self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 0)
        self.assertEqual(data, self.save(front_end))
        front_end.close()
        ours.close()

    def test_a_state_that_is_cut_altered_or_foreign_is_refused(self):
        front_end = self.cached()
        self.set_write_back(front_end, 0)
        data = self.save(front_end)
        bad = [data[:cut] for cut in range(len(data))]
        for at in range(len(data)):
            bad.append(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
        bad += [data + b'x', data * 2, os.urandom(100000)]
        for one in bad:
            self.assertEqual(self.load(front_end, one), 1)
        self.assertEqual(self.load(front_end, data), 0)
        self.assertEqual(self.is_write_back(front_end), 0)
        front_end.close()
        wait_until(self.is_alone, 'it does not leave')
        other = self.cached(FEATURES | F_FLUSH)
        self.assertEqual(self.load(other, data), 1, 'the features are not those of the state')
        other.close()

    def test_a_state_that_never_ends_is_cut_off(self):
        front_end = self.cached()
        self.assertEqual(self.load(front_end, bytes(STATE_MAX - 1)), 1)
        self.assertEqual(self.load(front_end, bytes(4 * STATE_MAX)), 1)
        front_end.close()

    def test_a_state_that_nobody_reads_or_ends_holds_nobody_up(self):
        reading, writing = fe.full_pipe()
        empty = os.pipe()
        for direction, fd in ((SAVE, writing), (LOAD, empty[0])):
            front_end = self.cached()
            self.assertEqual(self.begin(front_end, direction, fd), GOOD)
            self.assertEqual(self.server.qmp('query-status')['status'], 'running')
            self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 1)
            self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 1)
            self.assertEqual(self.begin(front_end, direction, fd), GOOD)
            self.assertEqual(self.begin(front_end, direction, fd), GOOD)
            self.assertEqual(front_end.map_memory(), 0)
            self.assertEqual(front_end.start(), 0)
            self.assertEqual(front_end.request(0), 0)
            front_end.close()
        for one in (reading, writing, *empty):
            os.close(one)

    def test_a_reader_that_leaves_is_a_failure_and_no_signal(self):
        front_end = self.cached()
        reading, writing = os.pipe()
        os.close(reading)
        self.assertEqual(self.begin(front_end, SAVE, writing), GOOD)
        wait_until(lambda: front_end.get(fe.CHECK_DEVICE_STATE) == 1, 'no failure')
        ours, theirs = socket.socketpair()
        ours.close()
        self.assertEqual(self.begin(front_end, SAVE, theirs.fileno()), GOOD)
        wait_until(lambda: front_end.get(fe.CHECK_DEVICE_STATE) == 1, 'no failure')
        for _ in range(3):
            front_end.get(fe.GET_STATUS)
        os.close(writing)
        theirs.close()
        front_end.close()

    def test_descriptors_and_directions_that_cannot_be_are_refused(self):
        front_end = self.cached()
        reading, writing = os.pipe()
        files = [os.open('/', os.O_RDONLY | os.O_DIRECTORY), os.open('/dev/zero', os.O_RDWR),
                 fe.memory_file(), os.eventfd(0)]
        for fd in files:
            for direction in (SAVE, LOAD):
                self.assertEqual(self.begin(front_end, direction, fd), REFUSED)
            os.close(fd)
        for direction, phase in ((2, 0), (0, 1), (0xffffffff, 0), (1, 0xffffffff)):
            self.assertEqual(self.begin(front_end, direction, writing, phase), REFUSED)
        # The wrong end of a pipe can be neither read nor written.
        self.assertEqual(self.begin(front_end, LOAD, writing), GOOD)
        self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 1)
        self.assertEqual(self.begin(front_end, SAVE, reading), GOOD)
        self.assertEqual(front_end.get(fe.CHECK_DEVICE_STATE), 1)
        os.close(reading)
        os.close(writing)
        front_end.close()

    def test_a_device_that_runs_has_no_state(self):
        front_end = self.connect().set_up()
        for direction, fd in enumerate(reversed(os.pipe())):
            self.assertEqual(self.begin(front_end, direction, fd), REFUSED)
            os.close(fd)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()

    def test_a_device_that_starts_while_its_state_comes_keeps_its_own(self):
        source = self.cached()
        data = self.save(source)
        reading, writing = os.pipe()
        self.assertEqual(self.begin(source, LOAD, reading), GOOD)
        os.write(writing, data)
        os.close(writing)
        os.close(reading)
        self.assertEqual(source.map_memory(), 0)
        self.assertEqual(source.start(), 0)
        self.assertEqual(source.get(fe.CHECK_DEVICE_STATE), 1)
        self.assertEqual(source.request(0), 0)
        source.close()


class PackedRing:
    """The driver of a packed ring: one request at a time, of two descriptors or three."""

    AVAIL, USED = 1 << 7, 1 << 15

    def __init__(self, front_end):
        self.front_end, self.at, self.wrap = front_end, 0, True

    def flags_of(self, slot):
        return struct.unpack_from('<H', self.front_end.memory, fe.DESC + 16 * slot + 14)[0]

    def take_slots(self, count):
        slots = []
        for _ in range(count):
            slots.append((self.at, self.AVAIL if self.wrap else self.USED))
            self.at += 1
            if self.at == fe.SIZE:
                self.at, self.wrap = 0, not self.wrap
        return slots

    def request(self, descriptors):
        """A flush, or a read. Its status, when it has come back."""
        kind = 4 if descriptors == 2 else 0
        buffers = [(fe.HEADER, 16, 1), (fe.DATA, 512, 1 | 2), (fe.STATUS_BYTE, 1, 2)]
        if descriptors == 2:
            del buffers[1]
        wrap = self.wrap
        slots = self.take_slots(descriptors)
        self.front_end.put(fe.HEADER, '<IIQ', kind, 0, 0)
        self.front_end.put(fe.STATUS_BYTE, '<B', 0xee)
        for (slot, mark), (offset, size, flags) in reversed(list(zip(slots, buffers))):
            self.front_end.put(fe.DESC + 16 * slot, '<QIHH', fe.GUEST + offset, size, 7,
                               flags | mark)
        os.eventfd_write(self.front_end.kick_fd, 1)
        both = self.AVAIL | self.USED
        wait_until(lambda: self.flags_of(slots[0][0]) & both == (both if wrap else 0),
                   'a request does not come back')
        return self.front_end.memory[fe.STATUS_BYTE]


class Bases(Case):
    def test_a_packed_ring_goes_on_at_base_0_though_it_looks_fresh_at_its_beginning(self):
        features = fe.F_PROTOCOL | fe.F_VERSION_1 | fe.F_PACKED
        before = self.connect()
        before.negotiate(features)
        self.assertEqual(before.map_memory(), 0)
        self.assertEqual(before.start(), 0)
        ring = PackedRing(before)
        # One lap; one that a request goes beyond; and one that it has begun, to its very end.
        for descriptors in [2] * 8 + [3] + [2] * 7 + [2] * 6 + [3]:
            self.assertEqual(ring.request(descriptors), 0)
        self.assertEqual((ring.at, ring.wrap), (0, False))
        self.assertEqual(ring.flags_of(0) & ring.USED, 0)
        before.send(fe.GET_VRING_BASE, state(0, 0))
        self.assertEqual(before.reply(), (fe.GET_VRING_BASE, state(0, 0)))
        memory_fd = os.dup(before.memory_fd)
        before.close()
        after = self.connect()
        after.negotiate(features)
        self.assertEqual(after.map_memory(memory_fd), 0)
        self.assertEqual(after.start(), 0)
        ring.front_end = after
        self.assertEqual(ring.request(3), 0)
        after.close()

    def test_a_ring_says_where_it_stood_after_a_reset_too(self):
        for reset in ((fe.SET_STATUS, u64(0)), (fe.RESET_DEVICE,)):
            front_end = self.connect().set_up()
            for _ in range(5):
                self.assertEqual(front_end.request(0), 0)
            self.assertEqual(front_end.ask(*reset), 0)
            front_end.send(fe.GET_VRING_BASE, state(0, 0))
            self.assertEqual(front_end.reply(), (fe.GET_VRING_BASE, state(0, 5)))
            front_end.close()

    def test_a_ring_that_nobody_asks_for_begins_where_it_was_set(self):
        front_end = self.connect().set_up()
        for _ in range(5):
            self.assertEqual(front_end.request(0), 0)
        self.assertEqual(front_end.ask(fe.RESET_DEVICE), 0)
        front_end.memory[:0x3000] = bytes(0x3000)
        front_end.index = 0
        self.assertEqual(front_end.ask(fe.SET_FEATURES, u64(FEATURES)), 0)
        self.assertEqual(front_end.ask(fe.SET_VRING_KICK, u64(0), [front_end.kick_fd]), 0)
        self.assertEqual(front_end.ask(fe.SET_VRING_ENABLE, state(0, 1)), 0)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()


if __name__ == '__main__':
    unittest.main()
