/* A TCP proxy in a thread of its own, between a replica and its master: the network's faults at will. */
#ifndef HARNESS_PROXY_H
#define HARNESS_PROXY_H

#include <stdint.h>

struct proxy;

struct proxy *proxy_start(int target_port); /* listens on a port of its own, passing everything */
int proxy_port(const struct proxy *p);
void proxy_stop(struct proxy *p);

void proxy_cut(struct proxy *p);       /* closes all connections, and every new one at once */
void proxy_heal(struct proxy *p);      /* from cut, stall or half-open back to passing; swallowed bytes stay lost */
void proxy_stall(struct proxy *p);     /* keeps the connections and moves no byte */
void proxy_half_open(struct proxy *p); /* the target is closed; the caller's side hears nothing and is never answered */
void proxy_deaf(struct proxy *p);      /* the caller is closed; the target's side hears nothing and is never answered */
/* Cuts (once) as soon as so many more bytes have gone from the target to the caller, to the byte; then stays cut. */
void proxy_cut_after(struct proxy *p, uint64_t bytes);

uint64_t proxy_bytes_to_caller(struct proxy *p);

#endif
