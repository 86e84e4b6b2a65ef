/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types that both halves share.
 *
 * Everything a driver and a device exchange lies in memory as little-endian integers and as
 * addresses that only mean something to the guest.  Both are wrapped in structs of one member
 * here, so that a field cannot be used before it was converted, and a guest address cannot be
 * followed before it was looked up in a memory table: either mistake does not compile.
 */
#ifndef PV_ABI_TYPES_H
#define PV_ABI_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct pv_le16 {
	uint16_t raw;
};

struct pv_le32 {
	uint32_t raw;
};

struct pv_le64 {
	uint64_t raw;
};

/* A guest physical address, or an I/O virtual address where an IOMMU stands between. */
struct pv_gpa {
	uint64_t v;
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PV_LE16(x) ((uint16_t)(x))
#define PV_LE32(x) ((uint32_t)(x))
#define PV_LE64(x) ((uint64_t)(x))
#else
#define PV_LE16(x) __builtin_bswap16((uint16_t)(x))
#define PV_LE32(x) __builtin_bswap32((uint32_t)(x))
#define PV_LE64(x) __builtin_bswap64((uint64_t)(x))
#endif

static inline uint16_t pv_le16_get(struct pv_le16 field)
{
	return PV_LE16(field.raw);
}

static inline uint32_t pv_le32_get(struct pv_le32 field)
{
	return PV_LE32(field.raw);
}

static inline uint64_t pv_le64_get(struct pv_le64 field)
{
	return PV_LE64(field.raw);
}

static inline struct pv_le16 pv_le16_of(uint16_t value)
{
	return (struct pv_le16){ PV_LE16(value) };
}

static inline struct pv_le32 pv_le32_of(uint32_t value)
{
	return (struct pv_le32){ PV_LE32(value) };
}

static inline struct pv_le64 pv_le64_of(uint64_t value)
{
	return (struct pv_le64){ PV_LE64(value) };
}

static inline struct pv_gpa pv_gpa_of(uint64_t value)
{
	return (struct pv_gpa){ value };
}

static inline struct pv_gpa pv_gpa_add(struct pv_gpa base, uint64_t bytes)
{
	return (struct pv_gpa){ base.v + bytes };
}

#ifdef __cplusplus
#define PV_STATIC_ASSERT static_assert
#else
#define PV_STATIC_ASSERT _Static_assert
#endif

/* Layout proofs: one line a field, beside the struct that it proves. */
#define PV_AT(type, member, offset)                                                                \
	PV_STATIC_ASSERT(offsetof(type, member) == (offset), #type "." #member " is misplaced")
#define PV_SIZE(type, bytes) PV_STATIC_ASSERT(sizeof(type) == (bytes), #type " has the wrong size")

#endif
