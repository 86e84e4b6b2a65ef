/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. */
#include "payload/x86/machine.h"

#define TEXT_MAX 512u

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

void words_of(struct words *words, const struct start_info *info)
{
	static char text[TEXT_MAX];
	const char *line = (const char *)info->command_line;

	*words = (struct words){ .words = 0 };
	for (unsigned int i = 0; line && i < TEXT_MAX - 1 && line[i]; i++)
		text[i] = line[i];
	split(text, words);
}

bool is_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static uint64_t number_at(const char *at)
{
	uint64_t number = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		number = 10 * number + (uint64_t)(*at - '0');
	return number;
}

uint64_t number_of(const struct words *words, unsigned int index)
{
	return index < words->words ? number_at(words->word[index]) : 0;
}

uint64_t option_of(const struct words *words, const char *name, uint64_t otherwise)
{
	for (unsigned int i = 0; i < words->words; i++) {
		const char *at = words->word[i], *of = name;

		while (*of && *at == *of) {
			at++;
			of++;
		}
		if (*of == '\0' && *at == '=')
			return number_at(at + 1);
	}
	return otherwise;
}
