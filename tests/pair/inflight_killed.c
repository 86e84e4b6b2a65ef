/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of chains in flight, and a device in a process of its own that is killed at random:
 * the next one goes on with what is left, and the driver notices nothing but time.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "hosted/loop/clock.h"
#include "tests/support/mortal.h"

#define DEATHS      8u
#define DEATHS_LONG 400u
#define DRAIN_S     20
#define LIFE_NS_MAX 400000u

static pid_t device_fork(struct mortal_world *world, const struct pv_random *random)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		static struct mortal_device device;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mortal_device_start(&device, world, random))
			*world->complaint = "the journal makes no sense";
		while (!*world->complaint)
			mortal_device_step(&device);
		_exit(0);
	}
	return pid;
}

static void expect_good(const struct mortal_world *world, const char *wrong)
{
	if (wrong)
		fail_msg("%s: %s", world->name, wrong);
}

static void drive_until(struct mortal_world *world, struct pv_random *random, uint64_t end_ns)
{
	do {
		expect_good(world, mortal_driver_adds(world, random));
		if (pv_random_chance(random, 40))
			expect_good(world, mortal_driver_takes(world));
	} while (pv_clock_ns(CLOCK_MONOTONIC) < end_ns);
}

static void drain(struct mortal_world *world)
{
	uint64_t end_ns = pv_clock_ns(CLOCK_MONOTONIC) + DRAIN_S * 1000000000ull;

	while (!mortal_is_done(world)) {
		expect_good(world, mortal_driver_takes(world));
		expect_good(world,
		            pv_clock_ns(CLOCK_MONOTONIC) < end_ns ? NULL : "a request was lost");
	}
}

static void kill_again_and_again(uint64_t features, uint16_t size)
{
	struct pv_random random = pv_random_start(pv_random_seed(), features ^ size);
	uint32_t deaths = getenv("PV_LONG") ? DEATHS_LONG : DEATHS;
	struct mortal_world world;
	pid_t pid;

	mortal_world_open(&world, features, size);
	for (uint32_t i = 0; i <= deaths; i++) {
		pid = device_fork(&world, &random);
		drive_until(&world, &random,
		            pv_clock_ns(CLOCK_MONOTONIC) + pv_random_below(&random, LIFE_NS_MAX));
		if (i == deaths)
			drain(&world);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	expect_good(&world, *world.complaint);
	assert_true(world.done > 0);
	mortal_world_close(&world);
}

static void each_kind_of_ring(uint64_t format)
{
	static const uint16_t sizes[] = { 4, 64 };

	for (uint32_t mix = 0; mix < 8; mix++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			kill_again_and_again(format | VIRTIO_F_VERSION_1 |
			                             (mix & 1 ? VIRTIO_F_INDIRECT_DESC : 0) |
			                             (mix & 2 ? VIRTIO_F_EVENT_IDX : 0) |
			                             (mix & 4 ? VIRTIO_F_IN_ORDER : 0),
			                     sizes[i]);
}

static void nothing_is_lost_on_a_split_ring_whose_device_is_killed(void **state)
{
	(void)state;
	each_kind_of_ring(0);
}

static void nothing_is_lost_on_a_packed_ring_whose_device_is_killed(void **state)
{
	(void)state;
	each_kind_of_ring(VIRTIO_F_RING_PACKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_on_a_split_ring_whose_device_is_killed),
		cmocka_unit_test(nothing_is_lost_on_a_packed_ring_whose_device_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
