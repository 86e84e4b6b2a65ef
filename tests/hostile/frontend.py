# SPDX-License-Identifier: BSD-2-Clause
"""Front-ends that mean harm, or are broken: they lose their connection with one clear line, and
nothing else happens. The next one is served, no descriptor and no memory stays behind."""

import errno
import fcntl
import mmap
import os
import random
import resource
import socket
import struct
import tempfile
import threading
import time
import unittest

import front_end as fe
from front_end import FrontEnd, Server, is_served, message, region, state, table, u64, wait_until

SEED = int(os.environ.get('PV_SEED', '0'), 0) or random.SystemRandom().getrandbits(32)
CONNECTIONS = 10000
CONNECTORS = 4
GROWTH_KIB_MAX = 4096

SEGMENT = 4096


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.fds = cls.server.fds()

    @classmethod
    def tearDownClass(cls):
        code = cls.server.end()
        log = cls.server.log()
        cls.server.folder.cleanup()
        if code != 0 or 'Sanitizer' in log or 'runtime error' in log:
            raise AssertionError(f'the server ended with {code}:\n{log[-4000:]}')

    def setUp(self):
        self.assertTrue(is_served(self.server))
        wait_until(self.is_alone, 'the server does not let go')
        self.server.heard()

    def tearDown(self):
        self.assertTrue(self.server.is_alive(), self.server.log()[-4000:])
        self.assertTrue(is_served(self.server))
        if self.fds is not None:
            wait_until(lambda: self.server.fds() == self.fds,
                       f'there are more descriptors than {self.fds}')

    def is_alone(self):
        """Whoever connected last has left."""
        said = self.server.log().rpartition('has connected')[2]
        return 'has left' in said or 'is dropped' in said

    def assert_dropped(self, front_end, *sentences):
        """It was dropped, with one line for each sentence and no other."""
        self.assertTrue(front_end.is_dropped())
        front_end.close()
        wait_until(self.is_alone, 'nothing is said')
        lines = self.server.heard()
        self.assertEqual(len(lines), len(sentences), lines)
        for line, sentence in zip(lines, sentences):
            self.assertRegex(line, sentence)

    def connect(self):
        front_end = FrontEnd(self.server)
        self.addCleanup(front_end.close)
        return front_end

    def negotiated(self):
        front_end = self.connect()
        front_end.negotiate()
        return front_end


