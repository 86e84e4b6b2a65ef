# SPDX-License-Identifier: BSD-2-Clause
"""A guest with a balloon, and `paravane serve balloon` that serves it."""

import os
import struct
import sys

from serve_case import PROGRAM, Case, Driver

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'support'))
os.environ['PARAVANE'] = PROGRAM

# pylint: disable=wrong-import-position
import serving

MIB, PAGE = 1 << 20, 4096
STATS_VQ, STATS_QUEUE = 1 << 1, 2
NUM_PAGES, ACTUAL = 0, 4


class Guest(Driver):
    SIZE = 64 * MIB

    def wanted_pages(self):
        return struct.unpack('<I', self.config(NUM_PAGES, 4))[0]

    def say_actual(self, pages):
        self.set_config(ACTUAL, struct.pack('<I', pages))

    def give(self, data):
        begin = self.at + self.DATA
        self.guest[begin:begin + len(data)] = data
        self.offer(len(data))

    def give_pages(self, pages):
        """Page numbers, of which the first of its memory is GUEST's."""
        first = self.GUEST // PAGE
        self.give(struct.pack(f'<{len(pages)}I', *(first + page for page in pages)))
        return self.take()

    def blocks(self):
        return os.fstat(self.memory).st_blocks * 512


class BalloonCase(Case):
    DEVICE = 'balloon'

    def serve(self, *words):
        process, line = self.start('--socket-path', self.socket, '--qmp', f'unix:{self.qmp}', *words)
        self.assertIn('balloon0: serving a memory balloon on', line)
        monitor = serving.Qmp(str(self.qmp))
        self.addCleanup(monitor.close)
        return process, monitor

    def guest(self, kind=Guest, **more):
        guest = kind(self.socket, **more)
        self.addCleanup(guest.close)
        return guest

    def refuses(self, monitor, words, name, /, **arguments):
        self.assertIn(words, monitor.ask(name, **arguments).get('error', {}).get('desc', ''))
