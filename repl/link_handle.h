/* The server's end of the link process: starts it, hands it replicas' sockets and spools, hears what became of them.
 *
 * The link is `exec`ed from our own running image at the first replica, so it shares no page with the dataset. It
 * outlives a server that is killed while there is something published to send (repl/link/drain.h). If it dies, or hangs
 * and is killed, `died` is called: every peer's socket is gone with it; the next replica starts another. Messages:
 * repl/link/messages.h. */
#ifndef SLIPSTREAM_REPL_LINK_HANDLE_H
#define SLIPSTREAM_REPL_LINK_HANDLE_H

#include "repl/link/main.h" /* link_main(), reached from main.c by argv[1] */
#include "server/base/bytes.h"
#include "server/net/loop.h"
#include "shm/backlog.h"

#include <sys/types.h>

struct link_handle;

struct link_events {
    void *context;
    void (*peer_online)(void *context, int slot); /* snapshot fully sent, stream follows */
    /* Its socket is closed; the slot is the server's to free. */
    void (*peer_gone)(void *context, int slot, const char *reason);
    void (*died)(void *context); /* all peers are gone; the handle stays, and restarts on demand */
};

enum link_peer_mode { LINK_CONTINUE, LINK_FULL };

struct link_peer {
    int slot;
    enum link_peer_mode mode;
    uint64_t from;    /* LINK_CONTINUE: first stream offset to send; LINK_FULL: first offset after the snapshot */
    int spool;        /* LINK_FULL */
    bool eof_framing; /* capa eof: "$EOF:<mark>" while the spool grows; else "$<length>" once it is complete */
    bool lz4;         /* both sides ours: snapshot and stream as LZ4 frames after the preamble */
    bool rdb_only;    /* REPLCONF rdb-only 1: closed after the snapshot */
    bool nodelay;
    struct bytes preamble; /* sent first: replies still owed and +CONTINUE / +FULLRESYNC; at most 32 KiB */
    struct bytes rest;     /* input that had arrived behind the request */
};

struct link_handle *link_handle_new(struct loop *loop, const char *executable, const struct link_events *events);
void link_handle_free(struct link_handle *l);       /* ends the process */
pid_t link_handle_pid(const struct link_handle *l); /* 0: not running */

/* Starts the process if needed, bound to b. 0 or -1 with errno (EAGAIN: it ended or failed too often of late). */
int link_handle_ensure(struct link_handle *l, struct backlog *b);
bool link_handle_is_ready(const struct link_handle *l); /* it runs, or may be started */
void link_handle_cron(struct link_handle *l);           /* some times a second: a link that hangs is killed */
void link_handle_detach_backlog(struct link_handle *l); /* before backlog_close(): ends the process */
/* fd is closed here in any case. 0 or -1 with errno (EMSGSIZE: preamble and rest are more than 60 KiB). */
int link_give_peer(struct link_handle *l, const struct link_peer *peer, int fd);
/* A spool's file, or the read end of a pipe for a diskless snapshot; fd stays the caller's. A file may be joined as
 * long as the spool exists; a pipe only by peers given before this call, or in the same turn of the loop. When the last
 * of those is gone nobody reads it any more: its writer is the caller's to stop. The caller must not keep its own end,
 * so that the writer learns of a link that dies. */
int link_give_spool(struct link_handle *l, int spool, int fd, bool is_pipe);
void link_free_spool(struct link_handle *l, int spool);
/* Peers that wait for a snapshot are kept alive by newlines, so often; 0: never. */
void link_set_ping_period(struct link_handle *l, int seconds);

#endif
