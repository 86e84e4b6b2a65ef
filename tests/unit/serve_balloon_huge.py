#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane serve balloon` for a guest whose memory is huge pages of the pool: a page goes when all of it is in the
balloon, however it came to be there.

The pool is the machine's: what is missing in it is added while the test runs."""

import mmap
import os
import pathlib
import unittest

from balloon_case import MIB, PAGE, BalloonCase, Guest

HUGE, HUGE_PAGES = 2 * MIB, 8
OF_HUGE = HUGE // PAGE
POOL = pathlib.Path('/proc/sys/vm/nr_hugepages')
INFLATE, DEFLATE = 0, 1
MUST_TELL_HOST = 1 << 0
FILLED = b'x'


class HugeGuest(Guest):
    SIZE = HUGE_PAGES * HUGE
    KIND = os.MFD_HUGETLB

    def fill(self):
        """All but the first huge page, which the rings are in."""
        self.guest[HUGE:] = FILLED * (self.SIZE - HUGE)

    def has(self, huge_page, byte):
        return self.guest[huge_page * HUGE:(huge_page + 1) * HUGE].strip(byte) == b''


def more_pages(case):
    """Adds to the pool, for as long as the test runs."""
    before = int(POOL.read_text(encoding='ascii'))
    try:
        POOL.write_text(str(before + HUGE_PAGES), encoding='ascii')
    except OSError:
        case.skipTest(f'no huge pages: {POOL} cannot be written to (root may)')
    case.addCleanup(POOL.write_text, str(before), encoding='ascii')


class Huge(BalloonCase):
    def setUp(self):
        super().setUp()
        more_pages(self)
        fd = os.memfd_create('probe', os.MFD_HUGETLB)
        try:
            os.ftruncate(fd, HugeGuest.SIZE)
            mmap.mmap(fd, HugeGuest.SIZE).close()
        except OSError as why:
            self.skipTest(f'no {HUGE_PAGES} huge pages can be had: {why}')
        finally:
            os.close(fd)

    def serve_filled(self, features):
        process, monitor = self.serve()
        guest = self.guest(HugeGuest, index=INFLATE, features=features)
        guest.fill()
        self.assertEqual(guest.blocks(), guest.SIZE)
        return process, monitor, guest

    def expect(self, guest, gone):
        """These huge pages have gone; what is in the others is as it was."""
        self.assertEqual(guest.SIZE - guest.blocks(), len(gone) * HUGE)
        for page in range(1, HUGE_PAGES):
            if page not in gone:
                self.assertTrue(guest.has(page, FILLED), page)

    def end(self, process, monitor):
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)

    @staticmethod
    def part(huge_page, first, end):
        return range(huge_page * OF_HUGE + first, huge_page * OF_HUGE + end)

    def test_parts_are_remembered_until_all_of_a_page_is_there(self):
        process, monitor, guest = self.serve_filled(MUST_TELL_HOST)
        guest.give_pages(self.part(2, 0, 511))
        guest.give_pages(self.part(3, 256, 512))
        self.expect(guest, [])
        self.assertEqual(monitor.counters()['kept_bytes'], (511 + 256) * PAGE)
        guest.give_pages([*self.part(2, 511, 512)])
        self.expect(guest, [2])
        # The end of one, all of the next, and what completes the one that is there in part.
        guest.give_pages([*self.part(3, 0, 256), *self.part(4, 0, 512), *self.part(5, 0, 16)])
        self.expect(guest, [2, 3, 4])
        # One by one, the last in front.
        for page in reversed(self.part(6, 0, 512)):
            self.assertEqual(guest.SIZE - guest.blocks(), 3 * HUGE)
            guest.give_pages([page])
        self.expect(guest, [2, 3, 4, 6])
        self.assertEqual(monitor.counters()['bad_pages'], 0)
        # Used again, they are zeroes.
        for page in (2, 3, 4, 6):
            self.assertTrue(guest.has(page, b'\0'), page)
        self.assertEqual(guest.blocks(), guest.SIZE)
        self.end(process, monitor)

    def test_what_is_taken_back_is_not_there_any_more(self):
        process, monitor, guest = self.serve_filled(MUST_TELL_HOST)
        taking = guest.another_queue(DEFLATE)
        guest.give_pages(self.part(2, 0, 300))
        taking.give_pages(self.part(2, 299, 300))
        guest.give_pages(self.part(2, 300, 512))
        self.expect(guest, [])
        guest.give_pages(self.part(2, 299, 300))
        self.expect(guest, [2])
        self.end(process, monitor)

    def test_of_a_guest_that_may_tell_later_nothing_is_remembered(self):
        process, monitor, guest = self.serve_filled(0)
        guest.give_pages(self.part(2, 0, 256))
        guest.give_pages(self.part(2, 256, 512))
        self.expect(guest, [])
        guest.give_pages([*self.part(2, 256, 512), *self.part(2, 0, 256)])
        self.expect(guest, [2])
        self.end(process, monitor)


if __name__ == '__main__':
    unittest.main(verbosity=2)
