/* The snapshot that came from our master becomes our dataset's file: it is our data and the place in our master's history,
 * so that who is started again asks for what is missing alone.
 *
 * Server process. A worker makes it durable and gives it the name, unless it is withdrawn before: a file of our own that
 * is begun later is the newer one. */
#ifndef SLIPSTREAM_CORE_DATASET_KEPT_SNAPSHOT_H
#define SLIPSTREAM_CORE_DATASET_KEPT_SNAPSHOT_H

struct kept_snapshot;

/* fd: a nameless file in path's file system, owned from now on. NULL: logged. */
struct kept_snapshot *kept_snapshot_begin(int fd, const char *path);
/* Until it has the name, or it is known that it gets none. NULL: at once. */
void kept_snapshot_await(const struct kept_snapshot *k);
/* It gets the name no more; where that is just happening it is waited for, a rename and the fsync of the directory. Frees
 * it; NULL: nothing. */
void kept_snapshot_withdraw(struct kept_snapshot *k);

#endif