class Messages(Case):
    def test_a_message_that_is_none_ends_the_connection(self):
        fd = self.enterContext(tempfile.TemporaryFile()).fileno()
        memory = fe.memory_file()
        self.addCleanup(os.close, memory)
        bad = [
            (message(0), (), 'unknown request 0'),
            (message(99), (), 'unknown request 99'),
            (message(0xffffffff), (), 'unknown request 4294967295'),
            (message(fe.GET_FEATURES, flags=0), (), 'protocol version 0'),
            (message(fe.GET_FEATURES, flags=2), (), 'protocol version 2'),
            (message(fe.GET_FEATURES, flags=fe.VERSION | fe.REPLY), (), 'marked as a reply'),
            (message(fe.GET_FEATURES, b'x'), (), 'GET_FEATURES'),
            (message(fe.SET_FEATURES, size=0), (), 'SET_FEATURES'),
            (message(fe.SET_FEATURES, b'1234'), (), 'SET_FEATURES'),
            (message(fe.SET_FEATURES, bytes(16)), (), 'SET_FEATURES'),
            (message(fe.SET_FEATURES, size=0xffffffff), (), 'SET_FEATURES'),
            (message(fe.SET_MEM_TABLE, size=1 << 31), (), 'SET_MEM_TABLE'),
            (message(fe.SET_MEM_TABLE, table(*[region()] * 9)), (), 'SET_MEM_TABLE'),
            (message(fe.SET_MEM_TABLE, struct.pack('<II', 9, 0) + bytes(256)), (), '9 regions'),
            (message(fe.SET_MEM_TABLE, struct.pack('<II', 0xffffffff, 0)), (), 'regions'),
            (message(fe.SET_MEM_TABLE, struct.pack('<II', 2, 0) + region()), (), '2 regions'),
            (message(fe.SET_MEM_TABLE, table(region())), (), '0 descriptors, 1 expected'),
            (message(fe.SET_MEM_TABLE, table(region())), (memory, memory), '2 descriptors'),
            (message(fe.SET_MEM_TABLE, table(region())), (memory,) * 9, 'more than 8'),
            (message(fe.GET_FEATURES), (fd,), '1 descriptor, 0 expected'),
            (message(fe.GET_FEATURES), (fd,) * 8, '8 descriptors, 0 expected'),
            (message(fe.GET_FEATURES), (fd,) * 200, 'more than 8'),
            (message(fe.SET_VRING_KICK, u64(0)), (), '0 descriptors, 1 expected'),
            (message(fe.SET_VRING_KICK, u64(fe.NO_FD)), (fd,), '1 descriptor, 0 expected'),
            (message(fe.SET_VRING_CALL, u64(0)), (fd, fd), '2 descriptors'),
            (message(fe.SET_VRING_CALL, u64(1 << 40)), (fd,), 'unknown bits'),
            (message(fe.ADD_MEM_REG, bytes(8) + region()), (), '0 descriptors'),
            (message(fe.SET_BACKEND_REQ_FD), (), '0 descriptors'),
            (message(fe.GET_CONFIG, struct.pack('<III', 0, 0, 0) + b'x'), (), 'GET_CONFIG'),
            (message(fe.GET_CONFIG, struct.pack('<III', 0, 257, 0) + bytes(257)), (), 'GET_CONFIG'),
            (message(fe.GET_CONFIG, struct.pack('<III', 0, 8, 0) + bytes(60)), (), 'GET_CONFIG'),
        ]
        for data, fds, sentence in bad:
            with self.subTest(sentence=sentence):
                front_end = self.connect()
                front_end.raw(data, fds)
                self.assert_dropped(front_end, 'the front-end is dropped: .*' + sentence)

    def test_garbage_ends_the_connection(self):
        noise = random.Random(SEED)
        for _ in range(100):
            with FrontEnd(self.server) as front_end:
                data = bytearray(noise.randbytes(noise.randrange(12, 3000)))
                if noise.random() < 0.7:  # as far as the header it may be good
                    data[:12] = struct.pack('<III', noise.randrange(1, 41), 1 | noise.choice((0, 8)),
                                            noise.choice((0, 8, 40, noise.randrange(300))))
                front_end.raw(bytes(data), [0] if noise.random() < 0.3 else ())
                front_end.socket.shutdown(socket.SHUT_WR)
                self.assertTrue(front_end.is_dropped())
        self.assertTrue(self.server.is_alive())

    def test_half_a_message_and_the_end_is_no_more_than_an_end(self):
        fd = fe.memory_file()
        self.addCleanup(os.close, fd)
        whole = message(fe.SET_MEM_TABLE, table(region()))
        for cut in (1, 4, 11, 12, 13, len(whole) - 1):
            for fds in ((), (fd,), (fd,) * 8):
                with FrontEnd(self.server) as front_end:
                    front_end.raw(whole[:cut], fds)

    def test_descriptors_spread_over_a_message_are_counted_together(self):
        fd = fe.memory_file()
        self.addCleanup(os.close, fd)
        front_end = self.connect()
        whole = message(fe.SET_MEM_TABLE, table(region()))
        for i, byte in enumerate(whole):
            front_end.raw(bytes([byte]), (fd,) if i < 20 else ())
        self.assert_dropped(front_end, 'more than 8 descriptors')

    def test_messages_in_any_order_are_survived(self):
        noise = random.Random(SEED + 1)
        simple = [fe.GET_FEATURES, fe.SET_OWNER, fe.GET_PROTOCOL_FEATURES, fe.GET_QUEUE_NUM,
                  fe.RESET_DEVICE, fe.GET_MAX_MEM_SLOTS, fe.GET_STATUS]
        states = [fe.SET_VRING_NUM, fe.SET_VRING_BASE, fe.GET_VRING_BASE, fe.SET_VRING_ENABLE,
                  fe.VRING_KICK]
        fd, event = fe.memory_file(), os.eventfd(0)
        self.addCleanup(os.close, fd)
        self.addCleanup(os.close, event)
        for _ in range(100):
            with FrontEnd(self.server) as front_end:
                front_end.send(fe.SET_PROTOCOL_FEATURES, u64(fe.PROTOCOL_FEATURES))
                for _ in range(30):
                    queue = noise.randrange(fe.QUEUES + 1)
                    some = noise.choice([
                        (noise.choice(simple), b'', ()),
                        (noise.choice(states), state(queue, noise.choice((0, 1, 16, 70000))), ()),
                        (fe.SET_VRING_ADDR, fe.addresses(queue), ()),
                        (fe.SET_MEM_TABLE, table(region()), (fd,)),
                        (fe.ADD_MEM_REG, bytes(8) + region(), (fd,)),
                        (fe.REM_MEM_REG, bytes(8) + region(), ()),
                        (fe.SET_VRING_KICK, u64(queue), (event,)),
                        (fe.SET_VRING_KICK, u64(queue | fe.NO_FD), ()),
                        (fe.SET_VRING_CALL, u64(queue), (event,)),
                        (fe.SET_VRING_ERR, u64(queue), (event,)),
                        (fe.SET_STATUS, u64(noise.choice((0, 1, 15, 255, 1 << 40))), ()),
                        (fe.SET_FEATURES, u64(noise.getrandbits(41)), ()),
                        (fe.SET_FEATURES, u64(fe.F_PROTOCOL | fe.F_VERSION_1), ()),
                    ])
                    front_end.send(*some, fe.VERSION | fe.NEED_REPLY)
                front_end.socket.shutdown(socket.SHUT_WR)
                self.assertTrue(front_end.is_dropped())

    def test_refusals_do_not_fill_the_log(self):
        front_end = self.negotiated()
        for _ in range(2000):
            self.assertEqual(front_end.ask(fe.SET_VRING_NUM, state(0, 0)), 1)
        front_end.close()
        self.assertLess(len(self.server.heard()), 50)


