/* SPDX-License-Identifier: BSD-2-Clause */
/* Help texts out of option tables. */
#include <stdlib.h>
#include <string.h>

#include "hosted/control/options.h"

#define COLUMNS     80u
#define HELP_COLUMN 30u

void pv_text_wrapped(FILE *to, unsigned int indent, const char *text)
{
	unsigned int column = indent;
	bool is_first = true;

	while (*text) {
		unsigned int chars = (unsigned int)strcspn(text, " ");

		if (!is_first && column + 1 + chars > COLUMNS - 1) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = indent;
			is_first = true;
		}
		fprintf(to, "%s%.*s", is_first ? "" : " ", (int)chars, text);
		column += chars + !is_first;
		is_first = false;
		text += chars;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

/* Behind what is explained, which has so many characters and has been printed. */
static void print_help_text(FILE *to, int chars, const char *help)
{
	if (chars + 2 > (int)HELP_COLUMN)
		fprintf(to, "\n%*s", (int)HELP_COLUMN, "");
	else
		fprintf(to, "%*s", (int)HELP_COLUMN - chars, "");
	pv_text_wrapped(to, HELP_COLUMN, help);
}

static void print_option(FILE *to, const struct pv_option *option)
{
	int chars = fprintf(to, "  --%s%s%s", option->name, option->argument ? " " : "",
	                    option->argument ? option->argument : "");

	print_help_text(to, chars, option->help);
}

static void print_key(FILE *to, const struct pv_option *key)
{
	bool may_stand_alone = key->argument && strncmp(key->argument, "[=", 2) == 0;
	int chars = fprintf(to, "  %s%s%s", key->name, may_stand_alone ? "" : "=",
	                    key->argument ? key->argument : "on|off");

	print_help_text(to, chars, key->help);
}

static int by_name(const void *a, const void *b)
{
	const struct pv_option *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static void print_group(FILE *to, const struct pv_option_group *group,
                        void (*print)(FILE *to, const struct pv_option *option))
{
	const struct pv_option *sorted[PV_OPTION_KEYS_MAX];
	size_t count = 0;

	for (const struct pv_option *o = group->options; o->name && count < PV_OPTION_KEYS_MAX; o++)
		sorted[count++] = o;
	qsort(sorted, count, sizeof(sorted[0]), by_name);
	fprintf(to, "\n%s:\n", group->title);
	for (size_t i = 0; i < count; i++)
		print(to, sorted[i]);
}

void pv_options_help(const struct pv_command_line *command, FILE *to)
{
	static const struct pv_option help[] = {
		{ "help", NULL, "print this text and end", PV_OPTION_FLAG, 0, 0, 0, NULL },
		{ 0 },
	};
	static const struct pv_option_group other = { "Other", help };

	fprintf(to, "usage: %s %s\n\n", command->name, command->usage);
	pv_text_wrapped(to, 0, command->summary);
	for (const struct pv_option_group *const *g = command->groups; *g; g++)
		print_group(to, *g, print_option);
	print_group(to, &other, print_option);
	for (const struct pv_option_group *const *g = command->keys; g && *g; g++)
		print_group(to, *g, print_key);
}
