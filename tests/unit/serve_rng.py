#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a user sees of `paravane serve rng`: sentences, random bytes, limits, how it ends."""

import struct
import time
import unittest

from serve_case import Case, Driver


class Guest(Driver):
    def ask(self, length):
        self.offer(length, self.WRITE)

    def get(self, length):
        self.ask(length)
        return self.take()


class Rng(Case):
    DEVICE = 'rng'

    def guest(self):
        guest = Guest(self.socket)
        self.addCleanup(guest.close)
        return guest

    def counters(self):
        answer = self.ask({'execute': 'query-stats', 'arguments': {'target': 'vm'}})[0]['return']
        queue = next(entry for entry in answer if entry['qom-path'] == '/rng0/queue0')
        return {stat['name']: stat['value'] for stat in queue['stats']}

    def test_wishes_that_cannot_be_fulfilled_are_named(self):
        place = ('--socket-path', self.socket)
        self.assertIn('--socket-path', self.refuse_serve())
        self.assertIn("'--max-bytes'", self.refuse_serve(*place, '--max-bytes', '0'))
        self.assertIn("'--max-bytes'", self.refuse_serve(*place, '--max-bytes', 'lots'))
        self.assertIn("'--period'",
                      self.refuse_serve(*place, '--max-bytes', '1', '--period', '0'))
        self.assertIn("give 'max-bytes' too", self.refuse_serve(*place, '--period', '5'))
        self.assertIn("'--max-bytes'?", self.refuse_serve(*place, '--max-byte', '5'))

    def test_each_buffer_is_filled_and_no_two_are_the_same(self):
        process, line = self.start('--socket-path', self.socket)
        self.assertIn('rng0: serving random bytes on', line)
        guest, seen = self.guest(), set()
        for length in [16, 64, 1000, 4096, 1] * 10:
            data = guest.get(length)
            self.assertEqual(len(data), length)
            self.assertTrue(length == 1 or data not in seen)
            seen.add(data)
        data = b''.join(seen)
        self.assertEqual(len(set(data)), 256)
        self.assertTrue(guest.is_served())
        process.terminate()
        self.assert_ends_well(process)

    def test_a_limit_is_kept_and_waiting_costs_nothing(self):
        process, line = self.start('--socket-path', self.socket, '--max-bytes', '100',
                                   '--period', '700', '--qmp', f'unix:{self.qmp}')
        self.assertIn('(100 bytes in 700 ms)', line)
        guest = self.guest()
        begin = time.monotonic()
        self.assertEqual(len(guest.get(60)), 60)
        self.assertEqual(len(guest.get(60)), 40)
        guest.ask(60)
        if time.monotonic() - begin < 0.3:
            before = self.switches(process)
            self.assertIsNone(guest.take(0.2))
            self.assertLessEqual(self.switches(process) - before, 2)
        self.assertEqual(len(guest.take()), 60)
        self.assertGreaterEqual(time.monotonic() - begin, 0.69)
        counters = self.counters()
        self.assertEqual(counters['bytes'], 160)
        self.assertGreaterEqual(counters['throttled'], 1)
        self.assertEqual(counters['starved'], 0)
        process.terminate()
        self.assert_ends_well(process)

    def test_a_front_end_that_leaves_while_it_waits_leaves_the_limit(self):
        process, _ = self.start('--socket-path', self.socket, '--max-bytes', '100', '--period',
                                '60000')
        guest = self.guest()
        self.assertEqual(len(guest.get(100)), 100)
        guest.ask(100)
        self.assertIsNone(guest.take(0.1))
        guest.socket.close()
        again = self.guest()
        again.ask(100)
        self.assertIsNone(again.take(0.1))
        process.terminate()
        self.assert_ends_well(process)

    def test_an_idle_device_uses_no_cpu(self):
        for engine in ('auto', 'epoll'):
            process, _ = self.start('--socket-path', self.socket, '--engine', engine,
                                    '--max-bytes', '1000', '--period', '100')
            self.assertEqual(len(self.guest().get(1000)), 1000)
            time.sleep(0.5)
            before = self.switches(process)
            time.sleep(0.5)
            self.assertEqual(self.switches(process), before)
            process.terminate()
            self.assert_ends_well(process)

    def test_memory_that_shrinks_ends_the_connection_and_not_the_program(self):
        process, _ = self.start('--socket-path', self.socket)
        guest = self.guest()
        self.assertEqual(len(guest.get(10)), 10)
        guest.ask(4096)
        guest.take()
        guest.asked += 1
        guest.guest[guest.AVAIL + 2:guest.AVAIL + 4] = struct.pack('<H', guest.asked)
        guest.guest.close()
        guest.shrink()
        guest.kick()
        self.assertTrue(guest.is_dropped())
        self.assertEqual(len(self.guest().get(10)), 10)
        process.terminate()
        self.assert_ends_well(process)


if __name__ == '__main__':
    unittest.main(verbosity=2)
