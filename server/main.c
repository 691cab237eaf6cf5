/* Start-up and wiring of every role that this binary plays: server, link process, journal process, redis-check-rdb,
 * redis-check-aof, inspecting tool.
 *
 * The only file that knows every part. The order matters and is the reading order of main(): settings, files and
 * descriptors, then the parts from the data outwards, then the dataset, and only then the doors are opened. */
#include "rdb/snapshot.h"
#include "repl/link_handle.h"
#include "repl/replication.h"
#include "server/acl/log.h"
#include "server/acl/users.h"
#include "server/aof/check.h"
#include "server/aof/journal_handle.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/cpu_affinity.h"
#include "server/base/crash.h"
#include "server/base/hash.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/base/workers.h"
#include "server/commands/docs/docs.h"
#include "server/commands/migrate_socket.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/clients/io_threads.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/own_keys.h"
#include "server/core/dataset/persistence.h"
#include "server/core/lifecycle.h"
#include "server/core/observe/latency.h"
#include "server/core/observe/slow_log.h"
#include "server/core/os/oom_score.h"
#include "server/core/os/process_title.h"
#include "server/core/os/supervisor.h"
#include "server/core/process/crash_report.h"
#include "server/core/process/cron.h"
#include "server/core/process/logo.h"
#include "server/core/process/ports.h"
#include "server/core/process/process.h"
#include "server/core/process/restart.h"
#include "server/core/replication_host.h"
#include "server/core/run/block_keys.h"
#include "server/core/run/dataset_load.h"
#include "server/core/process/check_upgrade.h"
#include "server/core/run/master_stream.h"
#include "server/core/run/stream_fault.h"
#include "server/core/run/run.h"
#include "server/core/run/wait.h"
#include "server/core/session/blocking.h"
#include "server/core/session/busy.h"
#include "server/core/session/key_watchers.h"
#include "server/core/session/monitors.h"
#include "server/core/session/pause.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/watch.h"
#include "server/core/tls.h"
#include "server/core/tracking/tracking.h"
#include "server/core/version.h"
#include "server/data/hash.h"
#include "server/data/list.h"
#include "server/data/set.h"
#include "server/data/settings.h"
#include "server/data/zset.h"
#include "server/data/stream.h"
#include "server/sentinel/commands.h"
#include "server/sentinel/process.h"
#include "server/script/commands.h"
#include "server/script/scripts.h"
#include "shm/inspect.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const families[] = {
    strings_commands,        lists_commands,         lists_blocking_commands,
    hashes_commands,         sets_commands,          set_algebra_commands,
    sorted_sets_commands,    zset_range_commands,    zset_algebra_commands,
    zset_pop_commands,       geo_commands,           bitmaps_commands,
    hyperloglogs_commands,   streams_commands,       streams_read_commands,
    streams_groups_commands, streams_claim_commands, streams_info_commands,
    keys_commands,           dump_commands,          migrate_commands,
    sort_commands,           expire_commands,        scan_commands,
    connection_commands,     client_commands,        pubsub_commands,
    config_commands,         info_commands,          transaction_commands,
    server_commands,         debug_commands,         command_commands,
    replication_commands,    slowlog_commands,       latency_commands,
    memory_commands,         acl_commands,           eval_commands,
    function_commands,       cluster_commands,       strings_conditional_commands,
    streams_delete_commands, hash_expiry_commands,   hash_values_commands,
};

static const struct command_docs *const documents[] = {
    &string_docs,       &list_docs,        &hash_docs,   &set_docs,     &sorted_set_docs, &geo_docs,
    &bitmap_docs,       &hyperloglog_docs, &stream_docs, &generic_docs, &connection_docs, &pubsub_docs,
    &transactions_docs, &scripting_docs,   &server_docs, &acl_docs,     &cluster_docs,
};

static struct command_table *all_commands(void)
{
    struct command_table *t = command_table_new();
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) command_table_add(t, families[i]);
    command_table_describe(t, documents, sizeof documents / sizeof *documents);
    return t;
}

/* What a Sentinel answers: rows that say so, and its own. */
static struct command_table *commands_of_sentinel(void)
{
    static const struct command *const shared[] = {connection_commands, client_commands, pubsub_commands,
                                                   command_commands,    acl_commands,    server_commands};
    const struct command_docs *known[sizeof documents / sizeof *documents + 1];
    size_t count = sizeof documents / sizeof *documents;
    struct command_table *t = command_table_new();
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) command_table_add_with(t, shared[i], CMD_SENTINEL);
    command_table_add(t, sentinel_commands);
    memcpy(known, documents, sizeof documents);
    known[count] = &sentinel_docs;
    command_table_describe_some(t, known, count + 1);
    return t;
}

