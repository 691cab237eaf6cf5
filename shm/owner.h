/* Whose a named backlog is: whether the server that wrote it lives, and what becomes of it when not.
 *
 * A writer holds a lock on its control object from the creation on. The kernel drops the lock with the process, however
 * that ends, and shows it to every process that can open the object: a process id says less, for it is used again, and
 * means another process, or none, to a container that shares /dev/shm. */
#ifndef SLIPSTREAM_SHM_OWNER_H
#define SLIPSTREAM_SHM_OWNER_H

#include <stdint.h>

enum owner_state { OWNER_NONE, OWNER_DEAD, OWNER_LIVING };

struct owner {
    enum owner_state state;
    int pid; /* as its own namespace counts; 0: not known */
};

/* The control object of this descriptor is this process's until it ends, or closes any descriptor of the object. 0, or
 * -1 with errno. */
int owner_claim(int fd);
/* When a process was started, in ticks since boot; 0 when there is none, or only its remains. */
uint64_t owner_start_ticks(int pid);
/* For names that this process does not own itself: see owner_claim(). */
struct owner owner_of_name(const char *name);
/* Removes what a dead writer left under the name, control object and rings; a living one's stays. Returns how many
 * bytes of memory that gave back. */
uint64_t owner_remove_dead(const char *name);

#endif
