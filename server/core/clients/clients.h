/* Clients: a connection with a session behind it, and the set of all of them. */
#ifndef SLIPSTREAM_CORE_CLIENTS_CLIENTS_H
#define SLIPSTREAM_CORE_CLIENTS_CLIENTS_H

#include "server/base/list.h"
#include "server/core/session/session.h"
#include "server/core/tracking/tracking.h"
#include "server/net/conn.h"
#include "server/resp/reader.h"

struct clients;

enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_MASTER, CLIENT_CLASSES };

/* As in the session, what every request looks at stands close together, around the session's beginning. */
struct client {
    struct core *core;
    struct conn *conn; /* NULL once the link process has the socket (a replica) */
    uint8_t *query;    /* input kept from earlier arrivals, NULL when none: query_len bytes from query_at on */
    size_t query_len;
    size_t processing_len;       /* input being parsed and run right now */
    struct request_batch *ahead; /* read from input that is announced; NULL: none is, or it is not read ahead */
    int64_t last_interaction_ms; /* times here are monotonic */
    uint64_t net_in;
    bool unix_socket;
    bool close_asap; /* dead: freed before the loop sends */
    bool close_after_reply;
    bool handed_over; /* a replica: the link process has the socket */
    bool running;     /* inside its own command: freeing waits */
    bool woken;       /* in clients' list of those with kept requests to run */
    bool batch_lent;  /* `ahead`, or what runs, is an I/O thread's: it goes back with the input, and may be gone */
    struct resp_request request;
    struct session session;

    size_t query_at, query_capacity;
    uint64_t kept_turn;               /* the loop's, when kept requests last ran: each turn runs some */
    uint64_t query_peak, output_peak; /* bytes that waited; of output as far as somebody looked */
    int64_t created_ms;
    struct address peer, local;
    struct list_node node;    /* in clients, by age */
    struct list_node pending; /* in the list of the woken, or in that of the dead */
    size_t memory_noted;      /* what of it the sum over all clients has */
    size_t leaving_bytes;     /* dead: what it held then, as maxmemory has been told */
    struct list *bucket;      /* of those that might be evicted, NULL: it is in none; by in_bucket */
    struct list_node in_bucket;
    struct outq nowhere;             /* takes replies once there is no connection */
    struct reply_guard guard;        /* of the session's reply */
    int64_t soft_limit_since_ms;     /* output buffer above its soft limit since, 0: not */
    int64_t stranger_holds_since_ms; /* has not said who it is, and half a request or replies lie here since; 0: no */
    /* replica handshake (REPLCONF before PSYNC); owned by commands/replication.c */
    struct follower_hello *hello;
    void *follower; /* struct follower once this client has become a replica, else NULL */
};

struct clients *clients_new(struct core *core);
void clients_accept(struct core *core, int fd, bool unix_socket);
/* A connection whose TLS handshake is done; it is the client's now, or closes behind a refusal. */
void clients_accept_secured(struct core *core, struct conn *conn, const struct address *peer);
/* The default user has changed: while he needs no password, whoever has not logged in is him. */
void clients_follow_default_user(struct core *core);
struct client *clients_find(struct clients *c, uint64_t id);
struct tracking_host clients_for_tracking(struct core *core); /* sessions by their ids */
size_t clients_count(const struct clients *c);
size_t clients_count_handed_over(const struct clients *c); /* replicas */
struct list *clients_all(struct clients *c);               /* struct client.node */

static inline enum client_class client_class(const struct client *c)
{
    if (c->follower) return CLIENT_REPLICA;
    return c->session.subscriptions ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

void client_close(struct client *c); /* safe anywhere; frees after its own command ends */
void client_close_after_reply(struct client *c);
void client_describe(struct client *c, struct outq *out); /* CLIENT LIST's line, with its line feed */
/* The same of our master, which is no client of ours and listed all the same. false: none, or its link is down. */
bool clients_describe_master(const struct core *core, struct outq *out);
/* A replica's socket leaves for the link process: as conn_detach; the client stays in the list until client_close. */
void client_hand_over(struct client *c, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len),
                      void *arg);
/* Once a turn: output limits, kept requests of unblocked clients, delayed frees. */
void clients_before_send(struct clients *c);
void clients_keep_memory(struct clients *c); /* maxmemory-clients, where something was written outside of commands */
/* Timeouts and buffers; a slice of all clients per call. now_ms: monotonic. */
void clients_cron(struct clients *c, int64_t now_ms);
/* Bytes of all clients but replicas, with their buffers, as they were when cron last looked at each; *replicas: of
 * those. */
size_t clients_memory(const struct clients *c, size_t *replicas);
void clients_limit_changed(struct clients *c); /* maxmemory-clients, or what it is a percentage of */
/* What clients that could be evicted hold, by powers of two. */
struct client_bucket {
    size_t from, below; /* bytes of one client; 0 below: whatever it holds */
    size_t clients, bytes;
};
/* false: no more of them, or no limit. */
bool clients_memory_bucket(const struct clients *c, size_t at, struct client_bucket *out);
/* The largest buffers of the last seconds: input kept, output that waited. */
void clients_recent_peaks(const struct clients *c, uint64_t *input_bytes, uint64_t *output_bytes);

#endif
