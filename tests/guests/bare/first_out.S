/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest guest: its first instructions write an R to COM1, the next ones switch the machine
 * off.  What lies between the start of the program and the R is the program's.
 */
	.code32
	.text
	.globl entry
entry:
	mov $0x3f8, %dx
	mov $'R', %al
	out %al, %dx
	mov $0x604, %dx		/* PM1 control */
	mov $0x3400, %ax	/* SLP_EN, and the type that means off */
	out %ax, %dx
0:	hlt
	jmp 0b

	.section .note.GNU-stack, "", @progbits
