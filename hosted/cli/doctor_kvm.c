/* SPDX-License-Identifier: BSD-2-Clause */
/* Can a machine be made, and how fast is it? */
#include <unistd.h>

#include "hosted/cli/doctor.h"
#include "hosted/vmm/kvm.h"
#include "hosted/vmm/kvm_device.h"
#include "hosted/vmm/kvm_speed.h"

/* Hardware is within a tenth where nothing else runs; a KVM of software is off by tens to hundreds.
 */
#define TIMES_SLOW 8.0

static bool look_at_speed(struct pv_doctor *doctor, struct pv_kvm *kvm)
{
	char sentence[PV_SENTENCE_BYTES];
	double times;

	if (!pv_kvm_speed(kvm, &times, sentence)) {
		pv_doctor_note(doctor, "kvm-speed", PV_DOCTOR_NO, "%.200s", sentence);
		pv_doctor_advise(doctor, "boot a newer Linux, or run on another host");
		return false;
	}
	if (times < TIMES_SLOW) {
		pv_doctor_note(doctor, "kvm-speed", PV_DOCTOR_GOOD,
		               "a loop in a guest's kernel takes %.2f times as long as here",
		               times);
		return true;
	}
	pv_doctor_note(doctor, "kvm-speed", PV_DOCTOR_WEAK,
	               "a loop in a guest's kernel takes %.0f times as long as here: this KVM "
	               "emulates kernels, and stock ones do not boot in useful time",
	               times);
	pv_doctor_advise(doctor,
	                 "run on a host whose processor virtualizes, or have this one's host "
	                 "nest that");
	return true;
}

static bool look_at_machine(struct pv_doctor *doctor)
{
	char sentence[PV_SENTENCE_BYTES];
	struct pv_kvm kvm;
	bool can_run;

	if (!pv_kvm_open(&kvm, sentence)) {
		pv_doctor_note(doctor, "kvm", PV_DOCTOR_NO, "%.250s", sentence);
		pv_doctor_advise(doctor, "the kernel's log says more (dmesg)");
		return false;
	}
	pv_doctor_note(doctor, "kvm", PV_DOCTOR_GOOD,
	               "/dev/kvm opens, has all that a machine needs, and makes one of up to %u "
	               "processors",
	               kvm.cpus_max);
	can_run = look_at_speed(doctor, &kvm);
	pv_kvm_close(&kvm);
	return can_run;
}

bool pv_doctor_look_at_kvm(struct pv_doctor *doctor)
{
	struct pv_kvm_lack lack;
	int fd = pv_kvm_device_open(&lack);

	if (fd >= 0) {
		close(fd);
		return look_at_machine(doctor);
	}
	pv_doctor_note(doctor, "kvm", PV_DOCTOR_NO, "%s", lack.what);
	pv_doctor_advise(doctor, "%s", lack.remedy);
	return false;
}
