# SPDX-License-Identifier: BSD-2-Clause
"""paravane doctor on a KVM, and where it may not be used; paravane ctl to a machine that runs."""

import json
import os

import harness
import in_box
import initramfs

LIMIT_S = 600

SCRIPT = """
# What a command prints, and its status.
is() {{
	name=$1; shift
	text=$("$@" 2>&1)
	echo "@@is $name $text $?"
}}
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
# Where a processor is emulated, and shares a machine with others, a loop may take its time.
for turn in 1 2 3; do
	is doctor "$PARAVANE" doctor --json
	echo "$text" | grep -q '"kvm-speed","state":"good"' && break
done
is table "$PARAVANE" doctor
echo "@@is last $(echo "$text" | tail -n 1)"
is doctor_nobody $nobody "$PARAVANE" doctor --json
is run_nobody $nobody "$PARAVANE" run --kernel {kernel}
echo "@@case doctor 0"

truncate -s 64M /tmp/disk.img
"$PARAVANE" run --kernel {kernel} --initrd {ramdisk} --disk path=/tmp/disk.img,id=disk0 --qmp unix:/tmp/qmp \\
	--disk path={tools},readonly=on,serial=tools,locking=off,queues=1 --memory 256M \\
	--append "console=null quiet LINE=/dev/ttyS0 SLEEPS=1" --console file=/tmp/log </dev/null &
pid=$!
while ! grep -q "guest runs" /tmp/log; do kill -0 $pid && sleep 0.2 || break; done
ctl() {{ name=$1; shift; is "$name" "$PARAVANE" ctl unix:/tmp/qmp "$@"; }}
ctl status query-status --json
ctl resize block_resize device=disk0 size=96M --json
echo "@@is size $(stat -c %s /tmp/disk.img)"
ctl unknown system_rest
ctl output system_reset --wait RESET --json
echo "@@is reset $(echo "$text" | tail -n 1)"
ctl output quit --wait SHUTDOWN --json
echo "@@is quit $(echo "$text" | tail -n 1)"
wait $pid
echo "@@case ctl $?"
"""


def said(value):
    """What a command printed, and its status."""
    text, _, status = (value or "").rpartition(" ")
    return text, status


def judge_doctor(report, values):
    text, status = said(values.get("doctor"))
    findings = {f["name"]: f for f in json.loads(text or '{"findings": []}')["findings"]}
    report.equal((status, findings.get("kvm", {}).get("state")), ("0", "good"),
                 "the doctor finds a KVM that machines run on")
    report.equal(findings.get("kvm-speed", {}).get("state"), "good",
                 "a guest's kernel is as fast there as a program")
    report.note(findings.get("kvm-speed", {}).get("text", ""))
    report.equal(values.get("last", "").startswith("'paravane run' can run here"), True,
                 "its table says so too")
    text, status = said(values.get("doctor_nobody"))
    findings = {f["name"]: f for f in json.loads(text or '{"findings": []}')["findings"]}
    kvm = findings.get("kvm", {})
    report.equal((status, kvm.get("text")), ("1", "/dev/kvm may not be opened by this user"),
                 "the doctor says that somebody may not use it")
    report.equal(said(values.get("run_nobody")),
                 (f"paravane run: {kvm.get('text')}: {kvm.get('remedy')}; 'paravane doctor' tells "
                  "more", "1"), "so does paravane run")


def judge_ctl(report, values):
    text, status = said(values.get("status"))
    report.equal((status, '"status":"running"' in text), ("0", True), "a machine says that it runs")
    report.equal(said(values.get("resize")), ("{}", "0"), "its disk gets larger")
    report.equal(values.get("size"), str(96 << 20), "and so does the file")
    report.equal(said(values.get("unknown")),
                 ("paravane ctl: system_rest: there is no command 'system_rest'; did you mean "
                  "'system_reset'?", "1"), "a mistyped command is told its nearest")
    for command, event in (("reset", "RESET"), ("quit", "SHUTDOWN")):
        report.equal(json.loads(values.get(command) or "{}").get("event"), event,
                     f"the event of {command} is waited for")


def body(report, test):
    kernel, modules = initramfs.kernel(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "monitor.sh")
    path = os.path.join(test.work, "script")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(kernel=kernel, ramdisk=ramdisk,
                                 tools=initramfs.tools_image(test.guests)))
    command = ["env", f"PARAVANE={os.environ['PARAVANE']}", "sh", path]
    cases = in_box.judge(report, in_box.run_boxed(test, command, "3072M", LIMIT_S))
    report.equal(sorted(cases), ["ctl", "doctor"], "both cases ran")
    judge_doctor(report, cases.get("doctor", {}))
    judge_ctl(report, cases.get("ctl", {}))


harness.main(body, long_rounds=1)
