/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies around: device nodes, libraries, programs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted/cli/doctor.h"

#define CAP_NET_ADMIN 12u

/* The driver is there already: opening a node would load it otherwise, which is a change. */
static int open_driven(const char *driver, const char *node)
{
	int fd;

	if (access(driver, F_OK) < 0)
		return -ENODEV;
	fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static bool may_make_taps(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long capabilities = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	if (file)
		fclose(file);
	return capabilities >> CAP_NET_ADMIN & 1;
}

static void look_at_tap(struct pv_doctor *doctor)
{
	int error = open_driven("/sys/class/misc/tun", "/dev/net/tun");

	if (!error) {
		pv_doctor_note(doctor, "tap", PV_DOCTOR_GOOD, "/dev/net/tun opens; %s",
		               may_make_taps() ? "this process may make tap devices"
		                               : "tap devices that were made for this user can be "
		                                 "used, others take CAP_NET_ADMIN");
		return;
	}
	pv_doctor_note(doctor, "tap", PV_DOCTOR_NO, "/dev/net/tun: %s", strerror(-error));
	pv_doctor_advise(doctor,
	                 error == -EACCES || error == -EPERM
	                         ? "allow the device to this user or container"
	                         : "load its module (modprobe tun), or pass the device into "
	                           "the container");
}

static void look_at_vhost(struct pv_doctor *doctor)
{
	int error = open_driven("/sys/class/misc/vhost-net", "/dev/vhost-net");

	if (!error) {
		pv_doctor_note(doctor, "vhost-net", PV_DOCTOR_GOOD, "/dev/vhost-net opens");
		return;
	}
	pv_doctor_note(doctor, "vhost-net", PV_DOCTOR_NO,
	               "/dev/vhost-net: %s; networks do without, in this program",
	               strerror(-error));
	pv_doctor_advise(doctor, error == -EACCES || error == -EPERM
	                                 ? "allow the device to this user or container"
	                                 : "load its module (modprobe vhost_net)");
}

static void look_at_ptys(struct pv_doctor *doctor)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0 && unlockpt(fd) == 0) {
		pv_doctor_note(doctor, "pty", PV_DOCTOR_GOOD,
		               "pseudo terminals are to be had, for consoles");
	} else {
		pv_doctor_note(doctor, "pty", PV_DOCTOR_NO, "/dev/ptmx: %s", strerror(errno));
		pv_doctor_advise(doctor, "mount devpts on /dev/pts in the container");
	}
	if (fd >= 0)
		close(fd);
}

/* A library that is loaded when it is used. */
struct library {
	const char *finding, *file, *name, *package;
};

/* It stays until the program ends: closed, its libraries would leave behind what they allocated. */
static void look_at_library(struct pv_doctor *doctor, const struct library *library)
{
	if (dlopen(library->file, RTLD_LAZY | RTLD_LOCAL)) {
		pv_doctor_note(doctor, library->finding, PV_DOCTOR_GOOD, "%s is installed",
		               library->name);
		return;
	}
	pv_doctor_note(doctor, library->finding, PV_DOCTOR_NO, "%s is not installed",
	               library->name);
	pv_doctor_advise(doctor, "install it (Debian: apt install %s)", library->package);
}

static void look_at_libraries(struct pv_doctor *doctor)
{
	static const struct library libraries[] = {
		{ "slirp", "libslirp.so.0", "libslirp", "libslirp0" },
		{ "spice", "libspice-server.so.1", "libspice-server", "libspice-server1" },
	};

	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		look_at_library(doctor, &libraries[i]);
}

static bool is_in_path(const char *program)
{
	const char *at = getenv("PATH");
	char path[512];

	while (at && *at) {
		int chars = (int)strcspn(at, ":");

		if (snprintf(path, sizeof(path), "%.*s/%s", chars, at, program) <
		            (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			return true;
		at += chars;
		at += *at == ':';
	}
	return false;
}

static void look_at_uml(struct pv_doctor *doctor)
{
	if (is_in_path("linux.uml")) {
		pv_doctor_note(doctor, "user-mode-linux", PV_DOCTOR_GOOD,
		               "linux.uml is installed, for ./demo");
		return;
	}
	pv_doctor_note(doctor, "user-mode-linux", PV_DOCTOR_NO,
	               "linux.uml is not installed, which ./demo boots");
	pv_doctor_advise(doctor, "install it (Debian: apt install user-mode-linux)");
}

void pv_doctor_look_at_devices(struct pv_doctor *doctor)
{
	look_at_tap(doctor);
	look_at_vhost(doctor);
	look_at_ptys(doctor);
	look_at_libraries(doctor);
	look_at_uml(doctor);
}
