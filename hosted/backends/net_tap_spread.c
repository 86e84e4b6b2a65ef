/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that spreads frames, written for the kernel's machine by a small assembler.
 *
 * It finds what of a frame is to be hashed, in the order of section 5.1.6.4.3, puts it on its
 * stack, and jumps into a row of steps, one for each byte, which is as long as the longest input:
 * an input of n bytes enters n steps before the end.
 *
 * #syscalls ioctl close munmap
 */
#include "hosted/backends/net_tap_spread.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/net/hash.h"
#include "ring/err.h"

/* What the program goes by. It reads while we write: a frame meanwhile may go to any of the pairs.
 */
struct pv_spread_map {
	uint32_t mask;
	uint32_t unclassified;
	uint32_t table[PV_NET_RSS_TABLE_MAX];
	struct pv_net_hasher hasher;
};

/* ---- an assembler ---- */

/* Places that are jumped to. The last PV_NET_HASH_INPUT_MAX are steps: so many bytes are left. */
enum place {
	NOT_TAGGED,
	IPV4,
	IPV4_PORTS,
	IPV4_ALONE,
	IPV6,
	IPV6_PORTS,
	IPV6_ALONE,
	UNCLASSIFIED,
	STEPS
};
#define PLACES    (STEPS + PV_NET_HASH_INPUT_MAX + 1)
#define INSNS_MAX 512u

struct program {
	struct bpf_insn insn[INSNS_MAX];
	uint16_t jump_to[INSNS_MAX]; /* a place, and 1 */
	uint16_t at[PLACES];
	uint16_t count;
};

static void emit(struct program *program, uint8_t code, unsigned int to, unsigned int from,
                 int16_t offset, int32_t value)
{
	pv_bug_on(program->count == INSNS_MAX);
	program->insn[program->count++] = (struct bpf_insn){
		.code = code, .dst_reg = to & 15, .src_reg = from & 15, .off = offset, .imm = value
	};
}

static void here(struct program *program, unsigned int place)
{
	program->at[place] = program->count;
}

static void jump_if(struct program *program, uint8_t condition, unsigned int reg, int32_t value,
                    unsigned int place)
{
	program->jump_to[program->count] = (uint16_t)(place + 1);
	emit(program, BPF_JMP | condition | BPF_K, reg, 0, 0, value);
}

static void jump(struct program *program, unsigned int place)
{
	jump_if(program, BPF_JA, 0, 0, place);
}

static void calculate(struct program *program, uint8_t operation, unsigned int reg, int32_t value)
{
	emit(program, BPF_ALU64 | operation | BPF_K, reg, 0, 0, value);
}

