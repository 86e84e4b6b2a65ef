/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shortest guest there is: it says one byte on COM1 and halts. Until that byte is there all
 * time is the monitor's.  Loaded by its PVH entry, in 32-bit mode with flat segments.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define COM1                     0x3f8

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long start

	.section .note.GNU-stack, "", @progbits

	.text
	.code32
	.globl start
start:
	movw $COM1, %dx
	movb $'!', %al
	outb %al, %dx
	cli
halt:
	hlt
	jmp halt
