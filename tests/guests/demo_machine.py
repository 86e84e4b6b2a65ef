# SPDX-License-Identifier: BSD-2-Clause
"""The second half of ./demo: a stock Debian kernel on `paravane run`, on this machine's KVM or in the
box."""

import os
import sys
import time

import in_box
import initramfs
from report import Failure

LIMIT_S = 240

SCRIPT = """
image=$(mktemp)
truncate -s 64M "$image"
"{paravane}" run --kernel {kernel} --initrd {ramdisk} --cpus 2 --memory 512M \\
	--disk path="$image",id=disk --disk path={tools},readonly=on,serial=tools,locking=off,queues=1 \\
	--append "console=null quiet LINE=/dev/ttyS0" </dev/null
status=$?
rm "$image"
echo "@@case machine $status"
"""


def run(report, test, line):
    """`line` prints a label and a text."""
    is_usable, why = in_box.kvm()
    line("machine", "paravane run, on this machine's KVM" if is_usable else
         f"paravane run; {why}: in the box, on a KVM that QEMU emulates")
    if sys.stdout.isatty():
        print("  fetching a kernel, and booting ...", end="\r", flush=True)
    kernel, modules = initramfs.kernel(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "demo_machine.sh")
    script = os.path.join(test.work, "machine.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(paravane=os.environ["PARAVANE"], kernel=kernel, ramdisk=ramdisk,
                                 tools=initramfs.tools_image(test.guests)))
    begin = time.monotonic()
    lines = in_box.run(test, ["sh", script], "2048M", LIMIT_S, is_told=False)
    values = in_box.values_of(lines)
    if "random" not in values:
        raise Failure(f"the machine did not come up (log: {test.log_path('box')})")
    line("guest", f"{values['kernel']} from Debian, its own view of it: up in {values['up']} s")
    line("", f"{values['cpus']} processors, clock {values['clock']}, random bytes "
         f"{values['random']}")
    in_box.judge(report, lines)
    line("", f"all of it in {time.monotonic() - begin:.0f} s")
