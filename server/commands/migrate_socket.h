/* Connections to other servers that MIGRATE keeps for a while: keys tend to move many at a time, a command each. */
#ifndef SLIPSTREAM_COMMANDS_MIGRATE_SOCKET_H
#define SLIPSTREAM_COMMANDS_MIGRATE_SOCKET_H

#include "server/base/bytes.h"

struct core;
struct migrate_sockets; /* those that are kept */
struct migrate_socket;

struct migrate_sockets *migrate_sockets_new(struct core *core);

/* A kept connection, or a new one, with TLS where tls-cluster asks for it. NULL: there is no such host, its name is not
 * known within timeout_ms, or there is no TLS handshake with it, which was logged.
 * One of the two below ends its use. */
struct migrate_socket *migrate_socket_get(struct migrate_sockets *all, struct bytes host, struct bytes port,
                                          int timeout_ms);
struct blocking_socket *migrate_socket_connection(const struct migrate_socket *s);
void migrate_socket_keep(struct migrate_socket *s);  /* all replies have been read: it may serve again */
void migrate_socket_close(struct migrate_socket *s); /* it failed */

#endif