class Queues(Case):
    def test_a_queue_that_does_not_exist_is_refused(self):
        event = os.eventfd(0)
        self.addCleanup(os.close, event)
        for index in (fe.QUEUES, 255, 1 << 16, 0x80000000, 0xffffffff):
            calls = [(request, state(index, 1), ())
                     for request in (fe.SET_VRING_NUM, fe.SET_VRING_BASE, fe.GET_VRING_BASE,
                                     fe.SET_VRING_ENABLE, fe.VRING_KICK)]
            calls.append((fe.SET_VRING_ADDR, fe.addresses(index), ()))
            if index < 256:
                calls += [(request, u64(index), (event,))
                          for request in (fe.SET_VRING_KICK, fe.SET_VRING_CALL, fe.SET_VRING_ERR)]
            front_end = self.negotiated()
            for call in calls:
                self.assertEqual(front_end.ask(*call), 1)
            self.assertEqual(front_end.get(fe.GET_QUEUE_NUM), fe.QUEUES)
            front_end.close()
            wait_until(self.is_alone, 'it does not leave')
            lines = self.server.heard()
            self.assertTrue(all('there is no such queue' in line for line in lines), lines)
            # Where the refusal cannot be said, going on would hide it.
            front_end = self.negotiated()
            front_end.send(*calls[0])
            self.assert_dropped(front_end, 'no such queue', 'dropped after SET_VRING_NUM')

    def test_rings_that_are_not_in_memory_do_not_start(self):
        for more, sentence in (
                ({'desc': fe.USER + fe.MEMORY_BYTES}, 'not in memory'),
                ({'avail': 0}, 'not in memory'),
                ({'used': (1 << 64) - 4}, 'not in memory'),
                ({'desc': fe.USER + fe.MEMORY_BYTES - 16}, 'not in memory'),
                ({'used': fe.USER + fe.MEMORY_BYTES - 4}, 'not in memory'),
                ({'desc': fe.USER + 8}, 'not aligned'),
                ({'avail': fe.USER + fe.AVAIL + 1}, 'not aligned'),
                ({'used': fe.USER + fe.USED + 2}, 'not aligned')):
            with self.subTest(more=more):
                front_end = self.negotiated()
                front_end.map_memory()
                front_end.ask(fe.SET_VRING_NUM, state(0, fe.SIZE))
                self.assertEqual(front_end.ask(fe.SET_VRING_ADDR, fe.addresses(**more)), 0)
                front_end.ask(fe.SET_VRING_KICK, u64(fe.NO_FD))
                self.assertEqual(front_end.ask(fe.SET_VRING_ENABLE, state(0, 1)), 1)
                front_end.close()
                wait_until(self.is_alone, 'it does not leave')
                lines = self.server.heard()
                self.assertEqual(len(lines), 1)
                self.assertRegex(lines[0], 'queue 0 does not start: .*' + sentence)

    def test_a_packed_ring_at_an_odd_place_of_its_file_does_not_start(self):
        front_end = self.connect()
        front_end.negotiate(fe.F_PROTOCOL | fe.F_VERSION_1 | fe.F_PACKED)
        fd = front_end.keep(fe.memory_file())
        self.assertEqual(front_end.ask(fe.SET_MEM_TABLE, table(region(offset=1, size=0x10000)),
                                       [fd]), 0)
        self.assertEqual(front_end.start(kick=False), 1)
        front_end.close()

    def test_sizes_and_bases_that_cannot_be_do_not_start(self):
        for features in (0, fe.F_PACKED):
            for size, base in ((0, 0), (257, 0), (3, 0), (0xffffffff, 0), (16, 16), (16, 0x7fff),
                               (16, 0xffffffff), (16, 16 << 16)):
                front_end = self.connect()
                front_end.negotiate(fe.F_PROTOCOL | fe.F_VERSION_1 | features)
                front_end.map_memory()
                front_end.ask(fe.SET_VRING_NUM, state(0, size))
                front_end.ask(fe.SET_VRING_BASE, state(0, base))
                front_end.ask(fe.SET_VRING_ADDR, fe.addresses())
                front_end.ask(fe.SET_VRING_KICK, u64(fe.NO_FD))
                front_end.ask(fe.SET_VRING_ENABLE, state(0, 1))
                self.assertEqual(front_end.get(fe.GET_QUEUE_NUM), fe.QUEUES)
                front_end.close()

    def test_a_ring_without_memory_waits_for_it(self):
        front_end = self.negotiated()
        self.assertEqual(front_end.start(), 0)
        self.assertEqual(front_end.get(fe.GET_STATUS), 0)
        front_end.close()

    def test_a_broken_ring_is_told_and_mended_by_a_reset(self):
        front_end = self.connect().set_up()
        front_end.put(fe.AVAIL + 2, '<H', 1000)
        os.eventfd_write(front_end.kick_fd, 1)
        wait_until(lambda: front_end.get(fe.GET_STATUS) & fe.NEEDS_RESET, 'no NEEDS_RESET')
        lines = self.server.heard()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn('the available index runs ahead', lines[0])
        self.assertEqual(front_end.ask(fe.RESET_DEVICE), 0)
        self.assertEqual(front_end.get(fe.GET_STATUS), 0)
        front_end.memory[:0x3000] = bytes(0x3000)
        front_end.index = 0
        self.assertEqual(front_end.ask(fe.SET_FEATURES, u64(fe.F_PROTOCOL | fe.F_VERSION_1)), 0)
        self.assertEqual(front_end.start(), 0)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()


