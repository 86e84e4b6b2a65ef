/* SPDX-License-Identifier: BSD-2-Clause */
/* Which machines memory is distributed among. */
#include <string.h>

#include "hosted/cli/balance.h"

#define MEMBER struct pv_balance_member
static const struct pv_option member_options[] = {
	{ "ceiling", "SIZE", "", PV_OPTION_SIZE_AT(MEMBER, ceiling, 1, PV_BALANCE_BYTES_MAX) },
	{ "floor", "SIZE", "", PV_OPTION_SIZE_AT(MEMBER, floor, 1, PV_BALANCE_BYTES_MAX) },
	{ "name", "NAME", "", PV_OPTION_TEXT_AT(MEMBER, name) },
	{ "socket", "PATH", "", PV_OPTION_TEXT_AT(MEMBER, socket) },
	{ "weight", "N", "", PV_OPTION_NUMBER_AT(MEMBER, weight, 1, PV_BALANCE_WEIGHT_MAX) },
	{ 0 },
};

static const struct pv_option_group member_group = { "Machine", member_options };
static const struct pv_option_group *const groups[] = { &member_group, NULL };

/* As the option --qmp calls it, too. */
static const char *path_of(const char *socket)
{
	size_t prefix = strlen("unix:");

	return strncmp(socket, "unix:", prefix) == 0 ? socket + prefix : socket;
}

static struct pv_balance_member *add(struct pv_balance_members *members)
{
	struct pv_balance_member *member = &members->member[members->count];

	*member = (struct pv_balance_member){
		.floor = PV_BALANCE_DEFAULT,
		.ceiling = PV_BALANCE_DEFAULT,
		.weight = PV_BALANCE_WEIGHT,
	};
	return member;
}

static bool too_many(char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence, "more than %u machines; start another for the rest",
	                         PV_BALANCE_MACHINES_MAX);
}

/* Two opinions of one machine would be told by turns. */
static bool check(struct pv_balance_members *members, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_balance_member *member = &members->member[members->count];

	if (!member->socket)
		return pv_sentence_wrong(sentence, "there must be a key 'socket'");
	member->socket = path_of(member->socket);
	if (!member->name)
		member->name = member->socket;
	if (member->floor != PV_BALANCE_DEFAULT && member->floor > member->ceiling)
		return pv_sentence_wrong(sentence, "its floor is above its ceiling");
	for (unsigned int i = 0; i < members->count; i++)
		if (strcmp(members->member[i].socket, member->socket) == 0)
			return pv_sentence_wrong(sentence, "socket %.128s is there twice",
			                         member->socket);
	members->count++;
	return true;
}

bool pv_balance_members_of_words(struct pv_balance_members *members,
                                 const struct pv_option_texts *words,
                                 char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < words->count; i++) {
		if (members->count == PV_BALANCE_MACHINES_MAX)
			return too_many(sentence);
		add(members)->socket = words->text[i];
		if (!check(members, sentence))
			return false;
	}
	return true;
}

bool pv_balance_members_of_config(struct pv_balance_members *members,
                                  const struct pv_config *config,
                                  char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < config->devices; i++) {
		void *values[1];

		if (members->count == PV_BALANCE_MACHINES_MAX)
			return too_many(sentence);
		values[0] = add(members);
		if (!pv_config_device(config, i, groups, values, sentence))
			return false;
		if (!check(members, sentence))
			return pv_config_about(config, i, sentence);
	}
	return true;
}
