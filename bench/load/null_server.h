/* A server that does nothing: it answers +OK to each whole request. What a load generator costs
 * is measured against it. */
#ifndef LOAD_NULL_SERVER_H
#define LOAD_NULL_SERVER_H

/* Listens on 127.0.0.1 and serves until the process ends. -1 with errno: it could not begin. */
int null_server_run(int port);

#endif