static void register_types(void)
{
    list_register();
    set_register();
    zset_register();
    hash_register();
    stream_register();
}

static void usage(FILE *out)
{
    fputs("Usage: ./redis-server [/path/to/redis.conf] [options] [-]\n"
          "       ./redis-server - (read config from stdin)\n"
          "       ./redis-server -v or --version\n"
          "       ./redis-server -h or --help\n"
          "       ./redis-server --inspect-backlog [PORT or NAME] (shows replication backlogs in shared memory)\n"
          "       ./redis-server --check-upgrade DIR or HOST:PORT (what is used there that is lacking here)\n\n"
          "Examples:\n"
          "       ./redis-server (run the server with default conf)\n"
          "       echo 'maxmemory 128mb' | ./redis-server -\n"
          "       ./redis-server /etc/redis/6379.conf\n"
          "       ./redis-server --port 7777\n"
          "       ./redis-server --port 7777 --replicaof 127.0.0.1 8888\n"
          "       ./redis-server /etc/myredis.conf --loglevel verbose -\n"
          "       ./redis-server /etc/myredis.conf --loglevel verbose\n"
          "       ./redis-server - --loglevel verbose < /etc/myredis.conf\n\n"
          "Sentinel mode:\n"
          "       ./redis-server /etc/sentinel.conf --sentinel\n",
          out);
}

/* A first option that answers and ends: sets the exit status. Asking for help is a failure in Redis. */
static bool answered_option(int argc, char **argv, int *status)
{
    if (argc < 2) return false;
    *status = strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0;
    if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)
        printf("Redis server v=%s sha=00000000:0 malloc=%s bits=%d build=slipstream-%s\n", REDIS_VERSION,
               mem_allocator_name(), (int)sizeof(void *) * 8, SLIPSTREAM_VERSION);
    else if (*status)
        usage(stderr);
    else
        return false;
    return true;
}

/* [FILE | -] [--option value...] [-]: a lone dash at either end is standard input. */
static int load_configuration(struct config *config, int argc, char **argv)
{
    const char *file = NULL;
    int first = 1;
    if (argc > 1 && strcmp(argv[argc - 1], "-") == 0) {
        config_want_stdin(config);
        argc--;
    }
    if (argc > 1 && strcmp(argv[1], "-") == 0) {
        config_want_stdin(config);
        first++;
    } else if (argc > 1 && argv[1][0] != '-') {
        file = argv[first++];
    }
    struct bytes extra;
    config_lines_from_arguments(argc - first, argv + first, &extra);
    int status = config_load(config, file, extra);
    mem_free((void *)extra.ptr);
    return status;
}

static enum loop_engine wanted_engine(const struct settings *settings)
{
    const char *name = getenv("SLIPSTREAM_EVENT_LOOP");
    if (!name || !*name) name = settings->server.event_loop;
    if (name && strcmp(name, "io_uring") == 0) return LOOP_ENGINE_URING;
    if (name && strcmp(name, "epoll") == 0) return LOOP_ENGINE_EPOLL;
    return LOOP_ENGINE_AUTO;
}

static struct loop *new_loop(const struct settings *settings)
{
    struct loop_settings wanted = {.engine = wanted_engine(settings),
                                   .max_connections_hint = settings->net.max_clients};
    struct loop *loop = loop_new(&wanted);
    if (!loop) log_warning("The event loop asked for is not available: %s", strerror(errno));
    return loop;
}

/* For tests: a record store that is full before the machine is. */
static void bound_record_stores(void)
{
    const char *bytes = getenv("SLIPSTREAM_RECORD_STORE_BYTES");
    if (bytes && *bytes) store_region_bytes = strtoull(bytes, NULL, 10);
}

static void workers_ready(void *arg, int events)
{
    (void)arg;
    (void)events;
    workers_collect();
}

