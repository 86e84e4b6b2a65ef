# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of the back-end under a QEMU guest whose fio verifies what it reads: QEMU hands what was in
flight to the next back-end, and fio ends well, with nothing lost and nothing old."""

import os
import random
import time

import harness
import qemu
from backend import Backend, Qmp
from qemu_killed import wait_connected

SEED = int(os.environ.get("PV_SEED", "0"), 0) or random.SystemRandom().getrandbits(32)
# The long run (PV_LONG) is of 20 rounds with two rings each: a thousand deaths.
SECONDS_OF_LOAD = 40 if "PV_LONG" in os.environ else 12
DEATHS_MIN = 3
RING_PACKED = 34


def run_guest(report, test, backend, what, device, deaths):
    path = os.path.join(backend.directory, "qemu")
    dice = random.Random(SEED)

    def replace_backend():
        time.sleep(dice.uniform(0.05, 1.2))
        monitor = Qmp(path)
        backend.kill()
        backend.start()
        wait_connected(monitor)
        monitor.close()
        deaths.append(what)

    with qemu.boot(report, test, backend.path, "inflight.sh", device=device, limit_s=90 + SECONDS_OF_LOAD,
                   chardev=",reconnect=1", monitor=path, WHAT=what,
                   SECONDS_OF_LOAD=SECONDS_OF_LOAD) as guest:
        return guest.run(replace_backend=replace_backend)


def body(report, test):
    report.note(f"PV_SEED={SEED}")
    for what, device in (("split", ""), ("packed", ",packed=on")):
        deaths = []
        log = test.log_path("backend-" + what)
        # Past the host's page cache requests end in another order than they began.
        with Backend(report, test.image(32), log, ["--direct"]) as backend:
            values = run_guest(report, test, backend, what, device, deaths)
            is_packed = values["features"][RING_PACKED] == "1"
            report.equal(is_packed, what == "packed", f"the ring is {what}")
            report.ok(len(deaths) >= DEATHS_MIN, f"the back-end died often: {what}",
                      f"only {len(deaths)} times")
        with open(log, encoding="utf-8") as lines:
            refused = [line for line in lines if "does not start" in line or "refused" in line]
        report.equal(refused, [], f"each back-end took over what was in flight: {what}")


if __name__ == "__main__":
    harness.main(body)
