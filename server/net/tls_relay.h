/* A connection with TLS whose plain side is somebody else's: a link process that sends to a replica. */
#ifndef SLIPSTREAM_NET_TLS_RELAY_H
#define SLIPSTREAM_NET_TLS_RELAY_H

struct conn;

/* Takes conn over. The plain end of a new pair of sockets, the caller's; -1 with errno: conn is as it was. */
int tls_relay_start(struct conn *conn);

#endif
