/* The server's doors: TCP, and TCP with TLS, on every bound address, and the Unix socket. Opened at start, and again
 * when CONFIG SET moves them. */
#ifndef SLIPSTREAM_CORE_PROCESS_PORTS_H
#define SLIPSTREAM_CORE_PROCESS_PORTS_H

#include <stddef.h>

struct core;

int ports_open(struct core *core); /* as the settings say; 0, or -1: logged, nothing is left open */
void ports_close(void);
/* After port, tls-port or bind changed. 0, or -1: logged, the old ones are still open. */
int ports_reopen_tcp(struct core *core);

#endif
