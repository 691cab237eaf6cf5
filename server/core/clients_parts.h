/* The set of clients, shared by the files that implement clients.h: clients.c (life), client_input.c (requests),
 * client_list.c (description), client_pause.c, client_monitor.c. */
#ifndef SLIPSTREAM_CORE_CLIENTS_PARTS_H
#define SLIPSTREAM_CORE_CLIENTS_PARTS_H

#include "server/base/map.h"
#include "server/core/clients.h"
#include "server/core/request_batch.h"

struct pause {
    enum pause_kind kind;
    int64_t until_ms;
    const char *purpose;
};

#define PAUSES_MAX 3 /* CLIENT PAUSE, fail-over, shutdown */

struct clients {
    struct core *core;
    struct list all;   /* struct client.node, oldest first */
    struct map by_id;  /* 8-byte id -> struct client */
    struct list woken; /* struct client.pending: kept requests may run */
    struct list dead;  /* struct client.pending: to be freed before the loop sleeps */
    size_t monitors;
    struct pause pauses[PAUSES_MAX];
    enum pause_kind paused; /* the strictest of pauses */
    struct list_node *cron_position;
    struct request_batch *free_batches; /* by next_free; a few exist, for clients whose input is announced or run */
    uint64_t biggest_input, biggest_output;
};

/* client_input.c */
void client_announced(struct client *c, const uint8_t *data, size_t len, bool near);
void client_received(struct client *c, const uint8_t *data, size_t len);
void client_run_kept(struct client *c);
void client_input_free(struct client *c);
bool client_may_run(const struct client *c);

/* clients.c: after replies were written; checks the output limits. */
void client_wrote(struct client *c);

#endif
