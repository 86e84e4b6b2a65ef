/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handler uses nothing but atomics and these system calls:
 *
 * #syscalls mmap write rt_sigaction rt_sigreturn tgkill getpid gettid
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosted/backends/terminal.h"
#include "hosted/control/guard.h"

/* `base` is 0 in a free place; it is stored last and cleared first. */
struct range {
	atomic_uintptr_t base;
	atomic_size_t bytes;
	atomic_bool is_tripped;
	const void *owner; /* not the handler's */
};

static struct range *range;
static size_t ranges_max;
/* Beyond these no place has ever been taken. */
static atomic_size_t ranges;
static atomic_int wake_fd = -1;
static uintptr_t page_bytes;

static size_t known_ranges(void)
{
	return atomic_load_explicit(&ranges, memory_order_acquire);
}

static struct range *find(uintptr_t address)
{
	size_t count = known_ranges();

	for (size_t i = 0; i < count; i++) {
		uintptr_t base = atomic_load_explicit(&range[i].base, memory_order_acquire);
		size_t bytes = atomic_load_explicit(&range[i].bytes, memory_order_relaxed);

		if (base && address - base < bytes)
			return &range[i];
	}
	return NULL;
}

static bool cover(uintptr_t from, uintptr_t end)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the address of the fault is an integer */
	return mmap((void *)from, end - from, PROT_READ | PROT_WRITE,
	            MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/* From the page of the fault on; of huge pages only a whole range can be replaced. */
static bool mend(struct range *hit, uintptr_t address)
{
	uintptr_t base = atomic_load_explicit(&hit->base, memory_order_relaxed);
	uintptr_t end = base + atomic_load_explicit(&hit->bytes, memory_order_relaxed);

	return cover(address & ~(page_bytes - 1), end) || cover(base, end);
}

static void wake(void)
{
	int fd = atomic_load_explicit(&wake_fd, memory_order_relaxed);
	const uint64_t one = 1;

	/* A counter that is full has woken the reader already. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void bus_error(int signal, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct range *hit = info->si_code == BUS_ADRERR ? find(address) : NULL;
	int saved_errno = errno;

	(void)context;
	/* Said first: what is put in its place must not be taken for the file's. */
	if (hit)
		atomic_store_explicit(&hit->is_tripped, true, memory_order_seq_cst);
	if (hit && mend(hit, address)) {
		wake();
	} else {
		struct sigaction standard = { .sa_handler = SIG_DFL };

		pv_terminal_put_back();
		sigaction(SIGBUS, &standard, NULL);
		raise(signal);
	}
	errno = saved_errno;
}

int pv_guard_install(int fd, size_t devices)
{
	struct sigaction action = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO };
	size_t places = devices * PV_GUARD_RANGES;

	/* A machine may have no device at all. */
	range = mmap(NULL, (places + 1) * sizeof(*range), PROT_READ | PROT_WRITE,
	             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return -errno;
	ranges_max = places;
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	atomic_store_explicit(&wake_fd, fd, memory_order_relaxed);
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

/* The first with this base, which is 0 for one that is free. */
static struct range *find_base(const void *base)
{
	size_t count = known_ranges();

	for (size_t i = 0; i < count; i++)
		if (atomic_load_explicit(&range[i].base, memory_order_relaxed) == (uintptr_t)base)
			return &range[i];
	return NULL;
}

static struct range *new_place(void)
{
	size_t count = known_ranges();

	if (count == ranges_max)
		return NULL;
	atomic_store_explicit(&ranges, count + 1, memory_order_release);
	return &range[count];
}

void pv_guard_mapped(void *owner, void *base, size_t bytes)
{
	struct range *at = find_base(NULL);

	if (!at)
		at = new_place();
	if (!at)
		return;
	at->owner = owner;
	atomic_store_explicit(&at->bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&at->is_tripped, false, memory_order_relaxed);
	atomic_store_explicit(&at->base, (uintptr_t)base, memory_order_release);
}

void pv_guard_unmapped(void *base)
{
	struct range *at = base ? find_base(base) : NULL;

	if (at)
		atomic_store_explicit(&at->base, 0, memory_order_release);
}

const atomic_bool *pv_guard_trip_of(const void *base)
{
	const struct range *at = base ? find_base(base) : NULL;

	return at ? &at->is_tripped : NULL;
}

static bool is_tripped(const struct range *at)
{
	return atomic_load_explicit(&at->base, memory_order_relaxed) &&
	       atomic_load_explicit(&at->is_tripped, memory_order_acquire);
}

bool pv_guard_is_tripped(const void *base)
{
	const struct range *at = base ? find_base(base) : NULL;

	return at && is_tripped(at);
}

bool pv_guard_is_any_tripped(const void *owner)
{
	size_t count = known_ranges();

	for (size_t i = 0; i < count; i++)
		if (range[i].owner == owner && is_tripped(&range[i]))
			return true;
	return false;
}
