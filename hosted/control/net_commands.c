/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/net_commands.h"

#include <stdio.h>
#include <string.h>

#include "hosted/control/json_add.h"

#define NS_PER_MS 1000000u

static struct pv_nic *find(const struct pv_net_commands *commands, const char *name)
{
	for (unsigned int i = 0; i < commands->nics; i++)
		if (strcmp(commands->nic[i].name, name) == 0)
			return &commands->nic[i];
	return NULL;
}

static const struct pv_remote_device *find_remote(const struct pv_net_commands *commands,
                                                  const char *name)
{
	for (unsigned int i = 0; i < commands->remotes; i++)
		if (commands->remote[i].is_network && strcmp(commands->remote[i].name, name) == 0)
			return &commands->remote[i];
	return NULL;
}

void pv_net_commands_add_remotes(struct pv_net_commands *commands,
                                 const struct pv_remote_device *remote, unsigned int remotes)
{
	commands->remote = remote;
	commands->remotes = remotes;
}

/* ---- the link ---- */

static void set_link(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const char *name = pv_json_text_of(arguments, "name");
	bool is_up = json_object_get_boolean(json_object_object_get(arguments, "up"));
	const struct pv_nic *nic = find(arg, name);
	const struct pv_remote_device *remote = find_remote(arg, name);

	if (nic)
		pv_net_set_link(nic->device, is_up);
	else if (remote)
		pv_remote_set_link(remote->remote, is_up);
	if (nic || remote)
		pv_qmp_return(request, NULL);
	else
		pv_qmp_fail(request, PV_QMP_DEVICE_NOT_FOUND,
		            "there is no network device '%.64s'; query-rx-filter lists them", name);
}

/* ---- the receive filter ---- */

static struct json_object *macs_of(const uint8_t (*mac)[VIRTIO_NET_MAC_BYTES], uint16_t count)
{
	struct json_object *list = json_object_new_array();
	char text[PV_NIC_MAC_TEXT_BYTES];

	for (uint16_t i = 0; i < count && i < PV_NET_MACS_MAX; i++)
		json_object_array_add(list, json_object_new_string(pv_nic_mac_text(mac[i], text)));
	return list;
}

static struct json_object *vlans_of(const struct pv_net_rx_filter *filter)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int vlan = 0; vlan < VIRTIO_NET_VLANS; vlan++)
		if (filter->vlans[vlan / 8] >> vlan % 8 & 1)
			json_object_array_add(list, json_object_new_int((int)vlan));
	return list;
}

static struct json_object *filter_of(const struct pv_nic *nic)
{
	static const char *const modes[] = {
		[PV_NET_RX_NONE] = "none", [PV_NET_RX_NORMAL] = "normal", [PV_NET_RX_ALL] = "all"
	};
	struct json_object *object = json_object_new_object();
	char mac[PV_NIC_MAC_TEXT_BYTES];
	struct pv_net_rx_filter filter;

	pv_net_rx_filter(nic->device, &filter);
	pv_json_add_text(object, "name", nic->name);
	pv_json_add_bool(object, "promiscuous", filter.is_promiscuous);
	pv_json_add_text(object, "multicast", modes[filter.multicast]);
	pv_json_add_text(object, "unicast", modes[filter.unicast]);
	pv_json_add_text(object, "vlan", modes[filter.vlan]);
	pv_json_add_bool(object, "broadcast-allowed", filter.is_broadcast_allowed);
	pv_json_add_bool(object, "multicast-overflow", filter.has_multicast_overflow);
	pv_json_add_bool(object, "unicast-overflow", filter.has_unicast_overflow);
	pv_json_add_text(object, "main-mac", pv_nic_mac_text(filter.mac, mac));
	json_object_object_add(object, "vlan-table", vlans_of(&filter));
	json_object_object_add(object, "unicast-table",
	                       macs_of(filter.unicast_table, filter.unicasts));
	json_object_object_add(object, "multicast-table",
	                       macs_of(filter.multicast_table, filter.multicasts));
	return object;
}

static void query_rx_filter(struct pv_qmp_request *request, void *arg,
                            struct json_object *arguments)
{
	const struct pv_net_commands *commands = arg;
	const char *name = pv_json_text_of(arguments, "name");
	struct json_object *list;

	if (name && !find(commands, name)) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "there is no network device '%.64s'; without a name all are listed",
		            name);
		return;
	}
	list = json_object_new_array();
	for (unsigned int i = 0; i < commands->nics; i++)
		if (!name || strcmp(commands->nic[i].name, name) == 0)
			json_object_array_add(list, filter_of(&commands->nic[i]));
	pv_qmp_return(request, list);
}

static void rx_filter_changed(void *arg, const struct pv_nic *nic)
{
	struct pv_net_commands *commands = arg;
	struct json_object *data = json_object_new_object();
	char path[64];

	snprintf(path, sizeof(path), "/%s", nic->name);
	pv_json_add_text(data, "name", nic->name);
	pv_json_add_text(data, "path", path);
	pv_qmp_event(commands->qmp, "NIC_RX_FILTER_CHANGED", data);
}

