/* SPDX-License-Identifier: BSD-2-Clause */
/* The jobs, by their names on the command line. */
#include "tests/guests/bare/bare.h"

#define CPUS_LIMIT_NS 20000000000ull
#define TEXT_MAX      256u

void guest_main(const struct start_info *info);

/* ---- words ---- */

static void split(char *text, struct words *words)
{
	while (words->words < sizeof(words->word) / sizeof(words->word[0])) {
		while (*text == ' ')
			*text++ = '\0';
		if (*text == '\0')
			return;
		words->word[words->words++] = text;
		while (*text != ' ' && *text != '\0')
			text++;
	}
}

static bool is_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

uint64_t number_of(const struct words *words, unsigned int index)
{
	uint64_t number = 0;

	if (index >= words->words)
		return 0;
	for (const char *at = words->word[index]; *at >= '0' && *at <= '9'; at++)
		number = 10 * number + (uint64_t)(*at - '0');
	return number;
}

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
	static char text[TEXT_MAX];
	struct words words = { .words = 0 };
	const char *line = (const char *)info->command_line;

	serial_begin();
	traps_begin();
	if (info->magic != START_MAGIC || !acpi_begin(info->rsdp))
		bail_out("the start info is not what it should be");
	for (unsigned int i = 0; i < TEXT_MAX - 1 && line[i]; i++)
		text[i] = line[i];
	split(text, &words);
	for (size_t i = 0; words.words > 0 && i < sizeof(jobs) / sizeof(jobs[0]); i++)
		if (is_same(words.word[0], jobs[i].name))
			jobs[i].run(&words, info);
	bail_out("no such job");
}
