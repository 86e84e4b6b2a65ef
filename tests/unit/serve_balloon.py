#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a user sees of `paravane serve balloon`: how much memory a guest is to have, has, and says it uses."""

import struct
import time
import unittest

from balloon_case import MIB, PAGE, STATS_QUEUE, STATS_VQ, BalloonCase, Guest

NEVER_SAID = ['htlb-pgfail', 'oom-kills', 'direct-reclaims']


class SmallGuest(Guest):
    SIZE = 8 * MIB


class Balloon(BalloonCase):
    def test_wishes_that_cannot_be_fulfilled_are_named(self):
        place = ('--socket-path', self.socket)
        self.assertIn('--socket-path', self.refuse_serve())
        self.assertIn("'--target'", self.refuse_serve(*place, '--target', '0'))
        self.assertIn("'--deflate-on-oom'", self.refuse_serve(*place, '--deflate-on-oom', 'maybe'))
        self.assertIn("'--free-page-reporting'",
                      self.refuse_serve(*place, '--free-page-reporting', '1'))
        self.assertIn("'--stats-interval'", self.refuse_serve(*place, '--stats-interval', '86401'))
        self.assertIn("'--stats-interval'?", self.refuse_serve(*place, '--stat-interval', '5'))

    def test_without_a_front_end_there_is_no_memory(self):
        process, monitor = self.serve('--target', '48M')
        self.assertEqual(monitor.command('query-balloon'),
                         {'actual': 0, 'target': 0, 'memory': 0, 'id': 'balloon0'})
        self.refuses(monitor, 'no front-end', 'balloon', value=32 * MIB)
        stats = monitor.command('query-balloon-stats')
        self.assertFalse(stats['supported'])
        self.assertIsNone(stats['age'])
        self.assertIsNone(stats['total-memory'])
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)

    def test_a_target_is_what_the_guest_is_to_have(self):
        process, monitor = self.serve('--target', '48M')
        guest = self.guest()
        self.assertEqual(guest.wanted_pages(), 16 * MIB // PAGE)
        monitor.command('balloon', value=40 * MIB + 1)
        # A page is not given away in part.
        self.assertEqual(guest.wanted_pages(), 24 * MIB // PAGE - 1)
        self.assertEqual(monitor.command('query-balloon'),
                         {'actual': 64 * MIB, 'target': 40 * MIB + PAGE, 'memory': 64 * MIB,
                          'id': 'balloon0'})
        for value, words in ((64 * MIB + 1, f'{64 * MIB + 1} bytes are more than the guest\'s memory of {64 * MIB}'),
                             (32 * MIB - 1, f'it is left {32 * MIB} at least'),
                             (0, 'too few'), (-1, "'value'"), (1 << 62, 'more than')):
            self.refuses(monitor, words, 'balloon', value=value)
        self.assertEqual(guest.wanted_pages(), 24 * MIB // PAGE - 1)
        monitor.command('balloon', value=64 * MIB)
        self.assertEqual(guest.wanted_pages(), 0)
        monitor.command('balloon', value=32 * MIB)
        self.assertEqual(guest.wanted_pages(), 32 * MIB // PAGE)
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)

    def test_the_wish_outlives_front_ends_and_the_next_has_what_comes_nearest(self):
        process, monitor = self.serve()
        guest = self.guest()
        monitor.command('balloon', value=40 * MIB)
        guest.say_actual(5)
        self.assertTrue(guest.is_served())
        guest.socket.close()
        small = self.guest(SmallGuest)
        self.assertEqual(small.wanted_pages(), 0)
        self.assertEqual(monitor.command('query-balloon')['actual'], 8 * MIB)
        small.socket.close()
        self.assertEqual(self.guest().wanted_pages(), 24 * MIB // PAGE)
        monitor.close()
        process.terminate()
        text = process.stderr.read()
        self.assertIn(f'{40 * MIB} bytes are more than', text)
        self.assertEqual(process.wait(20), 0)

    def test_changes_are_told_once_a_second_and_the_newest_always(self):
        process, monitor = self.serve()
        guest = self.guest()
        begin = time.monotonic()
        for pages in range(1, 1001):
            guest.say_actual(pages)
        self.assertTrue(guest.is_served())
        self.assertEqual(monitor.command('query-balloon')['actual'], 64 * MIB - 1000 * PAGE)
        told = []
        while told[-1:] != [64 * MIB - 1000 * PAGE]:
            told.append(monitor.wait_for('BALLOON_CHANGE')['actual'])
        self.assertEqual(told[0], 64 * MIB - PAGE)
        self.assertLessEqual(len(told), 2 + time.monotonic() - begin)
        # Whatever it says.
        guest.say_actual(0xffffffff)
        self.assertEqual(monitor.wait_for('BALLOON_CHANGE'), {'actual': 0})
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)

    def test_pages_that_are_given_away_go_back_to_the_host(self):
        process, monitor = self.serve()
        guest = self.guest()
        guest.guest[:MIB] = bytes(MIB)  # its rings and buffers take no more from here on
        guest.guest[MIB:9 * MIB] = b'x' * (8 * MIB)
        before = guest.blocks()
        pages = [page for page in range(MIB // PAGE, 9 * MIB // PAGE) if page != 700]
        self.assertEqual(guest.give_pages(pages[::-1] + [1 << 20, 0xfffffff]), b'')
        self.assertEqual(before - guest.blocks(), len(pages) * PAGE)
        self.assertEqual(guest.guest[MIB:700 * PAGE].strip(b'\0'), b'')
        self.assertEqual(guest.guest[700 * PAGE:701 * PAGE], b'x' * PAGE)
        counters = monitor.counters()
        self.assertEqual(counters['pages'], len(pages) + 2)
        self.assertEqual(counters['bad_pages'], 2)
        self.assertEqual(counters['ranges'], 2)
        self.assertEqual(counters['discarded_bytes'], len(pages) * PAGE)
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)

    def test_statistics_are_flat_and_what_is_not_known_is_kept(self):
        process, monitor = self.serve('--stats-interval', '3600')
        guest = self.guest(index=STATS_QUEUE, features=STATS_VQ)
        guest.give(b'')
        guest.give(b''.join(struct.pack('<HQ', *stat) for stat in
                            ((4, 100 * PAGE), (5, 64 * MIB), (0, 1 << 63), (77, 7), (2, 3))))
        # It comes back when the next is due, and the empty one at once.
        deadline = time.monotonic() + 20
        while not monitor.command('query-balloon-stats')['updates'] and time.monotonic() < deadline:
            time.sleep(0.01)
        stats = monitor.command('query-balloon-stats')
        self.assertTrue(stats['supported'])
        self.assertEqual(stats['interval'], 3600)
        self.assertLess(stats['age'], 20)
        self.assertEqual(stats['free-memory'], 100 * PAGE)
        self.assertEqual(stats['total-memory'], 64 * MIB)
        self.assertEqual(stats['swap-in'], 1 << 63)
        self.assertEqual(stats['major-faults'], 3)
        self.assertEqual(stats['unknown'], [{'tag': 77, 'value': 7}])
        for name in NEVER_SAID:
            self.assertIsNone(stats[name])
        self.refuses(monitor, "'seconds'", 'balloon-stats-interval', seconds=-1)
        self.refuses(monitor, "'seconds'", 'balloon-stats-interval', seconds=86401)
        monitor.command('balloon-stats-interval', seconds=1)
        self.assertEqual(monitor.command('query-balloon-stats')['interval'], 1)
        self.assertIsNotNone(guest.take())
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)


if __name__ == '__main__':
    unittest.main(verbosity=2)
