/* What the server and its link process say to each other, over one SOCK_SEQPACKET pair.
 *
 * Both ends are the same binary, so a message is a struct, its kind, and a body. That they are is not taken on trust:
 * the link is told at its start which protocol its server speaks, and ends where it is not its own. Everything that
 * must be fast (stream bytes, offsets, acknowledgements) goes through shared memory instead; a message is sent when a
 * peer comes or goes. */
#ifndef SLIPSTREAM_REPL_LINK_MESSAGES_H
#define SLIPSTREAM_REPL_LINK_MESSAGES_H

#include "server/base/bytes.h"
#include "server/net/channel.h"
#include "server/net/role_process.h"

enum message_kind {
    /* server to link */
    MESSAGE_ATTACH = 1, /* descriptors: control region, link bell, server bell; before everything else */
    MESSAGE_RING,       /* index: its number; descriptor */
    MESSAGE_SPOOL,      /* index; descriptor */
    MESSAGE_SPOOL_FREE, /* index */
    MESSAGE_PEER,       /* index: its slot; body: the preamble, then bytes the peer had sent already; descriptor */
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

#define LINK_PROTOCOL_VERSION 4 /* to be raised with every change of meaning that changes no size */
#define LINK_PROTOCOL_BYTES   64
/* Version and sizes of all that the two share, messages and memory. */
void link_protocol(char out[LINK_PROTOCOL_BYTES]);
/* How the process is started; the protocol's text is the caller's, and filled in. */
struct role link_role(char protocol[LINK_PROTOCOL_BYTES]);

#define MESSAGE_BODY_MAX (CHANNEL_MESSAGE_MAX - sizeof(struct message))

/* 0, or -1 with errno, as channel_send(). */
int message_send(struct channel *c, const struct message *m, struct bytes body, const int *fds, int fd_count);
/* NULL: too short to be one. */
const struct message *message_read(struct bytes received, struct bytes *body);

#endif
