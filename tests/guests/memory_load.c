/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs in a guest: `memory_load MIB [SECONDS]` takes so much memory, fills it with words that tell
 * where they are, reads all of them, and does that once more with others, and again until the time
 * is over.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define MIB   (1ull << 20)
#define TURNS 2u

static uint64_t word_at(uint64_t index, unsigned int turn)
{
	return (index + 1) * 0x9e3779b97f4a7c15ull + turn;
}

static int check(volatile uint64_t *memory, uint64_t words, unsigned int turn)
{
	for (uint64_t i = 0; i < words; i++)
		memory[i] = word_at(i, turn);
	for (uint64_t i = 0; i < words; i++)
		if (memory[i] != word_at(i, turn)) {
			fprintf(stderr, "word %llu is %llx\n", (unsigned long long)i,
			        (unsigned long long)memory[i]);
			return EXIT_FAILURE;
		}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) * MIB : 0;
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
	uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int status = EXIT_SUCCESS;

	if (memory == MAP_FAILED) {
		perror("memory_load MIB [SECONDS]");
		return EXIT_FAILURE;
	}
	for (unsigned int turn = 0; status == EXIT_SUCCESS && (turn < TURNS || time(NULL) < end);
	     turn++)
		status = check(memory, bytes / sizeof(*memory), turn);
	return status;
}
