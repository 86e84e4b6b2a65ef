/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/ring.h"

#define FLAGS_NONE 0x2	/* interrupts off, no ports but by the bitmap */

	.code64
	.text

/*
 * void user_call(void (*function)(void)): calls it in ring 3, on the same stack, and is back in
 * ring 0 when it has returned.
 */
	.globl user_call
user_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, user_stack
	mov $SELECTOR_USER_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	lea -8(%rsp), %rax
	push $SELECTOR_USER_DATA
	push %rax
	push $FLAGS_NONE
	push $SELECTOR_USER_CODE
	push $user_begin
	iretq
user_begin:
	call *%rdi
	int $VECTOR_USER_END

/* The gate: what was called has returned, or is left as it is. */
	.globl user_end
user_end:
	mov $SELECTOR_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov user_stack, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.bss
	.balign 8
user_stack:
	.skip 8

	.section .note.GNU-stack, "", @progbits