class Descriptors(Case):
    def strange(self):
        """Descriptors that are no eventfd."""
        reading, writing = os.pipe()
        one, other = socket.socketpair()
        other.close()
        files = [os.open('/', os.O_RDONLY | os.O_DIRECTORY), os.open('/dev/zero', os.O_RDWR),
                 fe.memory_file(), reading, writing]
        for fd in files:
            self.addCleanup(os.close, fd)
        self.addCleanup(one.close)
        return files, one.fileno()

    def test_a_kick_that_is_no_eventfd_is_refused(self):
        files, closed_socket = self.strange()
        front_end = self.negotiated()
        for fd in (*files, closed_socket):
            self.assertEqual(front_end.ask(fe.SET_VRING_KICK, u64(0), [fd]), 1)
        front_end.close()

    def test_a_call_that_could_block_is_refused(self):
        files, closed_socket = self.strange()
        front_end = self.negotiated()
        for fd in files:
            self.assertEqual(front_end.ask(fe.SET_VRING_CALL, u64(0), [fd]), 1)
        self.assertEqual(front_end.ask(fe.SET_VRING_CALL, u64(0), [closed_socket]), 0)
        front_end.close()

    def test_a_call_that_is_full_or_dead_holds_nobody_up(self):
        full = os.eventfd(0)
        os.eventfd_write(full, (1 << 64) - 2)
        one, other = socket.socketpair()
        one.setblocking(False)
        try:
            while True:
                one.send(bytes(4096))
        except BlockingIOError:
            pass
        dead, gone = socket.socketpair()
        gone.close()
        for call in (full, one.fileno(), dead.fileno()):
            front_end = self.connect().set_up(call=call)
            for _ in range(5):
                self.assertEqual(front_end.request(0), 0)
            front_end.close()
        os.close(full)
        for end in (one, other, dead):
            end.close()

    def test_an_error_descriptor_that_is_full_holds_nobody_up(self):
        reading, writing = fe.full_pipe()
        full = os.eventfd(0)
        os.eventfd_write(full, (1 << 64) - 2)
        for fd in (writing, full):
            front_end = self.connect().set_up()
            front_end.ask(fe.SET_VRING_ERR, u64(0), [fd])
            front_end.put(fe.AVAIL + 2, '<H', 1000)
            os.eventfd_write(front_end.kick_fd, 1)
            wait_until(lambda: 'runs ahead' in ''.join(self.server.heard()), 'nothing is said')
            self.assertEqual(self.server.qmp('query-status')['status'], 'running')
            front_end.close()
        for fd in (reading, writing, full):
            os.close(fd)


