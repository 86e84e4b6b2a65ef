# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box: stock Debian kernels on one processor and several, with modern and legacy
drivers, with MSI-X and without, rebooted, and ended from outside."""

import harness
import in_box
import machine_cases
from machine_cases import REBOOTS

PLACE = "0000:00:01.0"
CASES = {
    "modern": ("--cpus 2 --memory 6G,shared=on", "LEGACY=0", ",iothreads=2"),
    "legacy": ("--cpus 1 --memory 300M", "LEGACY=1", ",queues=1"),
    "no MSI": ("--cpus 4 --memory 256M", "LEGACY=0 pci=nomsi"),
    "reboots": ("--cpus 2 --memory 256M" + in_box.huge_pages(), f"LEGACY=0 REBOOTS={REBOOTS}"),
    "exit on reboot": ("--cpus 1 --memory 256M --on-reboot exit", f"LEGACY=0 REBOOTS={REBOOTS}"),
}

# Whoever ends it twice has it ended at once, with what was written on the disk.
ENDED = """
fresh
run --rng off --append "console=null quiet LINE=/dev/ttyS0 SLEEPS=1 RNG=off WHAT=off" \\
	--console file=log --pidfile pid &
pid=$!
while ! grep -q "guest runs" log; do kill -0 $pid && sleep 0.2 || break; done
monitor=$(cat pid)
kill -TERM $monitor; sleep 0.5
kill -0 $monitor && echo "@@ok the first signal asks the guest"
kill -TERM $monitor
wait $pid
status=$?
[ ! -e pid ] && echo "@@ok its pidfile goes with it"
grep @@ log
echo "@@case ended $status"
"""


def body(report, test):
    cases = machine_cases.run(report, test, "pci", CASES, ENDED)
    report.equal(sorted(cases), sorted([*CASES, "ended"]), "all cases ran")
    for name, cpus, version, interrupts in (("modern", "2", "1", "[1-9][0-9]* 0 0"),
                                            ("legacy", "1", "0", "[1-9][0-9]* 0 0"),
                                            ("no MSI", "4", "1", "0 [1-9][0-9]* 0")):
        machine_cases.compare(report, name, cases.get(name, {}), cpus, version, PLACE, interrupts)


harness.main(body, long_rounds=1)