static void calculate_by(struct program *program, uint8_t operation, unsigned int to,
                         unsigned int from)
{
	emit(program, BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}

static void load(struct program *program, uint8_t size, unsigned int to, unsigned int base,
                 int offset)
{
	emit(program, BPF_LDX | BPF_MEM | size, to, base, (int16_t)offset, 0);
}

/* Where jumps lead is known when all is written. */
static void link_jumps(struct program *program)
{
	for (uint16_t i = 0; i < program->count; i++)
		if (program->jump_to[i] > 0)
			program->insn[i].off =
				(int16_t)(program->at[program->jump_to[i] - 1] - i - 1);
}

/* ---- the program ---- */

/* Registers that calls leave alone: the frame, the shared memory, the hash, and where IP's header
 * is. */
enum { R0, R1, R2, R3, R4, FRAME = 6, SHARED = 7, HASH = 8, AT = 9, STACK = 10 };

/* On the stack: the input of the hash, and what is looked at on the way. */
#define INPUT (-40)
#define LOOK  (-64)

#define ETHERTYPE_AT   12
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define TCP            6
#define UDP            17

#define IPV4_FRAGMENT_AT 6
#define IPV4_PROTOCOL_AT 9
#define IPV4_SOURCE_AT   12
#define IPV6_NEXT_AT     6
#define IPV6_SOURCE_AT   8
#define IPV6_BYTES       40

/* Copies bytes of the frame, `offset` behind AT, to the stack; of one that is shorter, goes
 * elsewhere. */
static void fetch(struct program *program, int offset, int to, int bytes, unsigned int otherwise)
{
	calculate_by(program, BPF_MOV, R1, FRAME);
	calculate_by(program, BPF_MOV, R2, AT);
	calculate(program, BPF_ADD, R2, offset);
	calculate_by(program, BPF_MOV, R3, STACK);
	calculate(program, BPF_ADD, R3, to);
	calculate(program, BPF_MOV, R4, bytes);
	emit(program, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
	jump_if(program, BPF_JNE, R0, 0, otherwise);
}

/* A big-endian half word of the stack. */
static void load_half(struct program *program, unsigned int to, int from)
{
	load(program, BPF_H, to, STACK, from);
	emit(program, BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, 16);
}

static void unless_enabled(struct program *program, uint32_t type, unsigned int otherwise)
{
	load(program, BPF_W, R1, SHARED, offsetof(struct pv_spread_map, hasher.types));
	calculate(program, BPF_AND, R1, (int32_t)type);
	jump_if(program, BPF_JEQ, R1, 0, otherwise);
}

static void begin(struct program *program, int map)
{
	calculate_by(program, BPF_MOV, FRAME, R1);
	emit(program, BPF_LD | BPF_IMM | BPF_DW, SHARED, BPF_PSEUDO_MAP_VALUE, 0, map);
	emit(program, 0, 0, 0, 0, 0);
	calculate(program, BPF_MOV, HASH, 0);
}

static void find_network(struct program *program)
{
	calculate(program, BPF_MOV, AT, 0);
	fetch(program, ETHERTYPE_AT, LOOK, 2, UNCLASSIFIED);
	load_half(program, R1, LOOK);
	calculate(program, BPF_MOV, AT, 14);
	jump_if(program, BPF_JNE, R1, ETHERTYPE_VLAN, NOT_TAGGED);
	fetch(program, 2, LOOK, 2, UNCLASSIFIED);
	load_half(program, R1, LOOK);
	calculate(program, BPF_MOV, AT, 18);
	here(program, NOT_TAGGED);
	jump_if(program, BPF_JEQ, R1, ETHERTYPE_IPV4, IPV4);
	jump_if(program, BPF_JEQ, R1, ETHERTYPE_IPV6, IPV6);
	jump(program, UNCLASSIFIED);
}

/* The protocol is in R1: with ports, if those count, otherwise without. */
static void choose_ports(struct program *program, uint32_t tcp, uint32_t udp, unsigned int with,
                         unsigned int without)
{
	calculate_by(program, BPF_MOV, R2, R1);
	load(program, BPF_W, R3, SHARED, offsetof(struct pv_spread_map, hasher.types));
	calculate_by(program, BPF_MOV, R4, R3);
	calculate(program, BPF_AND, R3, (int32_t)tcp);
	calculate(program, BPF_AND, R4, (int32_t)udp);
	/* Over the next two where it is not TCP, then the same of UDP. */
	emit(program, BPF_JMP | BPF_JNE | BPF_K, R2, 0, 1, TCP);
	jump_if(program, BPF_JNE, R3, 0, with);
	emit(program, BPF_JMP | BPF_JNE | BPF_K, R2, 0, 1, UDP);
	jump_if(program, BPF_JNE, R4, 0, with);
	jump(program, without);
}

static void find_ipv4(struct program *program)
{
	here(program, IPV4);
	fetch(program, 0, LOOK, 12, UNCLASSIFIED);
	fetch(program, IPV4_SOURCE_AT, INPUT, 8, UNCLASSIFIED);
	load_half(program, R1, LOOK + IPV4_FRAGMENT_AT);
	calculate(program, BPF_AND, R1, 0x3fff);
	jump_if(program, BPF_JNE, R1, 0, IPV4_ALONE);
	load(program, BPF_B, R1, STACK, LOOK + IPV4_PROTOCOL_AT);
	choose_ports(program, VIRTIO_NET_HASH_TYPE_TCPv4, VIRTIO_NET_HASH_TYPE_UDPv4, IPV4_PORTS,
	             IPV4_ALONE);
	here(program, IPV4_PORTS);
	load(program, BPF_B, R1, STACK, LOOK);
	calculate(program, BPF_AND, R1, 15);
	calculate(program, BPF_LSH, R1, 2);
	calculate_by(program, BPF_ADD, AT, R1);
	fetch(program, 0, INPUT + 8, 4, IPV4_ALONE);
	jump(program, STEPS + 12);
	here(program, IPV4_ALONE);
	unless_enabled(program, VIRTIO_NET_HASH_TYPE_IPv4, UNCLASSIFIED);
	jump(program, STEPS + 8);
}

static void find_ipv6(struct program *program)
{
	here(program, IPV6);
	fetch(program, 0, LOOK, 8, UNCLASSIFIED);
	fetch(program, IPV6_SOURCE_AT, INPUT, 32, UNCLASSIFIED);
	load(program, BPF_B, R1, STACK, LOOK + IPV6_NEXT_AT);
	choose_ports(program, VIRTIO_NET_HASH_TYPE_TCPv6, VIRTIO_NET_HASH_TYPE_UDPv6, IPV6_PORTS,
	             IPV6_ALONE);
	here(program, IPV6_PORTS);
	fetch(program, IPV6_BYTES, INPUT + 32, 4, IPV6_ALONE);
	jump(program, STEPS + 36);
	here(program, IPV6_ALONE);
	unless_enabled(program, VIRTIO_NET_HASH_TYPE_IPv6, UNCLASSIFIED);
	jump(program, STEPS + 32);
}

static void hash(struct program *program)
{
	for (int left = PV_NET_HASH_INPUT_MAX; left > 0; left--) {
		int byte = left - 1;

		here(program, STEPS + (unsigned int)left);
		load(program, BPF_B, R1, STACK, INPUT + byte);
		calculate(program, BPF_LSH, R1, 2);
		calculate_by(program, BPF_MOV, R2, SHARED);
		calculate_by(program, BPF_ADD, R2, R1);
		/* Further than an instruction's offset reaches. */
		calculate(program, BPF_ADD, R2,
		          (int32_t)(offsetof(struct pv_spread_map, hasher.table) +
		                    (size_t)byte * 256 * sizeof(uint32_t)));
		load(program, BPF_W, R1, R2, 0);
		calculate_by(program, BPF_XOR, HASH, R1);
	}
}

static void look_up(struct program *program)
{
	load(program, BPF_W, R1, SHARED, offsetof(struct pv_spread_map, mask));
	calculate_by(program, BPF_AND, R1, HASH);
	calculate(program, BPF_AND, R1, PV_NET_RSS_TABLE_MAX - 1);
	calculate(program, BPF_LSH, R1, 2);
	calculate_by(program, BPF_ADD, R1, SHARED);
	load(program, BPF_W, R0, R1, offsetof(struct pv_spread_map, table));
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	here(program, UNCLASSIFIED);
	load(program, BPF_W, R0, SHARED, offsetof(struct pv_spread_map, unclassified));
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void write_program(struct program *program, int map)
{
	begin(program, map);
	find_network(program);
	find_ipv4(program);
	find_ipv6(program);
	hash(program);
	look_up(program);
	link_jumps(program);
}

/* ---- the kernel ---- */

static int bpf(int command, union bpf_attr *attr)
{
	long done = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return done < 0 ? -errno : (int)done;
}

static int create_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
		                .key_size = sizeof(uint32_t),
		                .value_size = sizeof(struct pv_spread_map),
		                .max_entries = 1,
		                .map_flags = BPF_F_MMAPABLE };

	return bpf(BPF_MAP_CREATE, &attr);
}

#define LOADS_MAX 50

static int load_program(int map)
{
	static const char license[] = "Dual BSD/GPL";
	struct program program = { 0 };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		                .insns = (uintptr_t)program.insn,
		                .license = (uintptr_t)license };

	int fd = -EAGAIN;

	write_program(&program, map);
	attr.insn_cnt = program.count;
	/* The kernel breaks off when a signal or an end of an io_uring request waits for us. */
	for (int i = 0; fd == -EAGAIN && i < LOADS_MAX; i++)
		fd = bpf(BPF_PROG_LOAD, &attr);
	return fd;
}

