/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that lives with a balloon: it does what the balloon wants as far as it can, says truly
 * how it uses its memory, and uses as much as it is told to, if it has it.
 *
 * Bytes on COM1 tell it: 'a' to 'z', to use 0 to 25 times LOAD_UNIT; 'Q', to end.  What it uses is
 * at the bottom of its memory, what is in the balloon at the top.  What it uses must stay as it
 * was, whatever goes into the balloon and comes back.
 */
#include "drivers/balloon/balloon.h"
#include "payload/payload.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS 60000000000ull
#define LOOK_NS    1000000ull
#define PAGE       VIRTIO_BALLOON_PAGE_BYTES
#define MEMORY_AT  (32u << 20)
#define MIB_PAGES  256u
#define LOAD_UNIT  (16 * MIB_PAGES)
#define STEP       (4 * MIB_PAGES) /* pages that are used, or go, before it looks round */

static struct pv_baldrv_request request;

static struct {
	struct pv_baldrv *balloon;
	uint32_t pages, away;
	uint32_t wanted, used; /* by its load */
	bool is_told, is_ended, is_sound;
} guest;

static volatile uint64_t *page_at(uint32_t page)
{
	return (volatile uint64_t *)(MEMORY_AT + (uintptr_t)page * PAGE);
}

static uint64_t mark_of(uint32_t page)
{
	return 0x9e3779b97f4a7c15u * (page + 1);
}

static uint32_t at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t unused(void)
{
	return guest.pages - guest.away - guest.used;
}

/* ---- what it uses ---- */

static void use_more(uint32_t pages)
{
	for (; pages > 0; pages--, guest.used++)
		*page_at(guest.used) = mark_of(guest.used);
}

static void use_less(uint32_t pages)
{
	for (; pages > 0; pages--) {
		guest.used--;
		guest.is_sound &= *page_at(guest.used) == mark_of(guest.used);
	}
}

static void hear_load(void)
{
	uint8_t byte;

	if (!has_heard())
		return;
	byte = hear();
	guest.is_ended = byte == 'Q';
	if (byte < 'a' || byte > 'z')
		return;
	guest.wanted = (byte - 'a') * LOAD_UNIT;
	guest.is_told = true;
}

static void work(void)
{
	if (guest.used < guest.wanted)
		use_more(at_most(at_most(guest.wanted - guest.used, unused()), STEP));
	else
		use_less(at_most(guest.used - guest.wanted, STEP));
	if (!guest.is_told || guest.used != guest.wanted)
		return;
	guest.is_told = false;
	payload_note("MiB in use:", guest.used / MIB_PAGES);
}

/* ---- the balloon ---- */

static uint32_t collect(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	const struct virtio_balloon_stat stats[] = {
		{ pv_le16_of(VIRTIO_BALLOON_S_MEMTOT), pv_le64_of((uint64_t)guest.pages * PAGE) },
		{ pv_le16_of(VIRTIO_BALLOON_S_MEMFREE), pv_le64_of((uint64_t)unused() * PAGE) },
		{ pv_le16_of(VIRTIO_BALLOON_S_AVAIL), pv_le64_of((uint64_t)unused() * PAGE) },
	};

	(void)arg;
	if (max < sizeof(stats) / sizeof(stats[0]))
		return 0;
	__builtin_memcpy(stat, stats, sizeof(stats));
	return sizeof(stats) / sizeof(stats[0]);
}

/* `first` counts from the bottom. */
static bool go(int (*begin)(struct pv_baldrv *balloon, struct pv_baldrv_request *request),
               uint32_t first, uint32_t pages)
{
	const struct pv_baldrv_range range = { (uint64_t)(uintptr_t)page_at(first), pages };

	request = (struct pv_baldrv_request){ .range = &range, .ranges = 1 };
	return begin(guest.balloon, &request) == 0 &&
	       pv_baldrv_wait(guest.balloon, &request.is_done, TIMEOUT_NS) == 0 &&
	       request.error == 0;
}

static bool inflate(uint32_t pages)
{
	const bool is_good = pages == 0 ||
	                     go(pv_baldrv_inflate, guest.pages - guest.away - pages, pages);

	guest.away += pages;
	return is_good;
}

static bool deflate(uint32_t pages)
{
	const bool is_good = go(pv_baldrv_deflate, guest.pages - guest.away, pages);

	guest.away -= pages;
	return is_good;
}

static bool follow(void)
{
	uint32_t target;

	pv_baldrv_poll(guest.balloon);
	if (pv_baldrv_target(guest.balloon, &target))
		return false;
	if (target < guest.away)
		return deflate(at_most(guest.away - target, STEP));
	return inflate(at_most(at_most(target - guest.away, unused()), STEP));
}

/* ---- its life ---- */

/* All of it was used once, as that of a guest that has been up for a while. */
static void touch_all(void)
{
	for (uint32_t page = 0; page < guest.pages; page++)
		*page_at(page) = 1;
}

static void live(void)
{
	bool is_good = true;

	touch_all();
	payload_note("MiB in use:", 0);
	while (is_good && !guest.is_ended) {
		const uint64_t until = clock_ns() + LOOK_NS;

		hear_load();
		work();
		is_good = follow();
		while (clock_ns() < until)
			__asm__ volatile("pause");
	}
	use_less(guest.used);
	payload_ok(is_good, "it has lived with its balloon to the end");
	payload_ok(guest.is_sound, "what it used was as it had left it");
	payload_ok(pv_baldrv_actual(guest.balloon) == guest.away, "the two agree what is in it");
}

void payload_live_with_balloon(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_baldrv_options wanted = { .timeout_ns = TIMEOUT_NS, .stats = collect };

	bare_forget();
	guest.pages = options->balloon_mib * MIB_PAGES;
	guest.is_sound = true;
	if (!payload_ok(pv_baldrv_create(&guest.balloon, bus, &bare_os, &wanted) == 0,
	                "it comes up"))
		return;
	if (payload_ok(guest.pages > 0, "there is memory for it"))
		live();
	pv_baldrv_destroy(guest.balloon);
}
