/* Connections to other servers that MIGRATE keeps for a while: keys tend to move many at a time, a command each. */
#ifndef SLIPSTREAM_COMMANDS_MIGRATE_SOCKET_H
#define SLIPSTREAM_COMMANDS_MIGRATE_SOCKET_H

#include "server/base/bytes.h"

struct core;
struct migrate_socket;

/* A kept connection, or a new one. NULL: there is no such host. One of the two below ends its use. */
struct migrate_socket *migrate_socket_get(struct core *core, struct bytes host, struct bytes port);
int migrate_socket_fd(const struct migrate_socket *s);
void migrate_socket_keep(struct migrate_socket *s);  /* all replies have been read: it may serve again */
void migrate_socket_close(struct migrate_socket *s); /* it failed */

#endif
