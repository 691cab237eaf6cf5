/* Removing a directory with all that is in it. */
#include "tests/harness/directory.h"

#include <ftw.h>
#include <stdio.h>

#define DESCRIPTORS 16

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    remove(path);
    return 0;
}

void directory_remove(const char *path)
{
    nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
