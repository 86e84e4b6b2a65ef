/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane doctor: what this host can do, and what to do about the rest. */
#include "hosted/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json_object.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"
#include "hosted/control/options.h"
#include "ring/err.h"

#define TEXT_COLUMN 27u

struct doctor_options {
	bool is_json;
};

static const struct pv_option doctor_options[] = {
	{ "json", NULL, "print one JSON object on one line",
	  PV_OPTION_FLAG_AT(struct doctor_options, is_json) },
	{ 0 },
};

static const struct pv_option_group doctor_option_group = { "Output", doctor_options };

static const struct pv_option_group *const groups[] = {
	&doctor_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane doctor",
	.usage = "[OPTION]...",
	.summary = "Says what this host can do, and what to do about the rest, without changing "
		   "anything. Status 0: a machine can run.",
	.groups = groups,
};

static const char *const states[] = {
	[PV_DOCTOR_GOOD] = "good",
	[PV_DOCTOR_WEAK] = "weak",
	[PV_DOCTOR_NO] = "no",
};

/* ---- findings ---- */

void pv_doctor_note(struct pv_doctor *doctor, const char *name, enum pv_doctor_state state,
                    const char *format, ...)
{
	struct pv_doctor_finding *finding;
	va_list arguments;

	pv_bug_on(doctor->findings == PV_DOCTOR_FINDINGS_MAX);
	finding = &doctor->finding[doctor->findings++];
	finding->name = name;
	finding->state = state;
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
	va_end(arguments);
}

void pv_doctor_advise(struct pv_doctor *doctor, const char *format, ...)
{
	struct pv_doctor_finding *finding = &doctor->finding[doctor->findings - 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding->remedy, sizeof(finding->remedy), format, arguments);
	va_end(arguments);
}

/* ---- the report ---- */

static void print_finding(const struct pv_doctor_finding *finding)
{
	char remedy[sizeof(finding->remedy) + 16];

	printf("  %-18s%-7s", finding->name, states[finding->state]);
	pv_text_wrapped(stdout, TEXT_COLUMN, finding->text);
	if (!finding->remedy[0])
		return;
	snprintf(remedy, sizeof(remedy), "remedy: %s", finding->remedy);
	printf("%*s", (int)TEXT_COLUMN, "");
	pv_text_wrapped(stdout, TEXT_COLUMN, remedy);
}

static void print_table(const struct pv_doctor *doctor, bool can_run)
{
	for (unsigned int i = 0; i < doctor->findings; i++)
		print_finding(&doctor->finding[i]);
	printf("\n'paravane run' can%s run here; 'paravane serve' needs none of KVM.\n",
	       can_run ? "" : "not");
}

static struct json_object *object_of(const struct pv_doctor_finding *finding)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_object_new_string(finding->name));
	json_object_object_add(object, "state", json_object_new_string(states[finding->state]));
	json_object_object_add(object, "text", json_object_new_string(finding->text));
	if (finding->remedy[0])
		json_object_object_add(object, "remedy", json_object_new_string(finding->remedy));
	return object;
}

static void print_json(const struct pv_doctor *doctor, bool can_run)
{
	struct json_object *report = json_object_new_object();
	struct json_object *findings = json_object_new_array();

	for (unsigned int i = 0; i < doctor->findings; i++)
		json_object_array_add(findings, object_of(&doctor->finding[i]));
	json_object_object_add(report, "can-run", json_object_new_boolean(can_run));
	json_object_object_add(report, "findings", findings);
	puts(json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN |
	                                                    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(report);
}

int pv_cli_doctor(int argc, char **argv)
{
	struct doctor_options options = { 0 };
	void *const values[] = { &options };
	struct pv_doctor doctor = { 0 };
	int status;
	bool can_run;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	can_run = pv_doctor_look_at_kvm(&doctor);
	pv_doctor_look_at_process(&doctor);
	pv_doctor_look_at_memory(&doctor);
	pv_doctor_look_at_devices(&doctor);
	if (options.is_json)
		print_json(&doctor, can_run);
	else
		print_table(&doctor, can_run);
	return can_run ? EXIT_SUCCESS : EXIT_FAILURE;
}
