/* What the server and its link process say to each other, over one SOCK_SEQPACKET pair.
 *
 * Both ends are the same binary, so a message is a struct, its kind, and a body. That they are is not taken on trust:
 * the link is told at its start which protocol its server speaks, and ends where it is not its own. Everything that
 * must be fast (stream bytes, offsets, acknowledgements) goes through shared memory instead; a message is sent when a
 * peer comes or goes. */
#ifndef SLIPSTREAM_REPL_LINK_CHANNEL_H
#define SLIPSTREAM_REPL_LINK_CHANNEL_H

#include "server/base/bytes.h"
#include "server/net/loop.h"

enum message_kind {
    /* server to link */
    MESSAGE_ATTACH = 1, /* descriptors: control region, link bell, server bell; before everything else */
    MESSAGE_RING,       /* index: its number; descriptor */
    MESSAGE_SPOOL,      /* index; descriptor */
    MESSAGE_SPOOL_FREE, /* index */
    MESSAGE_PEER,       /* index: its slot; body: the preamble, then bytes the peer had sent already; descriptor */
    MESSAGE_DROP,       /* index: a peer's slot; body: the reason */
    MESSAGE_PING_PERIOD,
    /* link to server */
    MESSAGE_ONLINE, /* index: a peer's slot */
    MESSAGE_GONE    /* index: a peer's slot; body: the reason */
};

struct message {
    enum message_kind kind;
    int32_t index;
    union {
        struct {
            uint64_t size;
        } ring;
        struct {
            bool is_pipe;
        } spool;
        struct {
            uint64_t from;
            int32_t spool; /* -1: continues without a snapshot */
            uint32_t preamble_bytes;
            bool eof_framing, lz4, rdb_only, nodelay;
        } peer;
        struct {
            int32_t seconds;
        } ping_period;
    };
};

#define CHANNEL_PROTOCOL_VERSION 3 /* to be raised with every change of meaning that changes no size */
#define CHANNEL_PROTOCOL_BYTES   64
/* Version and sizes of all that the two share, messages and memory. */
void channel_protocol(char out[CHANNEL_PROTOCOL_BYTES]);

#define MESSAGE_BODY_MAX (63 * 1024)
#define MESSAGE_FDS_MAX  3

struct channel;

struct channel_events {
    void *context;
    /* The callee owns the descriptors. The body is valid for the call. */
    void (*received)(void *context, const struct message *m, struct bytes body, const int *fds, int fd_count);
    void (*ended)(void *context); /* the other end is gone; nothing follows. Close the channel. */
};

struct channel *channel_open(struct loop *loop, int fd, const struct channel_events *events); /* owns fd */
void channel_close(struct channel *c); /* also from inside its callbacks; what is still queued is dropped */
/* Never waits: what the socket does not take at once is kept, with copies of the descriptors. The caller keeps its own.
 * 0, or -1 with errno. */
int channel_send(struct channel *c, const struct message *m, struct bytes body, const int *fds, int fd_count);

#endif
