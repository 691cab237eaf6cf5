/* Nameless temporary files. Server process, both sides of replication: what a full sync sends, and what it receives. */
#include "repl/spool_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Some file systems (overlay, NFS) know no O_TMPFILE. */
static int open_unlinked(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    char path[64];
    snprintf(path, sizeof path, "%s/.spool-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    return fd;
}

int spool_file_open(void)
{
    int fd = open_unlinked(".");
    if (fd < 0) fd = open_unlinked("/tmp");
    if (fd < 0) fd = memfd_create("spool", MFD_CLOEXEC);
    return fd;
}
