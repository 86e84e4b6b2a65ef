/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command-line options, as tables.
 *
 * A command lists its options in constant tables, in groups with a title each.  The same tables
 * parse the command line, print --help, and are compared with the manual page by a test.  A table
 * says where a value goes as an offset into a structure of the caller's, which holds the defaults
 * beforehand; groups of one command may go to different structures, so that a device's options are
 * written down once and used by every command that makes such a device:
 *
 *     static const struct pv_option bench_options[] = {
 *             { "depth", "N", "requests in flight (default 32)",
 *               PV_OPTION_NUMBER_AT(struct bench, depth, 1, 1024) },
 *             { 0 },
 *     };
 *     static const struct pv_option_group bench_group = { "Load", bench_options };
 *
 * Values are written `--name VALUE` or `--name=VALUE`.  Words that are no options are refused,
 * unless a command says where they go; it explains them in its usage and summary.  A file of JSON
 * may have values too (options_json.h).  What is wrong with either is returned as one sentence.
 */
#ifndef PV_HOSTED_OPTIONS_H
#define PV_HOSTED_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hosted/control/sentence.h"

/* A number, size or descriptor that was not given, where a command's structure starts with it. */
#define PV_OPTION_UNSET    UINT64_MAX
#define PV_OPTION_UNSET_FD (-1)

enum pv_option_type {
	PV_OPTION_FLAG,    /* bool: set to true */
	PV_OPTION_TEXT,    /* const char *: into argv, or the file's object */
	PV_OPTION_NUMBER,  /* uint64_t within bounds */
	PV_OPTION_SECONDS, /* uint64_t milliseconds within bounds; 5, 0.25 */
	PV_OPTION_SIZE,    /* uint64_t bytes within bounds; 4096, 4k, 512M, 1GiB: powers of 1024 */
	PV_OPTION_CHOICE,  /* unsigned int: the index of one of a list of words */
	PV_OPTION_FD,      /* int: a descriptor that is open */
	PV_OPTION_LIST,    /* struct pv_option_list: numbers within bounds, as 0,1,1 */
	PV_OPTION_TEXTS,   /* struct pv_option_texts: may be given more than once */
};

#define PV_OPTION_TEXTS_MAX 128u

struct pv_option_texts {
	uint16_t count;
	const char *text[PV_OPTION_TEXTS_MAX];
};

#define PV_OPTION_LIST_MAX 256u

struct pv_option_list {
	uint16_t count; /* 0: not given */
	uint16_t number[PV_OPTION_LIST_MAX];
};

struct pv_option {
	const char *name;     /* without the dashes; NULL ends a table */
	const char *argument; /* what --help calls the value; NULL for a flag */
	const char *help;     /* a few words, with the default */
	enum pv_option_type type;
	size_t offset;              /* of the value in the caller's structure */
	uint64_t min, max;          /* number, seconds (in milliseconds), size, list */
	const char *const *choices; /* choice: ended by NULL */
};

/* The offset of a field, which must have the type that its option writes. */
#define PV_OPTION_OFFSET(type, field, wanted)                                                      \
	_Generic(((type *)0)->field, wanted : offsetof(type, field))

#define PV_OPTION_FLAG_AT(type, field)                                                             \
	PV_OPTION_FLAG, PV_OPTION_OFFSET(type, field, bool), 0, 0, NULL
#define PV_OPTION_TEXT_AT(type, field)                                                             \
	PV_OPTION_TEXT, PV_OPTION_OFFSET(type, field, const char *), 0, 0, NULL
#define PV_OPTION_NUMBER_AT(type, field, min, max)                                                 \
	PV_OPTION_NUMBER, PV_OPTION_OFFSET(type, field, uint64_t), min, max, NULL
#define PV_OPTION_SECONDS_AT(type, field, min, max)                                                \
	PV_OPTION_SECONDS, PV_OPTION_OFFSET(type, field, uint64_t), min, max, NULL
#define PV_OPTION_SIZE_AT(type, field, min, max)                                                   \
	PV_OPTION_SIZE, PV_OPTION_OFFSET(type, field, uint64_t), min, max, NULL
#define PV_OPTION_CHOICE_AT(type, field, choices)                                                  \
	PV_OPTION_CHOICE, PV_OPTION_OFFSET(type, field, unsigned int), 0, 0, choices
#define PV_OPTION_LIST_AT(type, field, min, max)                                                   \
	PV_OPTION_LIST, PV_OPTION_OFFSET(type, field, struct pv_option_list), min, max, NULL
#define PV_OPTION_TEXTS_AT(type, field)                                                            \
	PV_OPTION_TEXTS, PV_OPTION_OFFSET(type, field, struct pv_option_texts), 0, 0, NULL
#define PV_OPTION_FD_AT(type, field) PV_OPTION_FD, PV_OPTION_OFFSET(type, field, int), 0, 0, NULL