int pv_tap_spread_init(struct pv_tap_spread *spread)
{
	void *shared = MAP_FAILED;
	int err;

	*spread = (struct pv_tap_spread){ .program = -1, .map = create_map() };
	if (spread->map < 0)
		return spread->map;
	spread->program = load_program(spread->map);
	err = spread->program < 0 ? spread->program : 0;
	if (!err)
		shared = mmap(NULL, sizeof(struct pv_spread_map), PROT_READ | PROT_WRITE,
		              MAP_SHARED, spread->map, 0);
	if (!err && shared == MAP_FAILED)
		err = -errno;
	if (!err)
		spread->shared = shared;
	else
		pv_tap_spread_fini(spread);
	return err;
}

void pv_tap_spread_fini(struct pv_tap_spread *spread)
{
	if (spread->shared)
		munmap(spread->shared, sizeof(*spread->shared));
	if (spread->program >= 0)
		close(spread->program);
	if (spread->map >= 0)
		close(spread->map);
	*spread = (struct pv_tap_spread){ .program = -1, .map = -1 };
}

static void fill_in(struct pv_spread_map *shared, const struct pv_net_spread *wanted)
{
	pv_net_hasher_set(&shared->hasher, wanted->types, wanted->key, wanted->key_bytes);
	for (size_t i = 0; i < PV_NET_RSS_TABLE_MAX; i++)
		shared->table[i] = wanted->table[i];
	shared->mask = wanted->mask;
	shared->unclassified = wanted->unclassified;
}

bool pv_tap_spread_set(struct pv_tap_spread *spread, int fd, const struct pv_net_spread *wanted)
{
	int program = wanted ? spread->program : -1;

	if (wanted)
		fill_in(spread->shared, wanted);
	return ioctl(fd, TUNSETSTEERINGEBPF, &program) == 0;
}
