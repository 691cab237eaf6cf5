/* Those who have come to the TLS port and are not clients yet. */
#ifndef SLIPSTREAM_CORE_CLIENTS_HANDSHAKES_H
#define SLIPSTREAM_CORE_CLIENTS_HANDSHAKES_H

struct core;

/* Owns fd. It becomes a client when its handshake is done, within tls-handshake-timeout. */
void clients_accept_tls(struct core *core, int fd);

#endif
