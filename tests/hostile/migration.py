# SPDX-License-Identifier: BSD-2-Clause
"""Front-ends that move a guest, well or with bad intent: what is marked in the dirty log, and logs
that cannot be; a device's state, whole, cut, altered, and never read."""

import os
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


class Bases(Case):
    def test_a_ring_says_where_it_stood_after_a_reset_too(self):
        for reset in ((fe.SET_STATUS, u64(0)), (fe.RESET_DEVICE,)):
            front_end = self.connect().set_up()
            for _ in range(5):
                self.assertEqual(front_end.request(0), 0)
            self.assertEqual(front_end.ask(*reset), 0)
            front_end.send(fe.GET_VRING_BASE, state(0, 0))
            self.assertEqual(front_end.reply(), (fe.GET_VRING_BASE, state(0, 5)))
            front_end.close()


if __name__ == '__main__':
    unittest.main()
