# SPDX-License-Identifier: BSD-2-Clause
"""Ports that are busy for a time: rounds of exchanges, of random sizes, on each of them until it is over, and
somebody who looks whether anything moves."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
import serial_ends
import serving

# Nothing at all has moved for so long: then nothing will.
STILL_S = 60
# As long as others go on a port may wait: it is all the same guest.
PORT_LIMIT_S = 600


class Rounds(serial_ends.Exchange):
    """The guest hears how large each round is, and answers with its digests. The sizes are the same in every
    run."""

    def __init__(self, path, largest, goes_on):
        self.goes_on = goes_on
        self.sizes = random.Random(os.path.basename(path))
        self.ended = 0
        self.ended_at = None
        self.round = "before the first"
        super().__init__(path, largest, limit_s=PORT_LIMIT_S)

    def work(self, end):
        answers = end.makefile("rb", buffering=0)
        while self.goes_on():
            to_send, size = (self.sizes.randint(1, self.size) for _ in range(2))
            self.round = f"{to_send} bytes there, {size} back"
            end.sendall(f"{to_send} {size}\n".encode())
            self.swap(end, to_send, size)
            if answers.readline() != f"{self.sent} {self.received}\n".encode():
                raise OSError("it did not come as it was sent")
            self.ended += 1
            self.ended_at = time.monotonic()
        end.sendall(b"end\n")

    def where(self):
        return (f"{self.ended} rounds ended, the next is {self.round}; in all {self.have_gone} bytes have gone and "
                f"{self.have_come} come; {self.error or 'no error'}")


class Host(serial_ends.Host):
    """One whose ports are all busy for so many seconds, from the end of the slowest one's first round. When
    nothing moves `give_up()` ends the machine, and the counters are told, by the control socket at `monitor`."""

    def __init__(self, *arguments, seconds, give_up, monitor):
        super().__init__(*arguments)
        self.seconds, self.give_up, self.monitor = seconds, give_up, monitor
        self.rounds = {}
        self.began = None
        self.is_over, self.is_told = threading.Event(), False
        self.watcher = threading.Thread(target=self.watch, daemon=True)

    def exchange(self, *names):
        if names:
            return super().exchange(*names)
        for name in (f"p{index}" for index in range(self.ports)):
            self.rounds[name] = Rounds(self.port(name), self.size, self.goes_on)
        self.watcher.start()
        return "rounds"

    def goes_on(self):
        return not self.began or time.monotonic() < self.began + self.seconds

    def more(self):
        return "yes" if self.goes_on() else "no"

    def watch(self):
        moved, when = None, time.monotonic()
        while not self.is_over.wait(1):
            if not self.began and all(port.ended for port in self.rounds.values()):
                self.began = time.monotonic()
            ends = [*self.rounds.values(), *list(self.exchanges.values())]
            now = sum(end.have_gone + end.have_come for end in ends)
            if now != moved:
                moved, when = now, time.monotonic()
            wrong = [name for name, port in self.rounds.items() if port.error]
            if wrong:
                return self.end("something is wrong", wrong)
            if time.monotonic() > when + STILL_S:
                return self.end(f"nothing has moved for {STILL_S} s",
                                [name for name, port in self.rounds.items() if port.is_alive()])

    def counters(self):
        """Asked by a client of its own: this is another thread than the one that has the guest's."""
        monitor = serving.Qmp(self.monitor)
        try:
            return {name: value for name, value in monitor.counters().items() if value}
        finally:
            monitor.close()

    def end(self, why, names):
        self.is_told = True
        self.say(False, "bytes come as they were sent", why)
        for name in names:
            self.say(False, f"{name} goes on", self.rounds[name].where())
        try:
            self.say(False, f"the counters then: {self.counters()}")
        except (OSError, RuntimeError) as why:
            self.say(False, f"the machine answers: {why}")
        self.give_up()

    def judge(self, values):
        self.is_over.set()
        if self.rounds:
            self.watcher.join()
        if self.is_told:
            return
        for name, port in self.rounds.items():
            port.join(PORT_LIMIT_S)
            self.say(not port.error, f"{name}: {port.ended} rounds came as they were sent, {port.have_gone} bytes "
                     f"there and {port.have_come} back", port.error or "")
        ended = min(port.ended_at or 0 for port in self.rounds.values())
        busy = ended - self.began if self.began else 0
        self.say(busy >= self.seconds, f"all ports were busy for {self.seconds} s", f"for {busy:.0f}")
        super().judge(values)
