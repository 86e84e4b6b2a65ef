# SPDX-License-Identifier: BSD-2-Clause
"""Cases of `paravane run` in the box: each boots a stock Debian kernel with scripts/monitor.sh, which
says what it finds and puts a verified load on its disk."""

import os
import re
import shlex

import in_box
import initramfs

VERSION_1 = 32
LONG = "PV_LONG" in os.environ
REBOOTS = 10 if LONG else 3
# Guests take 10 s each when the machine is not busy.
LIMIT_S = 1200 if LONG else 600

SCRIPT = """
folder=$(mktemp -d) && cd "$folder" || exit
trap 'rm -rf "$folder"' EXIT
# The box is ours to change.
[ -z "${{BOX-}}" ] || sysctl -q vm.nr_hugepages={huge}
run() {{
	"$PARAVANE" run --kernel {kernel} --initrd {ramdisk} \\
		--disk path=disk.img,id=disk,bus={bus}$keys \\
		--disk path={tools},readonly=on,serial=tools,locking=off,queues=1,bus={bus} \\
		"$@" </dev/null
}}
fresh() {{
	rm -f disk.img
	truncate -s 64M disk.img
}}
"""


def lines(name, options, words, keys=""):
    append = f"console=null quiet panic=-1 LINE=/dev/ttyS0 WHAT={name.replace(' ', '-')} {words}"
    return f"fresh\nkeys={keys}\nrun {options} --append {shlex.quote(append)}\necho \"@@case {name} $?\"\n"


def run(report, test, bus, cases, more="", kernel=None):
    """Runs the cases, {name: (options, words of the kernel's command line, keys of its disk)}, with disks
    on that bus and on a kernel (the path, and those of its modules; None: the usual one), then the lines
    of a script that ends cases of its own. Returns the values of each."""
    kernel, modules = kernel or initramfs.kernel(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "monitor.sh")
    path = os.path.join(test.work, "script")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(kernel=kernel, ramdisk=ramdisk, bus=bus,
                                 huge=in_box.HUGE_PAGES,
                                 tools=initramfs.tools_image(test.guests)))
        file.write("".join(lines(name, *case) for name, case in cases.items()) + more)
    command = ["env", f"PARAVANE={os.environ['PARAVANE']}", "sh", path]
    return in_box.judge(report, in_box.run(test, command, "8192M", LIMIT_S))


def compare(report, name, values, cpus, version, place, interrupts):
    """`interrupts`: how many lines of /proc/interrupts are virtio's, vectors, levels and edges."""
    report.equal(values.get("cpus"), cpus, f"the guest has its processors: {name}")
    report.equal(values.get("clock"), "kvm-clock", f"its clock is KVM's: {name}")
    report.equal(values.get("features", " " * 64)[VERSION_1], version,
                 f"the driver is the one that was asked for: {name}")
    report.equal(values.get("place"), place, f"the disk is where it was put: {name}")
    report.ok(re.fullmatch(interrupts, values.get("interrupts", "")),
              f"interrupts come as they should: {name}", values.get("interrupts"))
