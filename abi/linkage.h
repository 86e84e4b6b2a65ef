/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Around what a public header declares: it has C's names in C++ too, and is seen from outside of a
 * shared library that hides everything else.
 */
#ifndef PV_ABI_LINKAGE_H
#define PV_ABI_LINKAGE_H

#ifdef __cplusplus
#define PV_PUBLIC_BEGIN                                                                            \
	extern "C" {                                                                               \
	_Pragma("GCC visibility push(default)")
#define PV_PUBLIC_END                                                                              \
	_Pragma("GCC visibility pop")                                                              \
	}
#else
#define PV_PUBLIC_BEGIN _Pragma("GCC visibility push(default)")
#define PV_PUBLIC_END   _Pragma("GCC visibility pop")
#endif

#endif
