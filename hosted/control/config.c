/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "hosted/control/config.h"

static bool find_list(struct pv_config *config, char sentence[static PV_SENTENCE_BYTES])
{
	const char *key = config->list_key;
	size_t devices;

	config->list = json_object_object_get(config->file, key);
	if (!json_object_is_type(config->list, json_type_array))
		return pv_sentence_wrong(
			sentence, "there must be a key '%s' with a list, such as \"%s\": [{ ... }]",
			key, key);
	devices = json_object_array_length(config->list);
	if (devices == 0)
		return pv_sentence_wrong(sentence, "key '%s' is an empty list; put one in", key);
	if (devices > PV_CONFIG_DEVICES_MAX)
		return pv_sentence_wrong(
			sentence,
			"key '%s' lists %zu, and a process serves at most %u; start another", key,
			devices, PV_CONFIG_DEVICES_MAX);
	config->devices = (unsigned int)devices;
	return true;
}

bool pv_config_read(struct pv_config *config, const char *option, const char *path,
                    const struct pv_json_form *form, char sentence[static PV_SENTENCE_BYTES])
{
	*config = (struct pv_config){ .path = path, .list_key = form->other };
	config->file = pv_json_file_read(option, path, sentence);
	if (!config->file)
		return false;
	if (pv_options_parse_json(form, config->file, sentence) && find_list(config, sentence))
		return true;
	pv_config_close(config);
	return pv_sentence_about(sentence, path);
}

void pv_config_close(struct pv_config *config)
{
	json_object_put(config->file);
	config->file = NULL;
}

bool pv_config_about(const struct pv_config *config, unsigned int device,
                     char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *object = json_object_array_get_idx(config->list, device);
	struct json_object *name = NULL;
	char what[PV_SENTENCE_BYTES / 2];

	if (json_object_is_type(object, json_type_object))
		name = json_object_object_get(object, "name");
	if (json_object_is_type(name, json_type_string))
		snprintf(what, sizeof(what), "%s: %s[%u] (%.32s)", config->path, config->list_key,
		         device, json_object_get_string(name));
	else
		snprintf(what, sizeof(what), "%s: %s[%u]", config->path, config->list_key, device);
	return pv_sentence_about(sentence, what);
}

bool pv_config_device(const struct pv_config *config, unsigned int device,
                      const struct pv_option_group *const *groups, void *const *values,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *object = json_object_array_get_idx(config->list, device);
	const struct pv_json_form form = { groups, values, NULL };

	if (json_object_is_type(object, json_type_object)) {
		if (pv_options_parse_json(&form, object, sentence))
			return true;
	} else {
		pv_sentence_wrong(sentence,
		                  "it must be an object, such as { \"name\": \"a\", ... }");
	}
	return pv_config_about(config, device, sentence);
}
