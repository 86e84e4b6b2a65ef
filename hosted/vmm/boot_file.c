/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls pread64
 */
#include "hosted/vmm/boot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hosted/backends/refuse.h"

bool pv_boot_file_has(const struct pv_boot_file *file, uint64_t offset, uint64_t bytes)
{
	return offset <= file->bytes && bytes <= file->bytes - offset;
}

bool pv_boot_file_read(const struct pv_boot_file *file, uint64_t offset, void *to, uint64_t bytes,
                       char sentence[static PV_SENTENCE_BYTES])
{
	uint8_t *at = to;
	ssize_t done = 1;

	if (!pv_boot_file_has(file, offset, bytes))
		done = 0;
	while (bytes > 0 && done != 0) {
		done = pread(file->fd, at, bytes, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return pv_sentence_wrong(sentence, "option '--%s': %s: %s", file->option,
			                         file->path, strerror(errno));
		at += done;
		offset += (uint64_t)done;
		bytes -= (uint64_t)done;
	}
	return bytes == 0 || pv_sentence_wrong(sentence,
	                                       "option '--%s': %s is shorter than it says; "
	                                       "give a file that is whole",
	                                       file->option, file->path);
}

static bool read_head(struct pv_boot_file *file, char sentence[static PV_SENTENCE_BYTES])
{
	struct stat stat;

	if (fstat(file->fd, &stat) < 0)
		return pv_sentence_wrong(sentence, "option '--%s': %s: %s", file->option,
		                         file->path, strerror(errno));
	if (S_ISDIR(stat.st_mode))
		return pv_sentence_wrong(sentence, "option '--%s': %s is a folder; give a file",
		                         file->option, file->path);
	if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': %s cannot be read whole; give a "
		                         "file that is not empty",
		                         file->option, file->path);
	file->bytes = (uint64_t)stat.st_size;
	file->head_bytes = file->bytes < PV_BOOT_HEAD_BYTES ? file->bytes : PV_BOOT_HEAD_BYTES;
	file->head = malloc(file->head_bytes);
	if (!file->head)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	return pv_boot_file_read(file, 0, file->head, file->head_bytes, sentence);
}

bool pv_boot_file_open(struct pv_boot_file *file, const char *option, const char *path,
                       char sentence[static PV_SENTENCE_BYTES])
{
	*file = (struct pv_boot_file){ .option = option, .path = path };
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return pv_sentence_wrong(sentence, "option '--%s': %s: %s", option, path,
		                         pv_why_not_opened(-errno));
	if (read_head(file, sentence))
		return true;
	close(file->fd);
	free(file->head);
	file->head = NULL;
	return false;
}

void pv_boot_file_close(struct pv_boot_file *file)
{
	if (file->head)
		close(file->fd);
	free(file->head);
	*file = (struct pv_boot_file){ 0 };
}
