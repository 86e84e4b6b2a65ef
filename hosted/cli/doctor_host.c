/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel gives to this process: ways to wait, limits, pages. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "hosted/cli/doctor.h"
#include "hosted/control/options.h"
#include "hosted/loop/loop.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* The loops of 16 disks with 16 queues each, and their files. */
#define DESCRIPTORS_ENOUGH 2048u
#define LOCKED_ENOUGH      (1u << 20)

/* ---- limits ---- */

static void look_at_uring(struct pv_doctor *doctor)
{
	const struct pv_loop_options options = { .name = "doctor",
		                                 .engine = PV_LOOP_ENGINE_URING,
		                                 .is_without_io = true };
	struct pv_loop *loop;
	int error = pv_loop_create(&loop, &options);

	if (!error) {
		pv_loop_destroy(loop);
		pv_doctor_note(doctor, "io_uring", PV_DOCTOR_GOOD, "works; disks use it");
		return;
	}
	pv_doctor_note(
		doctor, "io_uring", PV_DOCTOR_WEAK,
		"is refused (%s); disks use epoll and a few threads in its place, at more CPU "
		"time for each request",
		strerror(-error));
	if (error == -ENOSYS)
		pv_doctor_advise(doctor, "boot Linux 5.15 or newer, with CONFIG_IO_URING");
	else
		pv_doctor_advise(doctor, "allow it in the container's seccomp profile "
		                         "(io_uring_setup), or set the sysctl "
		                         "kernel.io_uring_disabled to 0");
}

static void look_at_descriptors(struct pv_doctor *doctor)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max >= DESCRIPTORS_ENOUGH) {
		pv_doctor_note(doctor, "open-files", PV_DOCTOR_GOOD, "up to %llu may be open",
		               (unsigned long long)limit.rlim_max);
		return;
	}
	pv_doctor_note(doctor, "open-files", PV_DOCTOR_WEAK,
	               "at most %llu may be open; every queue takes four, every disk 24",
	               (unsigned long long)limit.rlim_max);
	pv_doctor_advise(doctor, "raise the hard limit (ulimit -Hn, or a unit's LimitNOFILE=)");
}

static void look_at_locked(struct pv_doctor *doctor)
{
	char size[PV_SIZE_TEXT_BYTES];
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY) {
		pv_doctor_note(doctor, "locked-memory", PV_DOCTOR_GOOD, "has no limit");
		return;
	}
	pv_size_text(limit.rlim_cur, size);
	if (limit.rlim_cur >= LOCKED_ENOUGH) {
		pv_doctor_note(doctor, "locked-memory", PV_DOCTOR_GOOD,
		               "%s may be locked; guest memory never is", size);
		return;
	}
	pv_doctor_note(doctor, "locked-memory", PV_DOCTOR_WEAK,
	               "only %s may be locked, and before Linux 5.12 io_uring takes of that", size);
	pv_doctor_advise(doctor, "raise the limit (ulimit -l, or a unit's LimitMEMLOCK=)");
}

void pv_doctor_look_at_process(struct pv_doctor *doctor)
{
	look_at_uring(doctor);
	look_at_descriptors(doctor);
	look_at_locked(doctor);
}

/* ---- pages ---- */

/* The word in brackets, which is the one in force; empty: there is no such setting. */
static void read_setting(const char *path, char word[static 16])
{
	FILE *file = fopen(path, "re");
	char line[128];
	const char *bracket;

	word[0] = '\0';
	if (!file)
		return;
	bracket = fgets(line, sizeof(line), file) ? strchr(line, '[') : NULL;
	if (bracket)
		sscanf(bracket, "[%15[^]]", word);
	fclose(file);
}

static void look_at_transparent(struct pv_doctor *doctor)
{
	char word[16];

	read_setting(THP "enabled", word);
	if (strcmp(word, "always") == 0 || strcmp(word, "madvise") == 0) {
		pv_doctor_note(doctor, "huge-pages", PV_DOCTOR_GOOD,
		               "guest memory gets transparent huge pages (%s)", word);
		return;
	}
	pv_doctor_note(doctor, "huge-pages", PV_DOCTOR_WEAK,
	               "guest memory gets no transparent huge pages (%s)",
	               word[0] ? word : "the kernel has none");
	pv_doctor_advise(doctor, "as root, echo madvise >" THP "enabled");
}

static void look_at_shared(struct pv_doctor *doctor)
{
	char word[16];

	read_setting(THP "shmem_enabled", word);
	if (word[0] && strcmp(word, "never") != 0 && strcmp(word, "deny") != 0) {
		pv_doctor_note(doctor, "shared-huge-pages", PV_DOCTOR_GOOD,
		               "shared memory gets transparent huge pages (%s)", word);
		return;
	}
	pv_doctor_note(
		doctor, "shared-huge-pages", PV_DOCTOR_WEAK,
		"guest memory that is shared (--memory SIZE,shared=on, QEMU's share=on) gets "
		"no transparent huge pages (%s), as on most hosts",
		word[0] ? word : "the kernel has none");
	pv_doctor_advise(doctor, "as root, echo advise >" THP "shmem_enabled, or use hugepages=on");
}

static unsigned long long memory_line(FILE *file, const char *name)
{
	unsigned long long value;
	char line[128];

	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 &&
		    sscanf(line + strlen(name), ": %llu", &value) == 1)
			return value;
	return 0;
}

static void look_at_pool(struct pv_doctor *doctor)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long total, available, kib;

	if (!file)
		return;
	total = memory_line(file, "HugePages_Total");
	available = memory_line(file, "HugePages_Free");
	kib = memory_line(file, "Hugepagesize");
	fclose(file);
	pv_doctor_note(doctor, "huge-page-pool", available ? PV_DOCTOR_GOOD : PV_DOCTOR_NO,
	               "%llu of %llu pages of %llu KiB are free, for --memory SIZE,hugepages=on",
	               available, total, kib);
	if (!available)
		pv_doctor_advise(doctor, "as root, sysctl vm.nr_hugepages=PAGES");
}

void pv_doctor_look_at_memory(struct pv_doctor *doctor)
{
	look_at_transparent(doctor);
	look_at_shared(doctor);
	look_at_pool(doctor);
}
