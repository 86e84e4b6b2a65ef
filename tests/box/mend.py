# SPDX-License-Identifier: BSD-2-Clause
"""A mistake of QEMU's that hangs guests in a box whose instructions are counted, taken out of a QEMU that has
just been started.

When KVM gives its guest an interrupt (EVENTINJ, an external one), QEMU's emulation of VMRUN (helper_vmrun() in
target/i386/tcg, 7.2 and still so in 2025) notes the vector in exception_index, delivers the interrupt by itself,
and leaves the note. Mostly nobody reads it: the next exit from the guest, or exception in it, writes another one
over it. But a processor that is asked to leave its loop before that (exit_request, in cpu_handle_interrupt())
takes it for an exception that is still to be delivered: the guest gets the interrupt a second time, be its
interrupts on or off. A Linux whose timer so interrupts what must not be interrupted hangs.

It is asked so by a count of instructions that has come to its end (--icount): every few boots one hung. No option
of QEMU's or of either kernel's keeps that away, so the instruction that makes the note goes. Who wants all
processors to stand still asks it so, too; where instructions are not counted that is seldom, and all in all a box
is quicker and hangs less often with the note than without (measured), so that it stays there.
"""

import os
import re

# In QEMU's C: error_code = ..., exception_index = vector, exception_is_int = 0, exception_next_eip = -1, and is
# there a log? Of the other kinds of event the one has no -1 and the other has its vector in another register.
NOTE = re.compile(rb"\x41\x0f\xb6\xf4"                 # movzbl %r12b,%esi
                  rb"\x44\x89\xab...\0"                # mov    %r13d,error_code(%rbx)
                  rb"(\x89\xb3..\xff\xff)"             # mov    %esi,exception_index(%rbx)
                  rb"\xc7\x83...\0\0\0\0\0"            # movl   $0,exception_is_int(%rbx)
                  rb"\x48\xc7\x83...\0\xff\xff\xff\xff"  # movq   $-1,exception_next_eip(%rbx)
                  rb"\xf6\x05...\0\x02", re.DOTALL)    # testb  $2,qemu_loglevel(%rip)
NOP = b"\x90"


def place_of_note(program):
    """Where it is in the file, and its length; None: not there, or not known for sure."""
    found = list(NOTE.finditer(program))
    return (found[0].start(1), len(found[0].group(1))) if len(found) == 1 else None


def address_of(pid, offset):
    """Where a process has this place of its program's code; None: nowhere."""
    program = os.readlink(f"/proc/{pid}/exe")
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            # begin-end rwxp offset device inode path
            addresses, rights, mapped_from, *_, path = line.rstrip("\n").split(maxsplit=5)
            begin, end = (int(address, 16) for address in addresses.split("-"))
            skipped = offset - int(mapped_from, 16)
            if path == program and rights[2] == "x" and 0 <= skipped < end - begin:
                return begin + skipped
    return None


def mend(pid):
    """A child that has just begun to run QEMU. Returns whether it has been mended; one that was built otherwise
    cannot be, or that we may not touch, and runs as it is."""
    try:
        with open(f"/proc/{pid}/exe", "rb") as program:
            place = place_of_note(program.read())
        address = place and address_of(pid, place[0])
        if not address:
            return False
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(NOP * place[1])
    except OSError:
        return False
    return True