/* Every part, in order of who needs whom. */
static int assemble(struct core *core)
{
    struct settings *settings = core->settings;
    core->loop = new_loop(settings);
    if (!core->loop) return -1;
    int workers = workers_start();
    if (workers < 0) return -1;
    loop_watch_start(core->loop, workers, LOOP_READABLE, workers_ready, NULL);
    bound_record_stores();
    struct keyspace_hooks hooks = keyspace_hooks_of(core);
    core->keyspace = keyspace_new(settings->server.databases, &settings->keyspace, &hooks);
    core->stats = mem_calloc(1, sizeof *core->stats);
    core->slow_log = slow_log_new();
    core->latency = latency_monitor_new();
    core->propagation = propagation_new();
    core->pubsub = pubsub_new();
    core->acl_log = acl_log_new();
    core->key_watchers = key_watchers_new();
    core->watches = watches_new(core->keyspace, core->key_watchers);
    struct tracking_host tracking_host = clients_for_tracking(core);
    core->tracking = tracking_new(core->key_watchers, &tracking_host, &settings->server.tracking_table_max_keys);
    core->own_keys = own_keys_new(core);
    own_keys_listen(core);
    core->blocking = blocking_new(core->loop, core->stats);
    core->pauses = pauses_new(core->blocking, core->keyspace);
    core->monitors = monitors_new();
    core->busy = mem_calloc(1, sizeof *core->busy);
    core->block_keys = block_keys_new(core->key_watchers);
    core->scripts = scripts_new(core);
    core->script_host = &script_host;
    core->migrate_sockets = migrate_sockets_new(core);
    core->children = children_new(core);
    core->clients = clients_new(core);
    core->tls = mem_calloc(1, sizeof *core->tls);
    core->persistence = persistence_new(core);
    core->stream_faults = stream_faults_new();
    core->master_stream = master_stream_new(core);
    struct replication_host host = replication_host_of(core);
    struct replication_stats stats = replication_stats_of(core);
    core->replication =
        replication_new(core->loop, core->keyspace, &settings->repl, &settings->rdb, core->lifecycle->executable,
                        settings->net.port ? settings->net.port : settings->tls.tls_port, &host, &stats);
    core->append_only = append_only_new(core);
    append_only_on_durable(core, wait_check_disk);
    struct propagation_sink sink = replication_sink_of(core);
    propagation_add_sink(core->propagation, &sink);
    core->stats->memory_at_start = mem_used();
    return 0;
}

static void greet(const struct core *core)
{
    log_warning("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log_warning("Redis version=%s, bits=%d, commit=00000000, modified=0, pid=%d, just started (Slipstream %s)",
                REDIS_VERSION, (int)sizeof(void *) * 8, (int)getpid(), SLIPSTREAM_VERSION);
    if (*core->lifecycle->config_file)
        log_warning("Configuration loaded");
    else
        log_warning(
            "Warning: no config file specified, using the default config. In order to specify a config file use "
            "%s /path/to/redis.conf",
            core->lifecycle->argv[0]);
}

static void run(struct core *core)
{
    const struct net_settings *net = &core->settings->net;
    replication_start(core->replication);
    if (net->port) log_notice("Ready to accept connections tcp");
    if (core->settings->tls.tls_port) log_notice("Ready to accept connections tls");
    if (net->unix_socket && *net->unix_socket) log_notice("Ready to accept connections unix");
    supervisor_tell(core->settings->repl.master_host
                        ? "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n"
                        : "STATUS=Ready to accept connections\n");
    supervisor_tell("READY=1\n");
    loop_run(core->loop);
}

static int serve(struct core *core)
{
    if (tls_configure(core->tls, &core->settings->tls)) {
        log_warning("Failed to configure TLS. Check logs for more info.");
        return 1;
    }
    if (io_threads_start(core)) {
        log_warning("The threads that io-threads asks for cannot be had: %s", strerror(errno));
        return 1;
    }
    if (config_load_users(core->config) || ports_open(core)) return 1;
    log_warning("Server initialized");
    cron_start(core); /* clients come and go while the data is loaded, too */
    struct aof_loaded loaded;
    int status = dataset_load_at_start(core, &loaded);
    if (status == 0 && !core->lifecycle->stopping) status = append_only_open(core, &loaded);
    aof_loaded_free(&loaded);
    if (status == 0 && !core->lifecycle->stopping) run(core);
    io_threads_stop(core);
    replication_free(core->replication);
    return status ? 1 : 0;
}

/* As Redis does, a list that makes no sense is said and left aside. */
static void take_processors(const struct server_settings *s)
{
    const struct {
        const char *directive, *list;
        enum cpu_role role;
    } places[] = {{"server_cpulist", s->server_cpulist, CPU_SERVER},
                  {"bio_cpulist", s->bio_cpulist, CPU_WORKER},
                  {"bgsave_cpulist", s->bgsave_cpulist, CPU_SNAPSHOT},
                  {"aof_rewrite_cpulist", s->aof_rewrite_cpulist, CPU_REWRITE}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!cpu_affinity_set(places[i].role, places[i].list))
            log_warning("%s is no list of processors: %s", places[i].directive, places[i].list);
    if (cpu_affinity_enter(CPU_SERVER)) log_warning("server_cpulist has no effect: %s", strerror(errno));
}

