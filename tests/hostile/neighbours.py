# SPDX-License-Identifier: BSD-2-Clause
"""Several disks in one process: a front-end that means harm to its own disk does none to others."""

import json
import os
import random
import struct
import unittest

import front_end as fe
from front_end import FrontEnd, Server, is_served, message, u64, wait_until

SEED = int(os.environ.get('PV_SEED', '0'), 0) or random.SystemRandom().getrandbits(32)
NAMES = ('bad', 'good', 'fine')


class Place:
    """One of a server's sockets."""

    def __init__(self, path):
        self.path = path


class House(Server):
    """Three disks on two loops: the first and the last share one."""

    def disks(self):
        self.place = {name: Place(os.path.join(self.folder.name, name)) for name in NAMES}
        config = os.path.join(self.folder.name, 'config')
        with open(config, 'w', encoding='utf-8') as file:
            json.dump({'loops': 2, 'disks': [
                {'name': name, 'socket-path': self.place[name].path, 'memory': '1M',
                 'num-queues': 2, 'queue-size': 256} for name in NAMES]}, file)
        return ['--config', config]


class Neighbours(unittest.TestCase):
    def setUp(self):
        self.server = House()
        self.addCleanup(self.server.folder.cleanup)
        self.addCleanup(self.end)
        wait_until(lambda: self.server.log().count('serving') == len(NAMES), 'no disk is served')
        self.neighbours = [self.enterContext(FrontEnd(self.server.place[name])).set_up()
                           for name in NAMES[1:]]
        self.server.heard()

    def end(self):
        code = self.server.end()
        log = self.server.log()
        if code != 0 or 'Sanitizer' in log or 'runtime error' in log:
            raise AssertionError(f'the server ended with {code}:\n{log[-4000:]}')

    def front_end(self):
        return self.enterContext(FrontEnd(self.server.place['bad']))

    def assert_unharmed(self):
        """The neighbours' connections work as before, and nothing was said about them."""
        for neighbour in self.neighbours:
            pattern = os.urandom(512)
            neighbour.memory[fe.DATA:fe.DATA + 512] = pattern
            self.assertEqual(neighbour.request(1, sector=7), 0)
            neighbour.memory[fe.DATA:fe.DATA + 512] = bytes(512)
            self.assertEqual(neighbour.request(0, sector=7), 0)
            self.assertEqual(neighbour.memory[fe.DATA:fe.DATA + 512], pattern)
        for line in self.server.heard():
            self.assertIn('paravane: bad: ', line)
        self.assertTrue(is_served(self.server.place['bad']))
        self.server.heard()

    def test_messages_that_are_none(self):
        noise = random.Random(SEED)
        for _ in range(50):
            front_end = self.front_end()
            data = bytearray(noise.randbytes(noise.randrange(12, 600)))
            data[:12] = struct.pack('<III', noise.randrange(1, 41), 1, noise.choice((0, 8, 40)))
            front_end.raw(bytes(data), [0] if noise.random() < 0.3 else ())
            front_end.socket.shutdown(1)
            self.assertTrue(front_end.is_dropped())
        self.assert_unharmed()

    def test_a_message_without_an_end(self):
        self.front_end().raw(message(fe.SET_FEATURES, u64(0))[:-1])
        for neighbour in self.neighbours:
            self.assertNotEqual(neighbour.get(fe.GET_FEATURES), 0)

    def test_memory_that_is_taken_back(self):
        front_end = self.front_end().set_up()
        os.ftruncate(front_end.memory_fd, 0)
        os.eventfd_write(front_end.kick_fd, 1)
        self.assertTrue(front_end.is_dropped())
        wait_until(lambda: 'shorter' in self.server.log(), 'nothing is said')
        self.assert_unharmed()

    def test_memory_that_two_front_ends_share_and_one_takes_back(self):
        """As a machine with two disks has it: both touch what is gone, both are dropped."""
        shared = fe.memory_file()
        self.addCleanup(os.close, shared)
        first = self.front_end()
        second = self.enterContext(FrontEnd(self.server.place['good']))
        self.neighbours.pop(0).close()
        for front_end in (first, second):
            front_end.negotiate()
            self.assertEqual(front_end.map_memory(os.dup(shared)), 0)
            self.assertEqual(front_end.start(), 0)
        os.ftruncate(shared, 0)
        os.eventfd_write(first.kick_fd, 1)
        self.assertTrue(first.is_dropped())
        os.eventfd_write(second.kick_fd, 1)
        self.assertTrue(second.is_dropped())
        self.server.heard()
        self.assert_unharmed()

    def test_a_ring_that_breaks(self):
        front_end = self.front_end().set_up()
        front_end.put(fe.AVAIL + 2, '<H', 1000)
        os.eventfd_write(front_end.kick_fd, 1)
        wait_until(lambda: front_end.get(fe.GET_STATUS) & fe.NEEDS_RESET, 'no reset is asked for')
        front_end.close()
        self.assert_unharmed()

    def test_front_ends_that_come_and_go_without_end(self):
        for _ in range(500):
            with FrontEnd(self.server.place['bad']):
                pass
        self.assert_unharmed()


if __name__ == '__main__':
    unittest.main(verbosity=2)
