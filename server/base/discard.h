/* Letting go of files without waiting for them: whoever drops the last reference to a large one pays for its blocks,
 * some 80 ms a gigabyte. Where the process has workers (base/workers.h) one of them pays; else the caller. */
#ifndef SLIPSTREAM_BASE_DISCARD_H
#define SLIPSTREAM_BASE_DISCARD_H

/* Closes fd, whose content nobody needs any more: it is emptied first, so that another process's later close of the
 * same file costs that process nothing. For a regular file that is ours. */
void discard_file(int fd);
/* Unlinks path at once. 0 or -1 with errno. */
int discard_path(const char *path);

#endif
