# SPDX-License-Identifier: BSD-2-Clause
"""Keeps KVM in use in the box, from the first to the last second of it.

The kernel patches its code when the first virtual machine comes and when the last one goes (and likewise
for the first and last vCPU with an APIC that is off, and without one): among it what every change of tasks
goes through. Translated code is thrown away by QEMU just before the patch is written, not with it, so that
another processor of the box may translate the old byte again and keep it: a breakpoint that is no longer
there. It then runs into this for ever, with interrupts off. As long as these machines live nothing is
patched."""

import fcntl
import os
import time

KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP = 0xAE01, 0xAE41, 0xAE60

kvm = os.open("/dev/kvm", os.O_RDWR)
for with_apic in (True, False):
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    if with_apic:
        fcntl.ioctl(machine, KVM_CREATE_IRQCHIP, 0)
    fcntl.ioctl(machine, KVM_CREATE_VCPU, 0)
if os.fork() == 0:
    while True:
        time.sleep(1000)
