/* Room ahead. Journal process. */
#include "server/aof/journal/room.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE_BYTES (1024 * 1024)

void room_take(struct room *r, int fd, uint64_t from, uint64_t until)
{
    if (r->refused || until <= r->until) return;
    if (from < r->until) from = r->until;
    until += PIECE_BYTES;
    int result;
    do result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(until - from));
    while (result != 0 && errno == EINTR);
    r->refused = result != 0;
    if (result == 0) r->until = until;
}

int room_cut(struct room *r, int fd, uint64_t end)
{
    *r = (struct room){.until = 0};
    return ftruncate(fd, (off_t)end);
}

/* To cut a file to the length that it has frees the blocks behind it; punching a hole there does not, on ext4. */
void room_give_back(struct room *r, int fd, uint64_t end)
{
    if (r->until > end && room_cut(r, fd, end) != 0) r->until = 0; /* the next one to cut it gives it back */
}