/* ---- announcements ---- */

static bool is_named(struct json_object *names, const char *name)
{
	size_t count = names ? json_object_array_length(names) : 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(names, i)), name) == 0)
			return true;
	return !names;
}

/* Drivers that cannot be asked leave it out. */
static void announce_all(const struct pv_net_commands *commands)
{
	for (unsigned int i = 0; i < commands->nics; i++)
		if (is_named(commands->announcing.names, commands->nic[i].name))
			pv_net_announce(commands->nic[i].device);
}

static void finish(struct pv_net_announcing *announcing)
{
	json_object_put(announcing->names);
	announcing->names = NULL;
	announcing->round = announcing->rounds = 0;
}

/* Each pause is longer than the one before by a step, up to a limit. */
static void go_on_later(struct pv_net_announcing *announcing)
{
	uint64_t ms =
		announcing->initial_ms + (uint64_t)(announcing->round - 1) * announcing->step_ms;

	pv_timer_set(&announcing->timer,
	             (ms > announcing->max_ms ? announcing->max_ms : ms) * NS_PER_MS);
}

static void next_round(struct pv_net_commands *commands)
{
	struct pv_net_announcing *announcing = &commands->announcing;

	announce_all(commands);
	if (++announcing->round < announcing->rounds)
		go_on_later(announcing);
	else
		finish(announcing);
}

static void timer_expired(void *arg)
{
	struct pv_net_commands *commands = arg;

	if (commands->announcing.round < commands->announcing.rounds)
		next_round(commands);
}

static bool are_texts(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
			return false;
	return true;
}

/* As QEMU has it. */
static bool take_number(struct json_object *arguments, const char *name, int64_t min, int64_t max,
                        uint32_t *to, struct pv_qmp_request *request)
{
	int64_t number = json_object_get_int64(json_object_object_get(arguments, name));

	*to = (uint32_t)number;
	if (number >= min && number <= max)
		return true;
	pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter '%s' must be from %lld to %lld", name,
	            (long long)min, (long long)max);
	return false;
}

static void announce_self(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_net_commands *commands = arg;
	struct pv_net_announcing wanted = commands->announcing;
	struct json_object *names;

	if (!take_number(arguments, "initial", 1, 100000, &wanted.initial_ms, request) ||
	    !take_number(arguments, "max", 1, 100000, &wanted.max_ms, request) ||
	    !take_number(arguments, "rounds", 1, 1000, &wanted.rounds, request) ||
	    !take_number(arguments, "step", 0, 10000, &wanted.step_ms, request))
		return;
	if (!json_object_object_get_ex(arguments, "interfaces", &names))
		names = NULL;
	if (names && !are_texts(names)) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'interfaces' must be a list of names");
		return;
	}
	finish(&commands->announcing);
	wanted.names = json_object_get(names);
	wanted.round = 0;
	commands->announcing = wanted;
	next_round(commands);
	pv_qmp_return(request, NULL);
}

/* ---- all of them ---- */

static const struct pv_qmp_parameter link_parameters[] = {
	{ "name", PV_QMP_TEXT, true },
	{ "up", PV_QMP_BOOL, true },
	{ 0 },
};

static const struct pv_qmp_parameter filter_parameters[] = {
	{ "name", PV_QMP_TEXT, false },
	{ 0 },
};

static const struct pv_qmp_parameter announce_parameters[] = {
	{ "initial", PV_QMP_INTEGER, true },  { "max", PV_QMP_INTEGER, true },
	{ "rounds", PV_QMP_INTEGER, true },   { "step", PV_QMP_INTEGER, true },
	{ "interfaces", PV_QMP_LIST, false }, { 0 },
};

static const struct pv_qmp_command command_table[] = {
	{ "announce-self", announce_parameters, announce_self },
	{ "query-rx-filter", filter_parameters, query_rx_filter },
	{ "set_link", link_parameters, set_link },
	{ 0 },
};

bool pv_net_commands_init(struct pv_net_commands *commands, struct pv_qmp *qmp,
                          struct pv_loop *control, struct pv_nic *nic, unsigned int nics,
                          char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	*commands = (struct pv_net_commands){ .nic = nic, .nics = nics, .qmp = qmp };
	if (!qmp)
		return true;
	error = pv_timer_init(&commands->announcing.timer, control, timer_expired, commands);
	if (error) {
		pv_net_commands_fini(commands);
		return pv_sentence_wrong(sentence, "option '--qmp': %s", strerror(-error));
	}
	for (unsigned int i = 0; i < nics; i++) {
		nic[i].rx_filter_changed = rx_filter_changed;
		nic[i].rx_filter_arg = commands;
	}
	pv_qmp_register(qmp, command_table, commands);
	return true;
}

void pv_net_commands_fini(struct pv_net_commands *commands)
{
	struct pv_net_announcing *announcing = &commands->announcing;

	for (unsigned int i = 0; commands->qmp && i < commands->nics; i++)
		commands->nic[i].rx_filter_changed = NULL;
	pv_timer_fini(&announcing->timer);
	finish(announcing);
	*commands = (struct pv_net_commands){ 0 };
}
