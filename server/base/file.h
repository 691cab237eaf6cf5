/* Files whole and safe: write all, replace atomically, read all. Errors are -1 with errno. */
#ifndef SLIPSTREAM_BASE_FILE_H
#define SLIPSTREAM_BASE_FILE_H

#include "server/base/bytes.h"

int file_write_all(int fd, const void *data, size_t len);              /* retries short writes and EINTR */
int file_copy_all(int from, int to);                                   /* the whole file, to where `to` stands */
int file_fsync_parent(const char *path);                               /* fsync of the directory that holds path */
int file_read_whole(const char *path, uint8_t **out, size_t *out_len); /* mem_free(*out); a zero byte follows the end */
/* A file, a directory or nothing yet; or a link to such. No device, pipe or socket, whose place no file may take. */
bool file_is_ordinary(const char *path);
/* rename() and renameat(), which leave alone (EINVAL) what is there and not ordinary. */
int file_rename(const char *from, const char *to);
int file_rename_at(int from_directory, const char *from, int to_directory, const char *to);
/* Temporary file beside path, write, fsync, rename, fsync of the directory. On failure path is as before. A character
 * device is written to, and what else is no file is left alone (EINVAL). */
int file_replace(const char *path, const void *data, size_t len, unsigned mode);

#endif
