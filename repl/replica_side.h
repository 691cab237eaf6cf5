/* The replica's side from within. For replica*.c alone.
 *
 *   replica.c          what the state machine decides, done; whom we follow; making and freeing
 *   replica_dataset.c  receiving and loading the master's snapshot
 *   replica_stream.c   applying the stream, relaying it, acknowledging it
 *   replica_link.c     resolving, connecting, the handshake, the wire (plain or LZ4)
 *   replica_driver.c   the machine's events and clock
 *   replica_info.c     what INFO and others see of it; changes nothing
 *
 * Who stands above may call who stands below. What the machine decides comes back up by `hooks`. */
#ifndef SLIPSTREAM_REPL_REPLICA_SIDE_H
#define SLIPSTREAM_REPL_REPLICA_SIDE_H

#include "repl/inbox.h"
#include "repl/parts.h"
#include "repl/replica_machine.h"
#include "repl/transfer.h"
#include "server/base/log.h"
#include "server/base/lz4_stream.h"

#define MASTER_ADDRESSES_MAX 8
#define REFUSAL_BYTES        800

struct resolve_job;

enum wire { WIRE_PLAIN, WIRE_PACKED, WIRE_UNDECIDED /* LZ4 was offered: the first byte tells */ };

/* Whether our master is read while its snapshot comes: not where the disk is behind, or the loader slowed down. */
enum input_gate { INPUT_OPEN, INPUT_STOPPING, INPUT_STOPPED };

struct replica_hooks {
    void (*act)(struct replica_side *s, const struct replica_action *action);
    void (*deliver)(struct replica_side *s, const uint8_t *data, size_t len); /* unpacked, behind the handshake */
    void (*failover_ended)(struct replication *r, bool good);
};

struct replica_side {
    struct replication *r;
    struct replica_hooks hooks; /* filled in by replica.c */
    struct replica_machine machine;
    struct replica_machine_settings machine_settings; /* fixed for an attempt */
    char *host;                                       /* NULL: we are a master */
    int port;
    unsigned life; /* counts connections let go: who called out sees whether his is still the one */

    struct loop_timer *timer; /* the machine's deadline, or earlier */
    int64_t timer_ms;
    bool in_timer;

    struct resolve_job *resolving;
    struct address addresses[MASTER_ADDRESSES_MAX];
    int address_count;
    unsigned address_turn; /* another one at each attempt */

    struct conn *conn;
    int held_fd; /* the connection while the snapshot is loaded and nothing is read; else -1 */
    void (*paused)(struct replica_side *s); /* what waits for that */
    enum wire wire;
    struct lz4_decoder *decoder;
    struct inbox input; /* half a handshake line, a snapshot that is read slowly, stream bytes not yet applied */
    int64_t last_io_ms, down_since_ms; /* monotonic; 0: never */

    struct transfer *transfer;
    struct loop_timer *load_timer; /* the next slice of the file, or of what waits in `input` */
    enum input_gate input_gate;
    int64_t disk_patience_ms;      /* monotonic: until then it is waited for a file that is only to be kept */
    char full_id[HISTORY_ID_TEXT]; /* of the snapshot being received; "": SYNC, unknown */
    uint64_t full_offset;
    uint64_t full_reach;    /* ... and where our master's stream stood when we asked */
    struct keyspace *aside; /* the new data grows here beside the old; NULL: it comes into the keyspace itself */
    char sync_error[256];   /* why the last full resync failed; "": none has since the link was up */
    bool replacing;         /* our old data is gone, the new is being loaded */
    bool awaits_dataset;    /* the new data is here whole; somebody still uses the old */
    bool without_dataset;   /* our old data is gone, and new has not been complete since */

    bool can_continue;           /* dataset and history belong together: PSYNC may ask to continue */
    int stream_db;               /* selected in the stream where we would continue; -1: none yet */
    char refusal[REFUSAL_BYTES]; /* why the stream is not followed any more; "": it is, or has not come so far */
    bool ask_anew; /* what would come next in the stream is what was refused: a full resync is asked for */
    uint64_t refusals;
    bool streaming, applying, ack_wanted;
    bool held_back; /* writes are paused: the stream waits in `input` */
};

/* --- replica_driver.c --- */
enum log_level replica_log_level(const struct replica_side *s); /* of an attempt: many in a second are told quietly */
void replica_step(struct replica_side *s, const struct replica_event *event);
void replica_failed(struct replica_side *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- replica_link.c --- */
void replica_resolve(struct replica_side *s);
void replica_connect(struct replica_side *s);
void replica_greet(struct replica_side *s);
void replica_send_psync(struct replica_side *s);
void replica_send_sync(struct replica_side *s);
void replica_send(struct replica_side *s, uint32_t argc, const struct bytes *argv);
void replica_keep_alive(struct replica_side *s);
/* Called later, or at once where reading has stopped already. */
void replica_pause_reading(struct replica_side *s, void (*paused)(struct replica_side *s));
bool replica_resume_reading(struct replica_side *s); /* false: the connection died meanwhile */
void replica_disconnect(struct replica_side *s);

/* --- replica_dataset.c --- */
void replica_begin_transfer(struct replica_side *s, const struct replica_action *full);
size_t replica_receive_snapshot(struct replica_side *s, const uint8_t *data, size_t len); /* bytes taken */
void replica_load(struct replica_side *s);
void replica_load_waiting(struct replica_side *s); /* somebody may use the old dataset no longer */
void replica_abandon_dataset(struct replica_side *s);

/* --- replica_stream.c --- */
void replica_begin_stream(struct replica_side *s);
void replica_apply(struct replica_side *s, const uint8_t *data, size_t len);
void replica_apply_held_back(struct replica_side *s); /* writes may be paused no longer */
void replica_ack(struct replica_side *s);

#endif
