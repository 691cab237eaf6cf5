/* The I/O threads of the clients' connections: net/pool/ with what a client's input means. */
#ifndef SLIPSTREAM_CORE_CLIENTS_IO_THREADS_H
#define SLIPSTREAM_CORE_CLIENTS_IO_THREADS_H

struct core;

/* As many as the directive io-threads says, the loop's own thread among them; core->io_threads is NULL for one. 0, or
 * -1 with errno. Before the first client. */
int io_threads_start(struct core *core);
void io_threads_stop(struct core *core); /* what has been answered leaves; then the process may end */

#endif
