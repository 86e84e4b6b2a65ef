/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every access to memory that a peer writes at the same time, and every barrier of the project.
 *
 * A field of shared memory is read once, by one of these functions, into a local that is then
 * checked and used: a compiler is free to read plain memory twice, and a peer to change it in
 * between.  Ordering is always one of three pairs, named at each use:
 *
 *   publish - observe   a release store of an index or flag, after the entries it covers, pairs
 *                       with the other side's acquire load before it reads those entries;
 *   arm - recheck       "wake me" is stored, then a full barrier, then the ring is read again;
 *   publish - decide    the index is stored, then a full barrier, then "wake me?" is read.
 *
 * The last two pair with each other across the sides: one of them must see the other's store.
 *
 * What a ring notes for whoever comes after it (inflight.h) is read by nobody meanwhile: there, the
 * order of the program is enough, and the compiler is told to keep it.
 */
#ifndef PV_RING_BARRIER_H
#define PV_RING_BARRIER_H

#include "abi/types.h"

/* A test may count the stores to shared memory, or end everything before one of them. */
#ifndef PV_BEFORE_STORE
#define PV_BEFORE_STORE() ((void)0)
#endif

static inline void pv_compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline uint16_t pv_read_le16(const struct pv_le16 *field)
{
	return PV_LE16(__atomic_load_n(&field->raw, __ATOMIC_RELAXED));
}

static inline uint16_t pv_observe_le16(const struct pv_le16 *field)
{
	return PV_LE16(__atomic_load_n(&field->raw, __ATOMIC_ACQUIRE));
}

static inline void pv_write_le16(struct pv_le16 *field, uint16_t value)
{
	PV_BEFORE_STORE();
	__atomic_store_n(&field->raw, PV_LE16(value), __ATOMIC_RELAXED);
}

static inline void pv_publish_le16(struct pv_le16 *field, uint16_t value)
{
	PV_BEFORE_STORE();
	__atomic_store_n(&field->raw, PV_LE16(value), __ATOMIC_RELEASE);
}

static inline void pv_write_le32(struct pv_le32 *field, uint32_t value)
{
	PV_BEFORE_STORE();
	__atomic_store_n(&field->raw, PV_LE32(value), __ATOMIC_RELAXED);
}

/* In two halves where a machine has no more: who reads it before it is published is to blame. */
static inline void pv_write_le64(struct pv_le64 *field, uint64_t value)
{
	PV_BEFORE_STORE();
	field->raw = PV_LE64(value);
}

static inline uint32_t pv_read_le32(const struct pv_le32 *field)
{
	return PV_LE32(__atomic_load_n(&field->raw, __ATOMIC_RELAXED));
}

/*
 * Copies a structure out of shared memory, each byte read once.  The compiler barrier behind it
 * keeps later uses of the copy from becoming reads of the original.
 */
static inline void pv_copy_once(void *restrict copy, const void *restrict shared, size_t bytes)
{
	__builtin_memcpy(copy, shared, bytes);
	__asm__ volatile("" : : : "memory");
}

/*
 * Stores to a journal, in the byte order of the machine, each whole and where it stands in the
 * program: between stores to the ring too.
 */
static inline void pv_note_u8(uint8_t *field, uint8_t value)
{
	PV_BEFORE_STORE();
	pv_compiler_barrier();
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
	pv_compiler_barrier();
}

static inline void pv_note_u16(uint16_t *field, uint16_t value)
{
	PV_BEFORE_STORE();
	pv_compiler_barrier();
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
	pv_compiler_barrier();
}

static inline void pv_note_u32(uint32_t *field, uint32_t value)
{
	PV_BEFORE_STORE();
	pv_compiler_barrier();
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
	pv_compiler_barrier();
}

/* Eight bytes, which may be several fields: `word` and what `value` points to are eight bytes long.
 */
static inline void pv_note_u64(void *word, const void *value)
{
	typedef uint64_t any64 __attribute__((may_alias));
	uint64_t bytes;

	__builtin_memcpy(&bytes, value, sizeof(bytes));
	PV_BEFORE_STORE();
	pv_compiler_barrier();
	__atomic_store_n((any64 *)word, bytes, __ATOMIC_RELAXED);
	pv_compiler_barrier();
}

/* One field of a journal, read once. */
static inline uint16_t pv_look_u16(const uint16_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static inline void pv_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Tells the processor that a loop waits for memory to change. */
static inline void pv_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	__asm__ volatile("" : : : "memory");
#endif
}

#endif
