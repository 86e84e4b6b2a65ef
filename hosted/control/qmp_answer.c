/* SPDX-License-Identifier: BSD-2-Clause */
/* What a QMP server elsewhere answers, for a user and for a caller. */
#include <string.h>

#include "hosted/control/printable.h"
#include "hosted/control/qmp_remote.h"

void pv_qmp_remote_words(char to[static PV_QMP_REMOTE_WORDS], struct json_object *answer)
{
	struct json_object *error = json_object_object_get(answer, "error");
	struct json_object *desc = json_object_object_get(error, "desc");
	const char *words = json_object_is_type(desc, json_type_string)
	                            ? json_object_get_string(desc)
	                            : "it is refused, and no reason given";
	size_t bytes = strnlen(words, PV_QMP_REMOTE_WORDS - 1);

	for (size_t i = 0; i < bytes; i++)
		to[i] = pv_is_control(words[i]) ? ' ' : words[i];
	while (bytes > 0 && (to[bytes - 1] == '.' || to[bytes - 1] == ' '))
		bytes--;
	to[bytes] = '\0';
}

struct json_object *pv_qmp_remote_return(struct pv_qmp_remote *remote, const char *command,
                                         struct json_object *arguments,
                                         char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *answer = pv_qmp_remote_ask(remote, command, arguments, sentence);
	struct json_object *value = NULL;
	char words[PV_QMP_REMOTE_WORDS];

	if (!answer)
		return NULL;
	if (json_object_object_get_ex(answer, "return", &value)) {
		json_object_get(value);
	} else {
		pv_qmp_remote_words(words, answer);
		pv_sentence_wrong(sentence, "%.64s: %s", command, words);
	}
	json_object_put(answer);
	return value;
}
