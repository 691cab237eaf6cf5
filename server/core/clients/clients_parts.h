/* The set of clients, shared by the files that implement clients.h; here from those that know the fewest others:
 * stranger_log.c, client_memory.c, client_close.c (the end), client_evict.c, client_output.c, client_input.c
 * (requests), client_list.c (description), clients.c (life), handshakes.c (before it). Server process. */
#ifndef SLIPSTREAM_CORE_CLIENTS_CLIENTS_PARTS_H
#define SLIPSTREAM_CORE_CLIENTS_CLIENTS_PARTS_H

#include "server/base/map.h"
#include "server/core/clients/clients.h"
#include "server/core/run/request_batch.h"

#define BIGGEST_SECONDS 8
#define CLIENT_BUCKETS  19

struct biggest_buffers {
    uint64_t input, output;
};

/* TLS connections that are not clients yet (handshakes.h). */
struct handshakes {
    struct list all;          /* oldest first */
    struct loop_timer *timer; /* NULL while there are none */
};

struct stranger_log {
    int64_t logged_ms; /* 0: never */
    uint64_t left_out; /* since then */
};

struct clients {
    struct core *core;
    struct list all;                     /* struct client.node, oldest first */
    struct map by_id;                    /* 8-byte id -> struct client */
    struct list woken;                   /* struct client.pending: kept requests may run */
    struct list dead;                    /* struct client.pending: to be freed before the loop sends */
    size_t handed_over;                  /* of all: whose socket the link process has */
    size_t memory;                       /* sum of struct client.memory_noted */
    size_t replica_memory;               /* of those handed over */
    size_t memory_limit;                 /* maxmemory-clients, bytes; 0: none */
    struct list buckets[CLIENT_BUCKETS]; /* struct client.in_bucket: by what each holds, while there is a limit */
    struct list_node *cron_position;
    struct handshakes handshakes;
    struct stranger_log strangers;
    struct request_batch *free_batches; /* by next_free; a few exist, for clients whose input is announced or run */
    struct biggest_buffers biggest[BIGGEST_SECONDS]; /* by the second's number */
    int64_t biggest_second;                          /* the last one that is begun */
};

/* client_input.c */
void client_announced(struct client *c, const uint8_t *data, size_t len, bool near);
/* The same where an I/O thread has read it. */
void client_prepared(struct client *c, struct request_batch *batch);
void client_received(struct client *c, const uint8_t *data, size_t len);
void client_run_kept(struct client *c);
void client_input_free(struct client *c);
bool client_may_run(const struct client *c);

/* client_close.c */
void client_cut_off(struct client *c); /* it has no connection any more: what is written to it goes nowhere */

/* client_output.c */
void client_wrote(struct client *c); /* after replies were written; checks the output limits */
void client_wake(struct client *c);  /* reply written from outside its own command: flush, run kept requests */
bool client_output_within_limit(struct client *c, size_t unsent); /* false: too much, and the client is closed */
bool client_output_may_grow(struct reply_guard *guard, size_t waiting_bytes);
void client_wake_later(struct client *c); /* it has more kept requests than one turn runs */

/* client_evict.c */
void client_account_now(struct client *c); /* what it holds is noted, for the sum and for who goes first */
void clients_limit_start(struct clients *all);

/* After it was heard, or written to. */
static inline void client_account(struct client *c, const struct clients *all)
{
    if (__builtin_expect(all->memory_limit > 0, 0)) client_account_now(c);
}

/* stranger_log.c */
void clients_log_stranger(struct core *core, const struct address *peer, const char *why);

/* client_memory.c */
size_t client_memory(const struct client *c); /* bytes: buffers, and what its session holds; a replica's stream aside */
size_t client_heap_memory(const struct client *c); /* of it, what the heap's count has */
void client_note_memory(struct client *c);         /* what it holds now is what the sum has of it */
void client_leave_bucket(struct client *c);
void client_leave_accounts(struct client *c);                                /* it is about to go */
void client_note_buffers(struct client *c, uint64_t input, uint64_t output); /* bytes waiting: the biggest are kept */

#endif