class Memory(Case):
    def refused(self, regions, fds, sentence):
        front_end = self.negotiated()
        self.assertEqual(front_end.ask(fe.SET_MEM_TABLE, table(*regions), fds), 1)
        front_end.close()
        wait_until(self.is_alone, 'it does not leave')
        lines = self.server.heard()
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], 'SET_MEM_TABLE refused: .*' + sentence)

    def test_regions_that_cannot_be_are_refused(self):
        fd = fe.memory_file()
        reading, writing = os.pipe()
        folder = os.open('/', os.O_RDONLY | os.O_DIRECTORY)
        read_only = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
        top = 1 << 64
        self.refused([region(), region()], [fd, fd], 'overlap')
        self.refused([region(), region(guest=fe.GUEST + fe.MEMORY_BYTES - 1)], [fd, fd], 'overlap')
        self.refused([region(size=0)], [fd], 'empty')
        self.refused([region(guest=top - 4096)], [fd], 'wraps')
        self.refused([region(user=top - 4096)], [fd], 'wraps')
        self.refused([region(offset=top - 4096)], [fd], 'wraps')
        self.refused([region(size=top - 1)], [fd], 'wraps')
        self.refused([region(guest=0, user=0, size=1 << 63)], [fd], 'wraps')
        self.refused([region(guest=0, user=0, size=1 << 62)], [fd], 'longer than its file')
        self.refused([region(size=fe.MEMORY_BYTES + 1)], [fd], 'longer than its file')
        self.refused([region(offset=4096)], [fd], 'longer than its file')
        self.refused([region()], [reading], 'not in a file')
        self.refused([region()], [folder], 'not in a file')
        self.refused([region()], [read_only], 'cannot be mapped')
        for one in (fd, reading, writing, folder, read_only):
            os.close(one)

    def test_regions_are_added_until_there_are_too_many(self):
        fd = fe.memory_file()
        front_end = self.negotiated()
        for i in range(fe.MEMORY_BYTES // SEGMENT * 2):
            added = front_end.ask(fe.ADD_MEM_REG, bytes(8) + region(
                guest=fe.GUEST + i * SEGMENT, user=fe.USER + i * SEGMENT, size=SEGMENT), [fd])
            if added:
                break
        self.assertEqual(i, 509)
        self.assertEqual(front_end.ask(fe.REM_MEM_REG, bytes(8) + region()), 1)
        front_end.close()
        os.close(fd)

    def test_a_region_that_is_said_twice_stays_until_it_is_removed_twice(self):
        fd = fe.memory_file()
        front_end = self.negotiated()
        same, other = bytes(8) + region(), bytes(8) + region(guest=fe.GUEST + 4096)
        for _ in range(2):
            self.assertEqual(front_end.ask(fe.ADD_MEM_REG, same, [fd]), 0)
        self.assertEqual(front_end.ask(fe.ADD_MEM_REG, other, [fd]), 1)
        self.assertEqual(front_end.ask(fe.REM_MEM_REG, same), 0)
        self.assertEqual(front_end.start(), 0)
        self.assertEqual(front_end.ask(fe.REM_MEM_REG, same), 0)
        self.assertEqual(front_end.ask(fe.REM_MEM_REG, same), 1)
        front_end.close()
        os.close(fd)

    def truncate_under_load(self, fd, kick):
        front_end = self.negotiated()
        self.assertEqual(front_end.map_memory(fd), 0)
        self.assertEqual(front_end.start(kick=kick), 0)
        self.assertEqual(front_end.request(0), 0)
        self.server.heard()
        os.ftruncate(fd, 0)
        if kick:
            os.eventfd_write(front_end.kick_fd, 1)
        self.assertTrue(front_end.is_dropped())
        front_end.close()
        wait_until(self.is_alone, 'nothing is said')
        lines = self.server.heard()
        # The ring reads as zeroes now, which may be found wrong first.
        self.assertIn('its memory became shorter', ''.join(lines))
        self.assertLessEqual(len(lines), 2, lines)

    def test_memory_that_shrinks_costs_the_connection(self):
        for kick in (False, True):
            self.truncate_under_load(fe.memory_file(), kick)
            file = tempfile.NamedTemporaryFile(dir='/dev/shm')
            file.truncate(fe.MEMORY_BYTES)
            self.truncate_under_load(os.dup(file.fileno()), kick)
            file.close()

    def test_memory_that_can_be_sealed_does_not_shrink(self):
        front_end = self.negotiated()
        fd = fe.memory_file(flags=os.MFD_ALLOW_SEALING)
        self.assertEqual(front_end.map_memory(fd), 0)
        self.assertEqual(front_end.start(), 0)
        with self.assertRaises(PermissionError) as refused:
            os.ftruncate(fd, 0)
        self.assertEqual(refused.exception.errno, errno.EPERM)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()

    def test_data_that_is_gone_fails_its_request_or_costs_the_connection(self):
        for kind in (0, 1):
            front_end = self.negotiated()
            rings, data = fe.memory_file(), fe.memory_file()
            front_end.keep(data)
            self.assertEqual(front_end.map_memory(rings), 0)
            self.assertEqual(front_end.ask(fe.ADD_MEM_REG, bytes(8) + region(
                guest=fe.GUEST * 2, user=fe.USER * 2 // 3 * 2), [data]), 0)
            self.assertEqual(front_end.start(), 0)
            os.ftruncate(data, 0)
            front_end.put(fe.HEADER, '<IIQ', kind, 0, 0)
            front_end.desc(0, fe.HEADER, 16, 1, 1)
            front_end.desc(1, fe.GUEST, 512, 1 | (2 if kind == 0 else 0), 2)
            front_end.desc(2, fe.STATUS_BYTE, 1, 2)
            front_end.offer()
            wait_until(lambda: front_end.used() == 1, 'the request does not come back')
            front_end.close()


class InFlight(Case):
    # A split queue's region: where its fields are.
    VERSION, DESC_NUM, BATCH_HEAD, USED_IDX, DESC = 8, 10, 12, 14, 16

    def test_the_region_that_is_made_is_used_and_cannot_shrink(self):
        front_end = self.negotiated()
        size, fd = front_end.get_inflight()
        self.assertEqual(front_end.map_memory(), 0)
        self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, fe.inflight(size), [fd]), 0)
        self.assertEqual(front_end.start(), 0)
        self.assertEqual(front_end.request(0), 0)
        with mmap.mmap(fd, size) as region:
            wait_until(lambda: struct.unpack_from('<HHHH', region, self.VERSION) ==
                       (1, fe.SIZE, 0, 1), 'nothing is written down')
        with self.assertRaises(PermissionError):
            os.ftruncate(fd, 0)
        front_end.close()

    def test_regions_that_cannot_be_made_are_not(self):
        front_end = self.negotiated()
        for shape, sentence in (((0, 16), 'not there'), ((fe.QUEUES + 1, 16), 'not there'),
                                ((0xffff, 16), 'not there'), ((1, 0), 'empty'),
                                ((1, 257), 'larger than'), ((2, 0xffff), 'larger than')):
            self.assertEqual(front_end.get_inflight(*shape), (0, None))
            lines = self.server.heard()
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], 'GET_INFLIGHT_FD refused: .*' + sentence)
        self.assertGreater(front_end.get_inflight(fe.QUEUES, 256)[0], 0)
        front_end.close()

    def test_regions_that_cannot_be_are_refused(self):
        fd = self.keep_file(1 << 16)
        front_end = self.negotiated()
        for shape, sentence in (
                (fe.inflight(0), 'empty'), (fe.inflight(1 << 17), 'longer than its file'),
                (fe.inflight(1 << 16, 8), 'longer than its file'),
                (fe.inflight(1 << 63), 'wraps'), (fe.inflight(16, (1 << 64) - 8), 'wraps'),
                (fe.inflight(4096, 4), 'off their alignment'),
                (fe.inflight(4096, 0, 0), 'not there'), (fe.inflight(4096, 0, 3), 'not there'),
                (fe.inflight(4096, 0, 1, 0), 'empty'), (fe.inflight(4096, 0, 1, 257), 'larger')):
            self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, shape, [fd]), 1)
            lines = self.server.heard()
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], 'SET_INFLIGHT_FD refused: .*' + sentence)
        front_end.close()

    def test_without_the_feature_and_under_running_queues_there_is_none(self):
        fd = self.keep_file(1 << 16)
        front_end = self.connect()
        front_end.negotiate(protocol=fe.PROTOCOL_FEATURES & ~fe.INFLIGHT)
        self.assertEqual(front_end.get_inflight(), (0, None))
        self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, fe.inflight(1 << 16), [fd]), 1)
        front_end.close()
        front_end = self.connect().set_up()
        self.assertEqual(front_end.get_inflight(), (0, None))
        self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, fe.inflight(1 << 16), [fd]), 1)
        self.assertEqual(front_end.request(0), 0)
        front_end.close()

    def keep_file(self, size):
        fd = fe.memory_file(size)
        self.addCleanup(os.close, fd)
        return fd

    def start_with(self, fd, size):
        front_end = self.negotiated()
        self.assertEqual(front_end.map_memory(), 0)
        self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, fe.inflight(size), [fd]), 0)
        return front_end, front_end.start()

    def test_a_region_that_makes_no_sense_does_not_start_its_queue(self):
        for spoil in ((self.VERSION, 2), (self.DESC_NUM, 17), (self.USED_IDX, 1000),
                      (self.USED_IDX, 0xffff), (self.DESC, 2), (0, 1)):
            fd = self.keep_file(4096)
            os.pwrite(fd, struct.pack('<HHHH', 1, fe.SIZE, 0xffff, 0), self.VERSION)
            os.pwrite(fd, struct.pack('<H', spoil[1]), spoil[0])
            with self.subTest(spoil=spoil):
                front_end, answer = self.start_with(fd, 4096)
                self.assertEqual(answer, 1)
                front_end.close()
                wait_until(self.is_alone, 'it does not leave')
                lines = self.server.heard()
                self.assertEqual(len(lines), 1, lines)
                self.assertRegex(lines[0], 'queue 0 does not start: its in-flight region makes no')

    def test_a_region_that_is_too_short_does_not_start_its_queue(self):
        front_end, answer = self.start_with(self.keep_file(256), 256)
        self.assertEqual(answer, 1)
        front_end.close()

    def test_a_region_that_shrinks_costs_the_connection(self):
        fd = self.keep_file(8192)
        front_end, answer = self.start_with(fd, 8192)
        self.assertEqual(answer, 0)
        self.assertEqual(front_end.request(0), 0)
        self.server.heard()
        os.ftruncate(fd, 0)
        front_end.put(fe.HEADER, '<IIQ', 0, 0, 0)
        front_end.offer()
        self.assertTrue(front_end.is_dropped())
        front_end.close()
        wait_until(self.is_alone, 'nothing is said')
        self.assertIn('its memory became shorter', ''.join(self.server.heard()))

    def test_what_was_in_flight_comes_first_and_once(self):
        """Two requests that a back-end before had: the younger has the lower descriptor."""
        fd = self.keep_file(4096)
        os.pwrite(fd, struct.pack('<HHHH', 1, fe.SIZE, 0, 0), self.VERSION)
        front_end = self.negotiated()
        self.assertEqual(front_end.map_memory(), 0)
        for head, counter in ((3, 7), (6, 5)):
            front_end.desc(head, fe.HEADER, 16, 1, head + 1)
            front_end.desc(head + 1, fe.DATA, 512, 3, head + 2)
            front_end.desc(head + 2, fe.STATUS_BYTE, 1, 2)
            os.pwrite(fd, struct.pack('<B5xHQ', 1, 0, counter), self.DESC + 16 * head)
        front_end.put(fe.HEADER, '<IIQ', 0, 0, 0)
        front_end.index = 2
        front_end.put(fe.AVAIL + 2, '<H', 2)
        self.assertEqual(front_end.ask(fe.SET_INFLIGHT_FD, fe.inflight(4096), [fd]), 0)
        self.assertEqual(front_end.start(), 0)
        wait_until(lambda: front_end.used() == 2, 'they do not come back')
        used = struct.unpack_from('<IIII', front_end.memory, fe.USED + 4)
        self.assertEqual((used[0], used[2]), (6, 3))
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(front_end.used(), 3)
        front_end.close()

    def test_a_ring_that_is_set_up_elsewhere_leaves_nothing_in_flight_behind(self):
        front_end = self.negotiated()
        size, fd = front_end.get_inflight()
        self.assertEqual(front_end.map_memory(), 0)
        self.assertEqual(front_end.start(), 0)
        for _ in range(3):
            self.assertEqual(front_end.request(0), 0)
        front_end.send(fe.GET_VRING_BASE, state(0, 0))
        self.assertEqual(front_end.reply()[1], state(0, 3))
        # Something that would be taken again if it counted.
        os.pwrite(fd, b'\1', self.DESC + 16 * 9)
        front_end.memory[:0x3000] = bytes(0x3000)
        front_end.index = 0
        self.assertEqual(front_end.start(), 0)
        self.assertEqual(front_end.request(0), 0)
        self.assertEqual(front_end.used(), 1)
        front_end.close()
        self.assertGreater(size, 0)


