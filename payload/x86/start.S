/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From where a PVH guest begins (32-bit protected mode without paging, ebx: the start info) to C in
 * 64-bit mode with 4 GiB mapped address for address; the same for the other processors, which begin
 * in real mode; and the entries of all 256 interrupts.
 */
#define CODE_64     0x08
#define DATA        0x10
#define STACK_BYTES 4096
#define CPUS_MAX    256

#define CR0_LONG  0x80000033	/* paging, numeric errors by exception, MP, protected mode */
#define CR4_LONG  0x00000620	/* PAE, SSE */
#define MSR_EFER  0xc0000080
#define EFER_LONG 0x100

/* ---- the first processor ---- */

	.code32
	.text
	.globl entry
entry:
	mov %esp, %ebp
	mov $stack_top, %esp
	pushf
	pop entry_flags
	mov %cr0, %eax
	mov %eax, entry_cr0
	mov %cr4, %eax
	mov %eax, entry_cr4
	mov %ebx, %edi
	lgdt gdt_pointer
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $CR4_LONG, %eax
	mov %eax, %cr4
	mov $page_top, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LONG, %eax
	wrmsr
	mov $CR0_LONG, %eax
	mov %eax, %cr0
	ljmp $CODE_64, $long_mode

	.code64
long_mode:
	mov %edi, %edi
	xor %ebp, %ebp
	call guest_main
0:	cli
	hlt
	jmp 0b

/* ---- the others: copied to AP_START, a page that their startup message names ---- */

	.code16
	.globl ap_begin, ap_end
ap_begin:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl ap_gdt_pointer - ap_begin + 0x8000
	mov $CR4_LONG, %eax
	mov %eax, %cr4
	mov $page_top, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LONG, %eax
	wrmsr
	mov $CR0_LONG, %eax
	mov %eax, %cr0
	ljmpl $CODE_64, $ap_long_mode
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:

	.code64
ap_long_mode:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %edi
	lock xadd %edi, ap_next
	lea 1(%rdi), %eax
	shl $12, %eax
	lea ap_stacks(%eax), %esp
	xor %ebp, %ebp
	call ap_main
0:	cli
	hlt
	jmp 0b

/* ---- interrupts ---- */

	.balign 16
	.globl trap_entries
trap_entries:
	.set vector, 0
	.rept 256
	.balign 16
	.if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
	push $0
	.endif
	push $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call trap
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

/* ---- tables ---- */

	.data
	.balign 8
gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

	.globl entry_flags, entry_cr0, entry_cr4
	.balign 4
entry_flags:
	.long 0
entry_cr0:
	.long 0
entry_cr4:
	.long 0
	.globl ap_next
ap_next:
	.long 0

/*
 * All is the user's too. The last gigabyte of the table is for whatever is looked at above 4 GiB;
 * memory there is mapped when it is known (memory_begin()).
 */
	.balign 4096
page_top:
	.quad page_directories + 7
	.fill 511, 8, 0
	.globl page_directories
page_directories:
	.set directory, 0
	.rept 4
	.quad pages + 4096 * directory + 7
	.set directory, directory + 1
	.endr
	.fill 507, 8, 0
	.quad page_window + 7
pages:
	.set page, 0
	.rept 2048
	.quad (page << 21) + 0x87
	.set page, page + 1
	.endr
	.globl page_window
page_window:
	.fill 512, 8, 0

	.bss
	.balign 4096
ap_stacks:
	.skip STACK_BYTES * CPUS_MAX
	.skip 8 * STACK_BYTES
stack_top:

	.section .note.GNU-stack, "", @progbits
