/* See append_only_parts.h: the state, and which file the stream goes to. Server process. */
#include "server/core/dataset/append_only_parts.h"

#include "repl/replication.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/dataset/propagate.h"

#include <errno.h>
#include <string.h>

#define TO(state) (1u << APPEND_ONLY_##state)

void append_only_enter(struct append_only *a, enum append_only_state state)
{
    static const unsigned successors[] = {
        [APPEND_ONLY_OFF] = TO(ON) | TO(WAITING) | TO(SUSPENDED),
        [APPEND_ONLY_SUSPENDED] = TO(OFF) | TO(WAITING) | TO(SUSPENDED),
        [APPEND_ONLY_WAITING] = TO(OFF) | TO(ON) | TO(SUSPENDED),
        [APPEND_ONLY_ON] = TO(OFF) | TO(SUSPENDED),
    };
    CHECK(successors[a->state] & (1u << state));
    a->state = state;
    append_only_follow_fsync(a);
}

int append_only_write_to(struct append_only *a, int fd, uint64_t file_bytes)
{
    uint8_t room[APPEND_ONLY_HEAD_BYTES];
    struct replication *r = a->core->replication;
    struct journal_file file = {
        .fd = fd,
        .from = replication_history(r)->offset + 1,
        .file_bytes = file_bytes,
        .head = append_only_format_head(a->core, room),
    };
    bool runs = journal_is_running(a->journal);
    int status = -1;
    repl_stream_publish(replication_stream(r)); /* what has run is published: the file begins behind it */
    if (replication_keep_stream(r, true) == 0)
        status = runs ? journal_switch(a->journal, &file)
                      : journal_start(a->journal, repl_stream_backlog(replication_stream(r)), &file);
    int error = errno;
    if (!replication_is_replica(r)) propagate_forget_db(a->core->propagation);
    if (status == 0) return 0;
    log_warning("The journal of the append only file can't be %s: %s", runs ? "led on" : "started", strerror(error));
    errno = error;
    return -1;
}

int append_only_write_adopted(struct append_only *a, int fd, const struct aof_loaded *loaded)
{
    uint8_t room[APPEND_ONLY_HEAD_BYTES];
    struct journal_file file = {.fd = fd, .from = loaded->offset + 1, .file_bytes = loaded->last_file_bytes};
    file.head = append_only_format_select(loaded->db < 0 ? 0 : loaded->db, room);
    struct replication *r = a->core->replication;
    if (journal_start(a->journal, repl_stream_backlog(replication_stream(r)), &file) == 0) return 0;
    int error = errno;
    log_warning("The journal of the append only file can't be started: %s", strerror(error));
    errno = error;
    return -1;
}