struct pv_option_group {
	const char *title;
	const struct pv_option *options; /* at most PV_OPTIONS_MAX in all groups of a command */
};

#define PV_OPTIONS_MAX 64

/* In a table of keys, at most. */
#define PV_OPTION_KEYS_MAX 96

struct pv_command_line {
	const char *name;    /* "paravane serve blk" */
	const char *usage;   /* what follows the name, options one has to give */
	const char *summary; /* one sentence or a few, without line breaks */
	const struct pv_option_group *const *groups; /* ended by NULL */
	/* Of texts, in the first group's structure: gets the words that are no options, if any. */
	const struct pv_option *words;
	/* For --help alone: the keys of an option's value, KEY=VALUE each; ended by NULL, or NULL.
	 */
	const struct pv_option_group *const *keys;
};

enum pv_options_outcome {
	PV_OPTIONS_GOOD,
	PV_OPTIONS_HELP,  /* --help or -h was given: print it and end well */
	PV_OPTIONS_WRONG, /* the sentence says what */
};

/*
 * Takes in argv[1] to argv[argc - 1]. `values[i]` is the structure that group i goes to; it keeps
 * what it held where an option was not given. Each option may be given once.
 */
enum pv_options_outcome pv_options_parse(const struct pv_command_line *command, void *const *values,
                                         int argc, char *const *argv,
                                         char sentence[static PV_SENTENCE_BYTES]);

/*
 * The name of the first option of this group on a command line that was found good; NULL: none was
 * given.
 */
const char *pv_options_first_of(const struct pv_command_line *command,
                                const struct pv_option_group *group, int argc, char *const *argv);

/*
 * Takes in the value of an option that is a list of its own, key=value,key=value, by a table: a
 * flag is on or off, or on where the key stands alone, and a comma in a value is written twice.  A
 * text whose argument is called [=NAME] is empty where its key stands alone.  A key is given once,
 * but for one of texts.
 * `values` is what the table's offsets are in, `text` is changed, and texts point into it. False
 * with a sentence that names `option`.
 */
bool pv_options_parse_keys(const char *option, const struct pv_option *table, void *values,
                           char *text, char sentence[static PV_SENTENCE_BYTES]);

/* The same where the first item may be the value of the table's first key alone. */
bool pv_options_parse_value_and_keys(const char *option, const struct pv_option *table,
                                     void *values, char *text,
                                     char sentence[static PV_SENTENCE_BYTES]);

/* The same where on or off comes first, and keys may follow on. */
bool pv_options_parse_switch_and_keys(const char *option, const struct pv_option *table,
                                      void *values, bool *is_on, char *text,
                                      char sentence[static PV_SENTENCE_BYTES]);

/* Adds the keys of another table, which may be NULL, behind the `*count` that there are. */
void pv_options_add_keys(struct pv_option table[static PV_OPTION_KEYS_MAX], unsigned int *count,
                         const struct pv_option *keys);

/* A key, and the name that it has where it is an option of its own. */
struct pv_option_alias {
	const char *key, *option;
};

/* How a command writes what elsewhere are options of their own: as keys of one option's value. */
struct pv_option_spelling {
	const char *option;                    /* "disk" */
	const struct pv_option_alias *aliases; /* keys that are called otherwise; ended by NULL */
	const struct pv_option *table;         /* all keys */
};

/*
 * Rewrites a sentence about such options, "option '--serial': ..." or "give --blk-file PATH", for
 * that command: "option '--disk': 'serial': ..." and "option '--disk': give path=PATH". Returns
 * false.
 */
bool pv_options_spell(const struct pv_option_spelling *spelling,
                      char sentence[static PV_SENTENCE_BYTES]);

/* Prints usage, summary and all options, sorted within their groups, within 80 columns. */
void pv_options_help(const struct pv_command_line *command, FILE *to);

/*
 * Prints a text's words from column `indent` on, where we are, in lines that begin there and stay
 * within 80 columns.
 */
void pv_text_wrapped(FILE *to, unsigned int indent, const char *text);

/*
 * Reads bytes with an optional suffix k, M, G or T, or kiB, MiB and so on; case does not matter.
 * Returns false for anything else and for what does not fit.
 */
bool pv_size_parse(const char *text, uint64_t *bytes);

/* Writes bytes for people: "512 MiB", "1.5 GiB", "1000 bytes". Returns `text`. */
#define PV_SIZE_TEXT_BYTES 32
const char *pv_size_text(uint64_t bytes, char text[static PV_SIZE_TEXT_BYTES]);

/*
 * The word among several that a mistyped one was probably meant to be. Start with {word}, offer
 * each candidate, then look at `best`: NULL when none is near.
 */
struct pv_nearest {
	const char *word;
	const char *best;
	unsigned int distance;
};

void pv_nearest_offer(struct pv_nearest *nearest, const char *candidate);

#endif
