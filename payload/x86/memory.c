/* SPDX-License-Identifier: BSD-2-Clause */
/* What a freestanding compiler takes for granted. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	volatile uint8_t *target = to;
	const uint8_t *source = from;

	if ((uintptr_t)to <= (uintptr_t)from)
		return memcpy(to, from, bytes);
	while (bytes-- > 0)
		target[bytes] = source[bytes];
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const volatile uint8_t *x = a, *y = b;

	for (size_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}
