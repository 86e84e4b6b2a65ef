/* SPDX-License-Identifier: BSD-2-Clause */
/* A name that stands for several addresses, as far as paravane attach is concerned. */
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/cli/attach.h"

/* What the name stands for. */
static struct addrinfo *found;

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *wanted,
                       struct addrinfo **result);
void __wrap_freeaddrinfo(struct addrinfo *list);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *wanted,
                       struct addrinfo **result)
{
	assert_string_equal(host, "host");
	assert_string_equal(port, "5");
	assert_int_equal(wanted->ai_socktype, SOCK_STREAM);
	*result = found;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	assert_ptr_equal(list, found);
}

/* A socket of this address, which is filled in; it listens or does not. */
static int bind_port(struct sockaddr_in *address, bool listens)
{
	socklen_t bytes = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
		                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void the_first_that_is_listened_on_is_taken(void **state)
{
	struct sockaddr_in addresses[3];
	struct addrinfo list[3] = { 0 };
	char sentence[PV_SENTENCE_BYTES];
	struct pv_attach_place place;
	int fds[3], fd;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fds[i] = bind_port(&addresses[i], i == 2);
		list[i] = (struct addrinfo){ .ai_addr = (struct sockaddr *)&addresses[i],
			                     .ai_addrlen = sizeof(addresses[i]),
			                     .ai_next = i < 2 ? &list[i + 1] : NULL };
	}
	found = list;
	fd = pv_attach_connect(&place, "tcp:host:5", NULL, sentence);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void when_none_is_the_last_one_says_why(void **state)
{
	struct sockaddr_un nowhere = { .sun_family = AF_UNIX, .sun_path = "/nowhere/at/all" };
	struct sockaddr_in refused;
	struct addrinfo last = { .ai_addr = (struct sockaddr *)&nowhere,
		                 .ai_addrlen = sizeof(nowhere) };
	struct addrinfo first = { .ai_addr = (struct sockaddr *)&refused,
		                  .ai_addrlen = sizeof(refused),
		                  .ai_next = &last };
	char sentence[PV_SENTENCE_BYTES];
	struct pv_attach_place place;
	int fd = bind_port(&refused, false);

	(void)state;
	found = &first;
	assert_int_equal(pv_attach_connect(&place, "tcp:host:5", NULL, sentence), -1);
	assert_string_equal(sentence, "there is no host:5: is the machine running?");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_is_listened_on_is_taken),
		cmocka_unit_test(when_none_is_the_last_one_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
