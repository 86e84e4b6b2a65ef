# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box: stock Debian kernels on one processor and several, with modern and legacy
drivers, with MSI-X and without, rebooted, and ended from outside."""

import os
import re
import shlex

import harness
import in_box
import initramfs
import qemu

VERSION_1 = 32
REBOOTS = 10 if "PV_LONG" in os.environ else 3
# Guests take 10 s each when the machine is not busy.
LIMIT_S = 1200 if "PV_LONG" in os.environ else 600
CASES = {
    "modern": ("--cpus 2 --memory 5G,shared=on", "LEGACY=0", ",iothreads=2"),
    "legacy": ("--cpus 1 --memory 300M", "LEGACY=1", ",queues=1"),
    "no MSI": ("--cpus 4 --memory 256M", "LEGACY=0 pci=nomsi", ""),
    "reboots": ("--cpus 2 --memory 256M,hugepages=on", f"LEGACY=0 REBOOTS={REBOOTS}", ""),
}
REBOOT_EXIT = ("--cpus 1 --memory 256M --on-reboot exit", f"LEGACY=0 REBOOTS={REBOOTS}", "")

SCRIPT = """
sysctl -q vm.nr_hugepages=128
run() {{
	"$PARAVANE" run --kernel {kernel} --initrd {ramdisk} --disk path=/tmp/disk.img,id=disk$keys \\
		--disk path={tools},readonly=on,serial=tools,locking=off,queues=1 "$@" </dev/null
}}
fresh() {{
	rm -f /tmp/disk.img
	truncate -s 64M /tmp/disk.img
}}
"""


def case_lines(name, options, words, keys):
    append = f"console=null quiet panic=-1 LINE=/dev/ttyS0 WHAT={name.replace(' ', '-')} {words}"
    return f"fresh\nkeys={keys}\nrun {options} --append {shlex.quote(append)}\necho \"@@case {name} $?\"\n"


# Whoever ends it twice has it ended at once, with what was written on the disk.
ENDED = """
fresh
run --append "console=null quiet LINE=/dev/ttyS0 SLEEPS=1" --console file=/tmp/log --pidfile /tmp/pid &
pid=$!
while ! grep -q "guest runs" /tmp/log; do kill -0 $pid && sleep 0.2 || break; done
monitor=$(cat /tmp/pid)
kill -TERM $monitor; sleep 0.5
kill -0 $monitor && echo "@@ok the first signal asks the guest"
kill -TERM $monitor
wait $pid
status=$?
[ ! -e /tmp/pid ] && echo "@@ok its pidfile goes with it"
echo "@@case ended $status"
"""


def run_in_box(test, script):
    path = os.path.join(test.work, "script")
    with open(path, "w", encoding="utf-8") as file:
        file.write(script)
    command = ["env", f"PARAVANE={os.environ['PARAVANE']}", "sh", path]
    return in_box.run(test, command, "6144M", LIMIT_S)


def body(report, test):
    qemu.need()
    kernel, modules = initramfs.kernel(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "monitor.sh")
    script = SCRIPT.format(kernel=kernel, ramdisk=ramdisk,
                           tools=initramfs.tools_image(test.guests))
    for name, case in CASES.items():
        script += case_lines(name, *case)
    script += case_lines("exit on reboot", *REBOOT_EXIT) + ENDED
    cases = in_box.judge(report, run_in_box(test, script))
    report.equal(sorted(cases), sorted([*CASES, "exit on reboot", "ended"]), "all cases ran")
    for name, cpus, version, interrupts in (("modern", "2", "1", "[1-9][0-9]* 0"),
                                            ("legacy", "1", "0", "[1-9][0-9]* 0"),
                                            ("no MSI", "4", "1", "0 [1-9][0-9]*")):
        values = cases.get(name, {})
        report.equal(values.get("cpus"), cpus, f"the guest has its processors: {name}")
        report.equal(values.get("clock"), "kvm-clock", f"its clock is KVM's: {name}")
        report.equal(values.get("features", " " * 64)[VERSION_1], version,
                     f"the driver is the one that was asked for: {name}")
        report.ok(re.fullmatch(interrupts, values.get("interrupts", "")),
                  f"interrupts come as they should: {name}", values.get("interrupts"))


harness.main(body)
