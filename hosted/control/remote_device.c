/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/remote_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hosted/control/nic.h"
#include "hosted/control/remote_tap.h"
#include "hosted/control/sandbox.h"

#define QUEUES_MAX     128u
#define QUEUE_SIZE_MAX 1024u /* the kernel's, of a tap's ring */

/* A back-end does not say what it takes: these all of them do. */
static const uint64_t queue_sizes[] = {
	[PV_REMOTE_RNG] = 64,
	[PV_REMOTE_BLK] = 128,
	[PV_REMOTE_NET] = 256,
};

static const char *const fars[] = {
	[PV_REMOTE_VHOST_USER] = "vhost-user", [PV_REMOTE_VHOST_KERNEL] = "vhost-kernel", NULL
};
static const char *const types[] = {
	[PV_REMOTE_RNG] = "rng", [PV_REMOTE_BLK] = "blk", [PV_REMOTE_NET] = "net", NULL
};

#define REMOTE struct pv_remote_device_options
static const struct pv_option remote_keys[] = {
	{ "by", "vhost-user|vhost-kernel", "who works on its queues",
	  PV_OPTION_CHOICE_AT(REMOTE, far, fars) },
	{ "type", "rng|blk|net", "what it is", PV_OPTION_CHOICE_AT(REMOTE, type, types) },
	{ "path", "PATH", "the socket that the back-end listens on",
	  PV_OPTION_TEXT_AT(REMOTE, path) },
	{ "ifname", "NAME", "the tap interface", PV_OPTION_TEXT_AT(REMOTE, ifname) },
	{ "mac", "ADDRESS", "its address", PV_OPTION_TEXT_AT(REMOTE, mac) },
	{ "mtu", "BYTES", "the largest packet",
	  PV_OPTION_NUMBER_AT(REMOTE, mtu, VIRTIO_NET_MTU_MIN, VIRTIO_NET_MTU_MAX) },
	{ "queues", "N", "at most so many queues, or pairs of them",
	  PV_OPTION_NUMBER_AT(REMOTE, queues, 1, QUEUES_MAX) },
	{ "queue-size", "N", "largest size of a queue",
	  PV_OPTION_NUMBER_AT(REMOTE, queue_size, 2, QUEUE_SIZE_MAX) },
	{ "reconnect", NULL, "connect again when the back-end is lost",
	  PV_OPTION_FLAG_AT(REMOTE, reconnects) },
	{ 0 },
};

#define KEYS_MAX 24u

struct pv_remote_device_options pv_remote_device_defaults(enum pv_remote_type type)
{
	return (REMOTE){
		.type = type,
		.mtu = PV_OPTION_UNSET,
		.queues = 1,
		.queue_size = PV_OPTION_UNSET,
		.reconnects = true,
	};
}

bool pv_remote_device_is_meant(const char *text)
{
	size_t bytes = strcspn(text, ",");

	for (unsigned int i = 0; fars[i]; i++)
		if (strlen(fars[i]) == bytes && memcmp(fars[i], text, bytes) == 0)
			return true;
	return false;
}

/* ---- what goes with what ---- */

static bool is_of_net(const char *option, const REMOTE *options,
                      char sentence[static PV_SENTENCE_BYTES])
{
	uint8_t mac[VIRTIO_NET_MAC_BYTES];

	if (options->type == PV_REMOTE_NET)
		return !options->mac || pv_nic_mac_parse(options->mac, mac) ||
		       pv_sentence_wrong(sentence,
		                         "option '--%s': 'mac' is an address like "
		                         "52:54:00:12:34:56, not '%.32s'",
		                         option, options->mac);
	if (!options->mac && options->mtu == PV_OPTION_UNSET)
		return true;
	return pv_sentence_wrong(sentence,
	                         "option '--%s': 'mac' and 'mtu' are for a network device; leave "
	                         "them out or say type=net",
	                         option);
}

static bool is_good(const char *option, const REMOTE *options,
                    char sentence[static PV_SENTENCE_BYTES])
{
	bool is_user = options->far == PV_REMOTE_VHOST_USER;

	if (is_user && !options->path)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': vhost-user needs path=SOCKET, where the "
		                         "back-end listens",
		                         option);
	if (!is_user && options->path)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': vhost-kernel has no socket; leave 'path' "
		                         "out",
		                         option);
	if (is_user && options->ifname)
		return pv_sentence_wrong(
			sentence, "option '--%s': 'ifname' is for vhost-kernel; leave it out",
			option);
	if (!is_user && options->type != PV_REMOTE_NET)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': vhost-kernel serves network devices; say "
		                         "type=net",
		                         option);
	return is_of_net(option, options, sentence);
}

/* Offsets are those of the larger structure: these are at its beginning. */
static void list_keys(struct pv_option keys[KEYS_MAX], const struct pv_option *more)
{
	unsigned int count = 0;

	for (const struct pv_option *o = remote_keys; o->name; o++)
		keys[count++] = *o;
	for (const struct pv_option *o = more; o && o->name && count < KEYS_MAX - 1; o++)
		keys[count++] = *o;
	keys[count] = (struct pv_option){ 0 };
}

