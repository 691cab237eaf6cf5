/* A nameless temporary file for a snapshot in transit: gone with its last descriptor, whoever dies. */
#ifndef SLIPSTREAM_REPL_SPOOL_FILE_H
#define SLIPSTREAM_REPL_SPOOL_FILE_H

/* In the working directory, else in /tmp, else in memory (a read-only file system). A descriptor, or -1 with errno. */
int spool_file_open(void);

#endif
