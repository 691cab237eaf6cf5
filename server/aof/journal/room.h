/* Room on the disk behind a file's end, taken ahead in large pieces (fallocate, KEEP_SIZE): a write that becomes
 * durable at once then changes the inode alone, where finding blocks for it would make the filesystem write its maps as
 * well. On ext4 an fsync takes a fifth less time and CPU for it. The file's length stays what was written, so nobody
 * sees the room. Journal process.
 *
 * Bytes written beforehand, to be overwritten, would save a little more (the inode stays as well), and are not safe: a
 * crash of the machine could leave half a command with such bytes behind it, and no loader could tell. */
#ifndef SLIPSTREAM_AOF_JOURNAL_ROOM_H
#define SLIPSTREAM_AOF_JOURNAL_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* Of one file; all zero: none. */
struct room {
    uint64_t until; /* there is room for bytes below this one */
    bool refused;   /* the filesystem has none, or knows no such thing: not asked again */
};

/* Before bytes from the file's end at `from` up to `until` are written. What cannot be had is no error: the write
 * itself will tell. */
void room_take(struct room *r, int fd, uint64_t from, uint64_t until);
/* The file ends at `end`, where it is cut: what room is left goes back. 0, or -1 with errno. */
int room_cut(struct room *r, int fd, uint64_t end);
/* The same for who is done with a file that ends there already. */
void room_give_back(struct room *r, int fd, uint64_t end);

#endif
