/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The note by which an ELF image says where it is to be entered in 32-bit mode: owner "Xen", type
 * XEN_ELFNOTE_PHYS32_ENTRY.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4
	.long 4
	.long 18
	.asciz "Xen"
	.long entry
