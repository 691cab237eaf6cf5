/* The sources of function libraries: what a dataset has besides its keys. Server process;
 * the snapshot child reads them.
 *
 * Nothing here runs or understands them. Who can (server/script) is handed in as a struct of functions, and then a
 * source is kept only together with what it has been compiled to; without, as in a checker, sources are kept as they
 * come. A flush of the keys leaves them alone, and no digest counts them. */
#ifndef SLIPSTREAM_KEYSPACE_LIBRARIES_H
#define SLIPSTREAM_KEYSPACE_LIBRARIES_H

#include "server/base/bytes.h"

#define LIBRARY_ERROR_BYTES 512

struct function_set; /* what sources have been compiled to; its owner alone knows it */
struct libraries;

struct function_memory {
    size_t libraries, functions;
    size_t bytes;    /* what is remembered of them */
    size_t vm_bytes; /* the virtual machine's heap */
};

/* What becomes of what is there when a whole dataset is read into it. */
enum dataset_meeting {
    DATASET_GIVES_WAY, /* libraries go; of the keys, the reader has none in its way */
    DATASET_STAYS,     /* one of the same name is an error */
    DATASET_MERGES,    /* those of the same names go */
};

struct library_host {
    void *context;
    /* Compiles one more library and has a copy of its source kept (libraries_keep). 0, or -1: nothing has changed, and
     * `error` says why. */
    int (*add)(void *context, struct libraries *l, struct bytes source, char error[LIBRARY_ERROR_BYTES]);
    void (*release)(struct function_set *functions); /* of all of them */
    void (*measure)(const struct function_set *functions, struct function_memory *out);
};

/* All zero: none, and nobody who compiles. In the order in which they came. */
struct libraries {
    struct bytes *sources; /* each owned */
    size_t count, room;
    const struct library_host *host;
    struct function_set *functions; /* the host's; NULL before the first */
    enum dataset_meeting meeting;
};

/* Adds one more by way of the host, if there is one. 0, or -1: nothing has changed, and `error` says why. */
int libraries_add(struct libraries *l, struct bytes source, char error[LIBRARY_ERROR_BYTES]);
void libraries_clear(struct libraries *l);         /* host and meeting stay */
void libraries_begin_reading(struct libraries *l); /* a whole dataset's come now: see enum dataset_meeting */
void libraries_measure(const struct libraries *l, struct function_memory *out);
/* All of both change places. */
void libraries_exchange(struct libraries *a, struct libraries *b);

/* For the host: the source alone, which is libraries' from now on (mem), or is freed. */
void libraries_keep(struct libraries *l, struct bytes source);
void libraries_drop(struct libraries *l, struct bytes source);

#endif
