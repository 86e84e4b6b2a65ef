/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at memory as a client that polls does, until it is ended. */
#include "ring/barrier.h"

int main(void)
{
	static struct pv_le16 index;

	while (pv_observe_le16(&index) == 0)
		pv_cpu_relax();
	return 0;
}
