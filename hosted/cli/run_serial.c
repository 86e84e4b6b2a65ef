/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial device of paravane run, with all its ports. */
#include <stdlib.h>
#include <string.h>

#include "abi/pci.h"
#include "hosted/cli/run.h"

/* Linux fills a queue for receiving with pages, whatever comes. */
#define QUEUE_SIZE 128u

#define SERIAL struct pv_run_serial
static const struct pv_option device_keys[] = {
	{ "ports-max", "N", "ports that there can be",
	  PV_OPTION_NUMBER_AT(SERIAL, options.ports_max, 1, PV_PORTS_MAX) },
	{ "queue-size", "N", "largest size of a queue",
	  PV_OPTION_NUMBER_AT(SERIAL, options.queue_size, 2, 32768) },
	{ "hot-plug", NULL, "chardev-add may open something",
	  PV_OPTION_FLAG_AT(SERIAL, options.may_plug) },
	{ "id", "NAME", "its name", PV_OPTION_TEXT_AT(SERIAL, export.name) },
	{ "bus", "pci|mmio", "where it is", PV_OPTION_CHOICE_AT(SERIAL, bus, pv_run_buses) },
	{ "iothreads", "N", "an event loop of its own",
	  PV_OPTION_NUMBER_AT(SERIAL, export.own_loops, 0, 1) },
	{ 0 },
};

static bool plan_device(SERIAL *serial, const char *option, char sentence[static PV_SENTENCE_BYTES])
{
	static const char name[] = "serial-device";
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)option;

	if (text && !pv_options_parse_keys(name, device_keys, serial, text, sentence))
		return false;
	return pv_ports_options_check(&serial->options, sentence) ||
	       pv_sentence_about(sentence, "option '--serial-device'");
}

bool pv_run_plan_serial(struct pv_run_serial *serial, const struct pv_option_texts *texts,
                        const char *device, char sentence[static PV_SENTENCE_BYTES])
{
	*serial = (SERIAL){ .is_on = texts->count > 0 || device,
		            .options = PV_PORTS_DEFAULTS,
		            .export = PV_EXPORT_DEFAULTS,
		            .plans = texts->count };
	serial->export.id_option = "serial-device";
	serial->options.queue_size = QUEUE_SIZE;
	if (!plan_device(serial, device, sentence))
		return false;
	serial->plan = pv_ports_parse_all("serial", texts, sentence);
	return serial->plan;
}

bool pv_run_serial_has_stdio(const struct pv_run_serial *serial)
{
	for (unsigned int i = 0; i < serial->plans; i++)
		if (serial->plan[i].is_stdio)
			return true;
	return false;
}

void pv_run_extend_by_serial(struct pv_service_extent *extent, const struct pv_run_serial *serial)
{
	if (serial->is_on)
		pv_ports_extend(extent, &serial->options, serial->export.own_loops);
}

bool pv_run_add_serial(struct pv_machine *machine, struct pv_run_serial *serial,
                       struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ports *ports = &serial->ports;

	if (!serial->is_on)
		return true;
	if (!pv_ports_open(ports, &serial->options, serial->plan, serial->plans, &serial->export,
	                   service, sentence))
		return false;
	if (serial->bus == PV_DISK_ON_MMIO)
		return pv_machine_add_mmio(machine, ports->device, ports->host, sentence);
	return pv_machine_add(machine, ports->device, ports->host, PCI_CLASS_COMMUNICATION,
	                      sentence);
}

void pv_run_close_serial(struct pv_run_serial *serial)
{
	pv_ports_close(&serial->ports);
	free(serial->plan);
	*serial = (struct pv_run_serial){ 0 };
}