bool pv_remote_device_parse(const char *option, const struct pv_option *more, REMOTE *options,
                            char *text, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option keys[KEYS_MAX];

	if (!pv_remote_device_is_meant(text))
		return pv_sentence_wrong(
			sentence,
			"option '--%s' begins with vhost-user or vhost-kernel, not "
			"'%.64s'",
			option, text);
	list_keys(keys, more);
	return pv_options_parse_value_and_keys(option, keys, options, text, sentence) &&
	       is_good(option, options, sentence);
}

/* ---- what it needs ---- */

bool pv_remote_device_needs_shared_memory(const REMOTE *options)
{
	return options->far == PV_REMOTE_VHOST_USER;
}

static unsigned int queues_of(const REMOTE *options)
{
	unsigned int queues = (unsigned int)options->queues;

	if (options->type != PV_REMOTE_NET)
		return queues;
	return 2 * queues + (queues > 1);
}

/* None of its queues needs a loop of its own. */
void pv_remote_device_extend(struct pv_service_extent *extent, const REMOTE *options)
{
	extent->devices++;
	extent->queues += queues_of(options);
	extent->queues_with_others += queues_of(options);
}

/* ---- opening ---- */

static struct pv_remote_options wish_of(const REMOTE *options)
{
	struct pv_remote_options wish = {
		.type = (enum pv_remote_type)options->type,
		.queues = (uint16_t)options->queues,
		.queue_size_max = (uint16_t)(options->queue_size == PV_OPTION_UNSET
		                                     ? queue_sizes[options->type]
		                                     : options->queue_size),
		.net.pairs = options->type == PV_REMOTE_NET ? (uint16_t)options->queues : 1,
		.net.mtu = options->mtu == PV_OPTION_UNSET ? 0 : (uint16_t)options->mtu,
		.reconnects = options->reconnects && options->far == PV_REMOTE_VHOST_USER,
	};

	/* Of no manufacturer, and not of a group. */
	if (options->mac || getrandom(wish.net.mac, sizeof(wish.net.mac), 0) < 0)
		(void)(options->mac && pv_nic_mac_parse(options->mac, wish.net.mac));
	else
		wish.net.mac[0] = (uint8_t)((wish.net.mac[0] & 0xfc) | 2);
	return wish;
}

static bool connect_far(struct pv_far **far, const REMOTE *options,
                        const struct pv_remote_options *wish, const char *option,
                        char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_far_vhost_user_options user = {
		.path = options->path,
		.fd = -1,
		.queues = pv_remote_queues_wanted(wish),
		.queue_size = wish->queue_size_max,
	};
	char why[PV_FAR_SENTENCE_BYTES];

	if (options->far == PV_REMOTE_VHOST_KERNEL)
		return pv_remote_tap_open(far, options->ifname, wish->net.pairs, sentence);
	/* A back-end that is lost is looked for again. */
	if (wish->reconnects)
		pv_sandbox_allow(PV_SANDBOX_DIAL);
	return !pv_far_vhost_user_create(far, &user, why) ||
	       pv_sentence_wrong(sentence, "option '--%s': path=%s", option, why);
}

/* All of its queues are on the control loop: the one that is not elsewhere has little to do. */
static int make_host(struct pv_remote_device *device, const struct pv_remote_options *wish,
                     const struct pv_far *far, const struct pv_export *export)
{
	struct pv_host_options host = pv_export_host(export);

	device->loop = host.control;
	host.loop = &device->loop;
	host.loops = 1;
	host.queues = pv_remote_queues(wish, far);
	return pv_host_create(&device->host, &host);
}

static bool make(struct pv_remote_device *device, const REMOTE *options, struct pv_far *far,
                 struct pv_export *export, const char *option,
                 char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_remote_options wish = wish_of(options);
	char why[PV_FAR_SENTENCE_BYTES], what[PV_SENTENCE_BYTES];
	int error = make_host(device, &wish, far, export);

	if (error)
		return pv_sentence_wrong(sentence, "%s", strerror(-error));
	if (pv_remote_create(&device->remote, &wish, far, device->host, device->loop, why))
		return pv_sentence_wrong(sentence, "option '--%s': %s%s%s%s", option,
		                         options->path ? "path=" : "",
		                         options->path ? options->path : "",
		                         options->path ? ": " : "", why);
	device->device = pv_remote_device(device->remote);
	device->name = pv_export_host(export).name;
	device->is_network = options->type == PV_REMOTE_NET;
	snprintf(what, sizeof(what), "%s by %s", types[options->type], fars[options->far]);
	return !pv_export_attach(export, device->host, device->device, what) ||
	       pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
}

bool pv_remote_device_open(struct pv_remote_device *device, const REMOTE *options,
                           const struct pv_export_options *export_options,
                           struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_remote_options wish = wish_of(options);
	const char *option = export_options->id_option;
	struct pv_export *export;
	struct pv_far *far;

	*device = (struct pv_remote_device){ 0 };
	export = pv_service_export(service, types[options->type], export_options, sentence);
	if (!export || !connect_far(&far, options, &wish, option, sentence))
		return false;
	if (make(device, options, far, export, option, sentence))
		return true;
	if (!device->remote)
		far->ops->destroy(far);
	pv_remote_device_close(device);
	return false;
}

void pv_remote_device_close(struct pv_remote_device *device)
{
	if (device->remote)
		pv_remote_destroy(device->remote);
	if (device->host)
		pv_host_destroy(device->host);
	*device = (struct pv_remote_device){ 0 };
}
