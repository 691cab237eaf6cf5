/* Processes of other roles, started from our own running image with a channel to us: the replication link, the journal.
 * Server process (starting), link process and journal process (beginning).
 *
 * Made with posix_spawn (vfork underneath) and a fresh exec: nothing of the dataset's page tables is copied, and
 * everything but the channel is closed. The program on disk may be another one by now, so the running image is executed
 * (/proc/self/exe), and both ends compare the protocol that they speak.
 *
 * It outlives its server, whose end it hears as the channel's. */
#ifndef SLIPSTREAM_NET_ROLE_PROCESS_H
#define SLIPSTREAM_NET_ROLE_PROCESS_H

#include "server/net/loop.h"

#include <sys/types.h>

#define ROLE_CHANNEL_FD 3 /* the descriptor its channel has in it */

struct role {
    const char *name;     /* of the process: "slipstream-link" */
    const char *argument; /* argv[1], by which main.c knows it: "--link-process" */
    const char *title;    /* in messages: "replication link" */
    const char *protocol; /* that it is to speak */
    char log_letter;
};

/* 0, the process and our end of its channel, or -1 with errno. `executable`: where /proc is not to be had. */
int role_process_start(const struct role *role, struct loop *loop, const char *executable, pid_t *pid, int *channel_fd);

/* In the new process, from its main(): name, signals, log and crash report are set up as the server has them. The loop,
 * on the server's engine; NULL: it was not started by a server of this protocol, the log says so. `hint` as in struct
 * loop_settings. */
struct loop *role_process_begin(const struct role *role, int argc, char **argv, unsigned max_connections_hint);

#endif
