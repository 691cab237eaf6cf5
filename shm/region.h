/* Pieces of shared memory: named where /dev/shm has room, a memfd where it has not.
 *
 * A region is made with its full length but without pages; region_reserve() takes them before anybody writes, so that a
 * full file system is an error message and never a SIGBUS. Containers often give /dev/shm 64 MiB. */
#ifndef SLIPSTREAM_SHM_REGION_H
#define SLIPSTREAM_SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region {
    int fd;        /* -1 with a base: private */
    uint8_t *base; /* mapped shared, readable and writable */
    size_t bytes;
    bool named; /* false: a memfd */
};

enum region_kind { REGION_NAMED, REGION_ANONYMOUS, REGION_PRIVATE /* ours alone: no descriptor, nobody can map it */ };

/* Pages of the first `reserved` bytes are there on return. The descriptor is close-on-exec. 0 or -1 with errno (EEXIST:
 * the name is taken); then nothing is left behind. */
int region_create(struct region *r, enum region_kind kind, const char *name, size_t bytes, size_t reserved);
int region_reserve(struct region *r, size_t from, size_t bytes); /* 0 or -1 with errno */
void region_give_back(struct region *r);                         /* all pages; the length stays */
/* Unlinks the name, if it has one. All zero but fd -1: does nothing. */
void region_close(struct region *r, const char *name);

/* The object takes that name, from whatever had it. 0 or -1 with errno. */
int region_rename(const char *from, const char *to);

/* Maps what somebody else made; owns fd on success. 0 or -1 with errno (EPROTO: shorter than bytes). */
int region_map(struct region *r, int fd, size_t bytes, bool writable);
void region_unmap(struct region *r);

/* A name's family: every object called name or name.<something>. */
uint64_t region_unlink_family(const char *name);                  /* the bytes of memory that it held */
uint64_t region_family_memory(const char *name, unsigned *count); /* the bytes that it holds, in so many objects */
/* Tells the name of each object that begins with prefix and is nobody's name.<something>. 0 or -1 with errno. */
int region_each(const char *prefix, void (*found)(void *context, const char *name), void *context);
/* A name's object, mapped read-only at its own length; -1 with errno (ENOENT). For inspection. */
int region_open(struct region *r, const char *name);

#endif
