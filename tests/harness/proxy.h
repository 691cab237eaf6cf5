/* A TCP proxy in a thread of its own, between a replica and its master: the network's faults at will. Tests, benchmarks
 * and the reconnect lab share it.
 *
 * Who connects to it is the caller; whom it connects to is the target. What it passes it passes in order and to the
 * byte; a fault is a wish, and the call returns when it has been had. */
#ifndef HARNESS_PROXY_H
#define HARNESS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy;

enum proxy_mode {
    PROXY_PASS,
    PROXY_CUT,       /* all connections are closed, and every new one at once */
    PROXY_RESET,     /* the same by RST */
    PROXY_STALL,     /* the connections stay and no byte moves */
    PROXY_HALF_OPEN, /* the target is closed; the caller hears nothing and is never answered */
    PROXY_DEAF,      /* the caller is closed; the target hears nothing and is never answered */
    PROXY_MODES
};

const char *proxy_mode_name(enum proxy_mode mode);

/* Sees all that is taken in, in the proxy's thread. Connections are numbered from 1 on. A member may be NULL. */
struct proxy_observer {
    void *context;
    void (*opened)(void *context, uint64_t connection);
    void (*closed)(void *context, uint64_t connection);
    void (*passed)(void *context, uint64_t connection, bool to_caller, const uint8_t *bytes, size_t len);
};

struct proxy_settings {
    const char *listen_host; /* a numeric address; NULL: 127.0.0.1 */
    int listen_port;         /* 0: one of its own */
    const char *target_host; /* NULL: 127.0.0.1 */
    int target_port;
    struct proxy_observer observer;
};

/* NULL: `error` says why. */
struct proxy *proxy_open(const struct proxy_settings *settings, char error[256]);
struct proxy *proxy_start(int target_port); /* on this machine; passes everything */
int proxy_port(const struct proxy *p);
void proxy_stop(struct proxy *p);

/* To PASS: what HALF_OPEN and DEAF have swallowed stays lost, and their connections are closed. */
void proxy_set_mode(struct proxy *p, enum proxy_mode mode);
enum proxy_mode proxy_current_mode(struct proxy *p);
void proxy_retarget(struct proxy *p, int port); /* for connections to come */
/* From the target to the caller: so many bytes a second; 0: as fast as they come. */
void proxy_slow(struct proxy *p, uint64_t bytes_per_s);
/* Each piece, in both directions, so much later, and up to jitter_ms more; order is kept. 0: at once. */
void proxy_delay(struct proxy *p, int delay_ms, int jitter_ms);
void proxy_seed(struct proxy *p, unsigned seed); /* of the jitter; 1 unless told otherwise */
/* Cuts (once) as soon as so many more bytes have gone from the target to the caller, to the byte; then stays cut. */
void proxy_cut_after(struct proxy *p, uint64_t bytes);

uint64_t proxy_bytes_to_caller(struct proxy *p);
uint64_t proxy_bytes_to_target(struct proxy *p);
int proxy_connections(struct proxy *p);

/* In the words of tests. */
static inline void proxy_cut(struct proxy *p)
{
    proxy_set_mode(p, PROXY_CUT);
}

static inline void proxy_heal(struct proxy *p)
{
    proxy_set_mode(p, PROXY_PASS);
}

static inline void proxy_stall(struct proxy *p)
{
    proxy_set_mode(p, PROXY_STALL);
}

static inline void proxy_half_open(struct proxy *p)
{
    proxy_set_mode(p, PROXY_HALF_OPEN);
}

static inline void proxy_deaf(struct proxy *p)
{
    proxy_set_mode(p, PROXY_DEAF);
}

#endif
