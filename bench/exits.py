# SPDX-License-Identifier: BSD-2-Clause
"""How often guests leave: counted by KVM's trace points, in the kernel. Needs root."""

import os
import re

import boot_trace

# What is counted, and the event whose hits it is.
COUNTED = {"exits": "kvm/kvm_exit", "exits_to_monitor": "kvm/kvm_userspace_exit"}
TRIGGERS = {"exits": "hist:keys=exit_reason", "exits_to_monitor": "hist:keys=reason"}
HITS = re.compile(r"^ +Hits: (\d+)", re.M)


def can_count():
    return boot_trace.can_trace()


class Exits:
    """Counts for as long as the block lasts; `result` is there after it."""

    def __init__(self):
        self.result = {}

    def __enter__(self):
        for name, event in COUNTED.items():
            boot_trace.write(f"events/{event}/trigger", TRIGGERS[name])
        return self

    def __exit__(self, *_):
        for name, event in COUNTED.items():
            with open(os.path.join(boot_trace.TRACEFS, "events", event, "hist"), encoding="ascii") as file:
                self.result[name] = int(HITS.search(file.read()).group(1))
            boot_trace.write(f"events/{event}/trigger", "!" + TRIGGERS[name])