class Floods(Case):
    def test_replies_that_are_never_read_cost_the_connection(self):
        front_end = self.negotiated()
        front_end.socket.settimeout(0.5)
        try:
            for _ in range(10000):
                front_end.raw(message(fe.GET_CONFIG, struct.pack('<III', 0, 60, 0) + bytes(60)))
        except (socket.timeout, OSError):
            pass
        front_end.socket.settimeout(fe.PATIENCE_S)
        self.assert_dropped(front_end, 'dropped after GET_CONFIG')

    def test_a_flood_of_messages_does_not_drown_the_others(self):
        front_end = self.negotiated()
        flood = message(fe.SET_OWNER) * 2000
        must_stop = threading.Event()

        def pour():
            while not must_stop.is_set():
                front_end.raw(flood)
        threads = [threading.Thread(target=pour) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        begin = time.monotonic()
        for _ in range(5):
            self.assertEqual(self.server.qmp('query-status')['status'], 'running')
        took_s = time.monotonic() - begin
        must_stop.set()
        for thread in threads:
            thread.join()
        front_end.close()
        self.assertLess(took_s, 10)

    def test_a_front_end_that_says_nothing_does_not_hold_up_the_end(self):
        with Server_of_its_own() as server:
            front_end = FrontEnd(server)
            front_end.set_up()
            half = FrontEnd(server)  # waits in the queue of connections
            self.assertEqual(server.qmp('query-status')['status'], 'running')
            self.assertEqual(server.end(), 0)
            front_end.close()
            half.close()

    def test_ten_thousand_connections_leave_nothing_behind(self):
        def connect_often():
            for _ in range(CONNECTIONS // CONNECTORS):
                with socket.socket(socket.AF_UNIX) as one:
                    one.connect(self.server.path)
        connect_often()
        before_kib = self.server.resident_kib()
        threads = [threading.Thread(target=connect_often) for _ in range(CONNECTORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(is_served(self.server))
        if not fe.IS_SANITIZED:
            self.assertLess(self.server.resident_kib() - before_kib, GROWTH_KIB_MAX)
        self.assertEqual(self.server.heard(), [])


class Server_of_its_own(Server):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self.folder.cleanup()


if __name__ == '__main__':
    print(f'PV_SEED={SEED}', flush=True)
    unittest.main()
