/* SPDX-License-Identifier: BSD-2-Clause */
/* A PVH entry, and from there to C in 64-bit mode with the first 4 GiB mapped address for address. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18		/* owner "Xen", a 32-bit entry: XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry

	.code32
	.text
	.globl entry
entry:
	mov $stack, %esp
	lgdt gdt_pointer
	mov $0x620, %eax	/* PAE, SSE */
	mov %eax, %cr4
	mov $level_4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx	/* EFER: long mode */
	rdmsr
	or $0x100, %eax
	wrmsr
	mov $0x80000033, %eax	/* paging, protected mode */
	mov %eax, %cr0
	ljmp $8, $long_mode

	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	call kernel
0:	cli
	hlt
	jmp 0b

	.data
	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt

	.balign 4096
level_4:
	.quad level_3 + 3
	.fill 511, 8, 0
level_3:
	.quad level_2 + 3, level_2 + 0x1003, level_2 + 0x2003, level_2 + 0x3003
	.fill 508, 8, 0
level_2:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x83
	.set page, page + 1
	.endr

	.bss
	.balign 16
	.skip 16384
stack:
	.section .note.GNU-stack, "", @progbits