/* Watches, instead of serving data: until it is told to end. */
static int watch(struct core *core, struct sentinel_process *sentinel)
{
    if (tls_configure(core->tls, &core->settings->tls)) {
        log_warning("Failed to configure TLS. Check logs for more info.");
        return 1;
    }
    if (config_load_users(core->config) || ports_open(core)) return 1;
    cron_start(core);
    if (sentinel_process_start(sentinel, core)) return 1;
    supervisor_tell("STATUS=Ready to accept connections\n");
    supervisor_tell("READY=1\n");
    loop_run(core->loop);
    return 0;
}

/* Other defaults than those of a server of data. */
static struct sentinel_process *become_sentinel(struct core *core)
{
    core->settings->net.port = 26379;
    core->settings->net.protected_mode = false;
    return sentinel_process_new(core->config);
}

static int server_main(int argc, char **argv, bool watches)
{
    static struct settings settings;
    static struct lifecycle lifecycle;
    static struct core core;
    process_end_at_signals();
    process_title_init(argc, argv);
    process_identify(&lifecycle, argc, argv);
    core.settings = &settings;
    core.lifecycle = &lifecycle;
    data_settings = &settings.data;
    core.commands = watches ? commands_of_sentinel() : all_commands();
    core.config = config_new(&settings);
    core.users = users_new(command_table_vocabulary(core.commands), &settings.acl);
    config_use_users(core.config, core.users);
    config_rename_in(core.config, core.commands);
    struct sentinel_process *sentinel = core.sentinel = watches ? become_sentinel(&core) : NULL;
    if (load_configuration(core.config, argc, argv)) return 1;
    if (config_file(core.config)) process_note_config_file(&lifecycle, config_file(core.config));
    if (settings.server.dir && chdir(settings.server.dir)) {
        fprintf(stderr, "Can't chdir to '%s': %s\n", settings.server.dir, strerror(errno));
        return 1;
    }
    if (sentinel && sentinel_process_configure(sentinel, settings.net.port)) return 1;
    log_set_level(settings.server.loglevel);
    log_open(settings.server.logfile, settings.server.loglevel);
    log_set_syslog(settings.server.syslog_enabled, settings.server.syslog_ident, settings.server.syslog_facility);
    if (sentinel) log_set_role('X');
    bool background = !supervisor_start(settings.server.supervised) && settings.server.daemonize;
    if (background) process_daemonize();
    process_title_set(&core, NULL);
    process_raise_descriptor_limit(&settings.net.max_clients);
    take_processors(&settings.server);
    if (assemble(&core)) return 1;
    greet(&core);
    config_warn_without_effect(core.config);
    logo_show(&core);
    process_catch_signals(&core);
    crash_report_start(&core);
    config_apply_hooks(core.config);
    run_follow_thresholds(&core);
    if (oom_score_apply(&core)) log_warning("Unable to write oom_score_adj: %s", strerror(errno));
    if (background || settings.server.pidfile) process_write_pidfile(&lifecycle, settings.server.pidfile);
    int status = sentinel ? watch(&core, sentinel) : serve(&core);
    if (lifecycle.restarts) restart_in_place(&lifecycle);
    return status;
}

/* By the name we are called by, or by --sentinel among the options. */
static bool is_to_watch(int argc, char **argv)
{
    if (strstr(basename(argv[0]), "redis-sentinel")) return true;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--sentinel") == 0) return true;
    return false;
}

int main(int argc, char **argv)
{
    process_reset_signals();
    crash_catch_signals("Redis " REDIS_VERSION " (Slipstream " SLIPSTREAM_VERSION ")");
    clock_init();
    hash_init();
    register_types();
    const char *name = basename(argv[0]);
    if (strstr(name, "redis-check-rdb")) return rdb_check_main(argc, argv);
    if (strstr(name, "redis-check-aof")) return aof_check_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], LINK_ARGUMENT) == 0) return link_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], JOURNAL_ARGUMENT) == 0) return journal_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--inspect-backlog") == 0) return inspect_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--check-upgrade") == 0) return check_upgrade_main(argc, argv, all_commands());
    int status;
    if (answered_option(argc, argv, &status)) return status;
    return server_main(argc, argv, is_to_watch(argc, argv));
}
