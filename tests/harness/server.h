/* Servers under test: ours, and Debian's as the peer. Each has a directory, a port and a log of its own.
 *
 * Ours is $SLIPSTREAM_SERVER (build/redis-server), Debian's stands under $SLIPSTREAM_PEERS (build/peers). Every server
 * dies with the process that started it. Directories go when a test passes and stay, logs inside, when it fails. */
#ifndef HARNESS_SERVER_H
#define HARNESS_SERVER_H

#include "tests/harness/process.h"

#include <hiredis/hiredis.h>

enum server_kind {
    OURS,
    DEBIAN,
    OUR_SENTINEL,
    DEBIAN_SENTINEL,
    ANY, /* one that says itself what its `program` is, and takes a configuration file; no DEBUG for it */
    ANY_SENTINEL,
};

struct server {
    enum server_kind kind;
    int port;
    pid_t pid; /* 0: not running */
    char dir[384], log[448], config_file[448];
    const char *unix_socket;       /* clients come this way; NULL: TCP */
    redisContext *client;          /* NULL: connects at the next command */
    struct process_options limits; /* cpu, descriptors, shm_bytes: set between server_prepare and server_launch */
    const char *program;           /* path; NULL: server_program()'s */
    const char *const *arguments;  /* after the configuration file, NULL-terminated; NULL: none */
    bool may_crash;                /* server_finish_all() overlooks a crash report */
};

/* Prepared: directory and configuration file, nothing running. The configuration is printf's, one directive a line,
 * after the harness's own: port, bind 127.0.0.1, save "", DEBUG allowed, no delay before a diskless snapshot. */
struct server *server_prepare(enum server_kind kind, const char *config, ...) __attribute__((format(printf, 2, 3)));
void server_launch(struct server *s); /* returns when it answers (PONG, or an error such as -LOADING) */
struct server *server_start(enum server_kind kind, const char *config, ...) __attribute__((format(printf, 2, 3)));
/* Expects that the server ends by itself; its exit code. */
int server_launch_in_vain(struct server *s);

int server_wait_end(struct server *s); /* expects that a running server ends by itself; its wait status */
void server_stop(struct server *s);    /* SIGTERM; fails the test when it does not end with status 0 in time */
void server_kill(struct server *s);    /* kill -9 */
void server_restart(struct server *s); /* in the same directory, on the same port; killed first if it runs */
void server_freeze(struct server *s);  /* SIGSTOP, and waits until it has stopped */
void server_thaw(struct server *s);
/* For a suite's .fini: kill -9 to all that run, and fails the test if a sanitizer or a CHECK had something to say. */
void server_finish_all(void);
/* What servers whose directories stand below `path` leave behind, however they ended: kill -9 to what still runs there,
 * and the shared memory of ours goes. The directories stay. For the runner, when a test or a benchmark is over. */
void server_sweep(const char *path);
/* A new connection with generous time-outs, the caller's to free; look at its err. */
redisContext *server_connect(const struct server *s);

/* Our link process (0: none runs), and the child that writes a snapshot (0: none runs). */
pid_t server_link_pid(const struct server *s);
pid_t server_journal_pid(const struct server *s);  /* of the append-only file; 0: none runs */
pid_t server_wait_journal(const struct server *s); /* until one runs */
pid_t server_snapshot_pid(const struct server *s);

/* --- log --- */
long server_log_end(const struct server *s); /* where the next line will be written: a mark for the next function */
bool server_log_has(const struct server *s, long from, const char *text);
void server_wait_log(const struct server *s, long from, const char *text);
void server_print_log_tail(const char *log);

/* --- files --- */
void server_path(const struct server *s, const char *name, char out[512]); /* name in the server's directory */
void server_copy_file(const struct server *from, const struct server *to, const char *name);
/* Path of a program: the server's own ("redis-server", "redis-check-rdb"), or Debian's. */
const char *server_program(enum server_kind kind, const char *name);
/* One more line at the end of the configuration file, for the next launch. */
void server_add_config(struct server *s, const char *line, ...) __attribute__((format(printf, 2, 3)));

#endif
