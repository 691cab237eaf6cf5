/* The control region as a whole: made by the writer, recognised by everybody else. */
#ifndef SLIPSTREAM_SHM_CONTROL_H
#define SLIPSTREAM_SHM_CONTROL_H

#include "shm/layout.h"
#include "shm/region.h"

/* A named one is this process's from now on (shm/owner.h). 0 or -1 with errno. */
int control_create(struct region *out, enum region_kind kind, const char *name);
/* Maps fd, and owns it on success. -1 with errno; EPROTO: not a control region, or of another version. */
int control_map(struct region *out, int fd);
void control_sign(struct shm_control *c, const char *name); /* we are its writer */
/* id2 and second_offset as in PSYNC2; readers see all three or none. */
void control_set_history(struct shm_control *c, const char *id, const char *id2, int64_t second_offset);

struct control_history {
    char id[SHM_ID_BYTES], second_id[SHM_ID_BYTES]; /* "": none */
    int64_t second_offset;                          /* -1: there is no second id */
    uint64_t turn;
};

/* As it stands at one moment. False: it does not settle; a writer was killed in the middle of a change. */
bool control_history(const struct shm_control *c, struct control_history *out);

static inline struct shm_control *control_of(const struct region *r)
{
    return (struct shm_control *)(void *)r->base;
}

#endif
