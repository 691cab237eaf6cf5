/* Whose the files are: the append-only files of one name (appendfilename) in a directory are locked for as long as a
 * journal may write there. Server process.
 *
 * The lock belongs to one open description of the directory: the server opens it, and hands it to each of its journals,
 * so it is let go when the last of them all has ended, and by nothing else. The directory itself is locked: no file of
 * ours lies about among those of Redis, and nothing has to be writable. Of the directory it is one byte that stands for
 * the name, for servers may share a directory as long as their files are named differently: a lock on the whole of it
 * kept the second of them waiting for ever. A lock on a byte of what is open for reading only is a shared one
 * (F_OFD_SETLK), so whoever has taken his looks whether he is alone with it. Where the file system has no such locks
 * for directories, there is none, and one line in the log. */
#ifndef SLIPSTREAM_AOF_JOURNAL_LOCK_H
#define SLIPSTREAM_AOF_JOURNAL_LOCK_H

/* The descriptor that holds the lock, for this process and all that it is handed to; close-on-exec. -1 with errno,
 * EWOULDBLOCK: somebody else has it; ENOLCK: no such locks here. */
int journal_lock_take(const char *directory, const char *name);

#endif
