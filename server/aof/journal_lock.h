/* Whose the files are: the directory of the append-only files is locked for as long as a journal may write there.
 * Server process.
 *
 * The lock (flock) belongs to one open description of the directory: the server opens it, and hands it to each of its
 * journals, so it is let go when the last of them all has ended, and by nothing else. The directory itself is locked:
 * no file of ours lies about among those of Redis, and nothing has to be writable. Where the file system has no such
 * locks for directories (NFS), there is none, and one line in the log. */
#ifndef SLIPSTREAM_AOF_JOURNAL_LOCK_H
#define SLIPSTREAM_AOF_JOURNAL_LOCK_H

#include <stdint.h>

/* Until nobody else has the directory locked: a journal of a server that is dead, which writes what was published. At
 * most timeout_ms, with lines in the log when it takes a while. 0, also where there is no such directory or no locks;
 * -1 with errno, ETIMEDOUT: it is still locked. */
int journal_lock_wait(const char *directory, int64_t timeout_ms);
/* The descriptor that holds the lock, for this process and all that it is handed to; close-on-exec. -1 with errno,
 * EWOULDBLOCK: somebody else has it; ENOLCK: no such locks here. */
int journal_lock_take(const char *directory);

#endif
