/* The parts a command may reach, and nothing else: pointers, set once by main.c. Each part owns its own state. */
#ifndef SLIPSTREAM_CORE_CORE_H
#define SLIPSTREAM_CORE_CORE_H

struct core {
    struct loop *loop;
    struct settings *settings; /* core/settings.h */
    struct config *config;     /* core/config/config.h: names, texts, file */
    struct keyspace *keyspace;
    struct command_table *commands;          /* core/command/command_table.h */
    struct propagation *propagation;         /* core/dataset/propagate.h */
    struct tls *tls;                         /* core/tls.h: what TLS connections are made with */
    struct clients *clients;                 /* core/clients/clients.h */
    struct pool *io_threads;                 /* net/pool/pool.h; NULL: one thread does it all */
    struct pubsub *pubsub;                   /* core/session/pubsub.h */
    struct users *users;                     /* server/acl/users.h: who may log in, and what each may do */
    struct acl_log *acl_log;                 /* server/acl/log.h: who was refused what */
    struct key_watchers *key_watchers;       /* core/session/key_watchers.h */
    struct watches *watches;                 /* core/session/watch.h */
    struct tracking *tracking;               /* core/tracking/tracking.h */
    struct monitors *monitors;               /* core/session/monitors.h */
    struct busy *busy;                       /* core/session/busy.h */
    struct pauses *pauses;                   /* core/session/pause.h */
    struct blocking *blocking;               /* core/session/blocking.h */
    struct block_keys *block_keys;           /* core/run/block_keys.h */
    struct own_keys *own_keys;               /* core/dataset/own_keys.h: of a writable replica */
    struct stats *stats;                     /* core/command/stats.h */
    struct slow_log *slow_log;               /* core/observe/slow_log.h */
    struct latency_monitor *latency;         /* core/observe/latency.h */
    struct children *children;               /* core/dataset/children.h: snapshot child and its bookkeeping */
    struct persistence *persistence;         /* core/dataset/persistence.h: save points, last save, loading state */
    struct append_only *append_only;         /* core/dataset/append_only.h: the append-only file */
    struct replication *replication;         /* repl/replication.h: role, history, both sides */
    struct master_stream *master_stream;     /* core/run/master_stream.h: applies what our master sends */
    struct stream_faults *stream_faults;     /* core/run/stream_fault.h: what of it cannot be applied */
    struct lifecycle *lifecycle;             /* core/lifecycle.h: shutdown, run id, start time, paths */
    struct scripts *scripts;                 /* script/scripts.h: EVAL's, and what runs them */
    const struct script_host *script_host;   /* core/script_host.h */
    struct sentinel_process *sentinel;       /* sentinel/process.h; NULL: this is a server of data */
    struct migrate_sockets *migrate_sockets; /* commands/migrate_socket.h: connections that MIGRATE keeps */
};

#endif
