/* SPDX-License-Identifier: BSD-2-Clause */
/* The jobs, by their names on the command line. */
#include "tests/guests/bare/bare.h"

#define CPUS_LIMIT_NS 20000000000ull

/* ---- the small jobs ---- */

/* The next instruction would have to come from configuration space. */
static void job_internal(const struct words *words, const struct start_info *info)
{
	(void)words;
	(void)info;
	say("about to run registers\n");
	((void (*)(void))acpi_ecam())();
}

static void job_cpus(const struct words *words, const struct start_info *info)
{
	unsigned int cpus = (unsigned int)number_of(words, 1);

	(void)info;
	equal(cpus_listed(), cpus, "the MADT lists the processors that were asked for");
	equal(cpus_start(cpus, NULL, CPUS_LIMIT_NS), cpus, "all processors start");
	finish();
}

static void job_disk(const struct words *words, const struct start_info *info)
{
	(void)info;
	pci_begin();
	equal(disks_check(), number_of(words, 1), "all disks are there");
	finish();
}

static const struct {
	const char *name;
	void (*run)(const struct words *words, const struct start_info *info);
} jobs[] = {
	{ "hello", job_hello },       { "disk", job_disk },   { "cpus", job_cpus },
	{ "hostile", job_hostile },   { "storm", job_storm }, { "triple", job_triple },
	{ "internal", job_internal }, { "reset", job_reset },
};

void guest_main(const struct start_info *info)
{
	struct words words;

	serial_begin();
	traps_begin();
	if (info->magic != START_MAGIC || !acpi_begin(info->rsdp))
		bail_out("the start info is not what it should be");
	clock_begin();
	words_of(&words, info);
	for (size_t i = 0; words.words > 0 && i < sizeof(jobs) / sizeof(jobs[0]); i++)
		if (is_same(words.word[0], jobs[i].name))
			jobs[i].run(&words, info);
	bail_out("no such job");
}
