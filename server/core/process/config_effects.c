/* What must happen when a directive changes at run time, beyond its value. Server process. */
#include "repl/replication.h"
#include "server/acl/users.h"
#include "server/base/crash.h"
#include "server/base/log.h"
#include "server/core/clients/clients.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/own_keys.h"
#include "server/core/os/oom_score.h"
#include "server/core/os/process_title.h"
#include "server/core/process/crash_report.h"
#include "server/core/process/ports.h"
#include "server/core/process/process.h"
#include "server/core/run/run.h"
#include "server/core/tls.h"
#include "server/core/tracking/tracking.h"
#include "server/keyspace/keyspace.h"
#include "server/net/loop.h"

#include <errno.h>
#include <stdio.h>

static int move_doors(struct core *core, char error[256], const char *failure)
{
    if (ports_reopen_tcp(core)) {
        snprintf(error, 256, "%s", failure);
        return -1;
    }
    process_title_set(core, NULL);
    return 0;
}

static int apply_ports(struct core *core, char error[256])
{
    return move_doors(core, error, "Unable to listen on this port. Check server logs.");
}

static int apply_bind(struct core *core, char error[256])
{
    return move_doors(core, error, "Failed to bind to specified addresses.");
}

static int fail_tls(char error[256])
{
    snprintf(error, 256, "Unable to update TLS configuration. Check server logs.");
    return -1;
}

/* Files are read again, whatever the change was; new connections get what was read. */
static int apply_tls(struct core *core, char error[256])
{
    return tls_configure(core->tls, &core->settings->tls) ? fail_tls(error) : 0;
}

static int apply_tls_port(struct core *core, char error[256])
{
    struct tls before = *core->tls;
    *core->tls = (struct tls){0};
    bool failed = tls_configure(core->tls, &core->settings->tls) ? fail_tls(error) : apply_ports(core, error);
    if (failed) {
        tls_forget(core->tls);
        *core->tls = before;
        return -1;
    }
    tls_forget(&before);
    return 0;
}

static int apply_max_clients(struct core *core, char error[256])
{
    unsigned asked = core->settings->net.max_clients, granted = asked;
    process_raise_descriptor_limit(&granted);
    if (granted == asked) return 0;
    snprintf(error, 256, "The operating system is not able to handle the specified number of clients, try with %u",
             granted);
    return -1;
}

/* Ours alone: who sets all that CONFIG GET has shown, and leaves out what Redis cannot set, sets it to what it is. */
static int refuse_event_loop(struct core *core, char error[256])
{
    (void)core;
    snprintf(error, 256, "can't set immutable config");
    return -1;
}

static int apply_log_level(struct core *core, char error[256])
{
    (void)error;
    log_set_level(core->settings->server.loglevel);
    return 0;
}

static int apply_password(struct core *core, char error[256])
{
    (void)error;
    user_set_password(core->users->default_user, core->settings->net.requirepass);
    clients_follow_default_user(core);
    return 0;
}

static int apply_read_only(struct core *core, char error[256])
{
    (void)error;
    own_keys_listen(core);
    return 0;
}

static int apply_unknown_command(struct core *core, char error[256])
{
    (void)error;
    replication_policy_changed(core->replication);
    return 0;
}

static int apply_oom_score(struct core *core, char error[256])
{
    if (oom_score_apply(core) == 0) return 0;
    snprintf(error, 256, "Failed to apply new oom_score_adj configuration, check server logs.");
    log_warning("Unable to write oom_score_adj: %s", strerror(errno));
    return -1;
}

static int apply_title(struct core *core, char error[256])
{
    (void)error;
    process_title_set(core, NULL);
    return 0;
}

static int apply_crash_report(struct core *core, char error[256])
{
    (void)error;
    crash_report_follow_settings(core);
    return 0;
}

static int apply_watchdog(struct core *core, char error[256])
{
    (void)error;
    crash_watch_for_stall(core->settings->server.watchdog_period_ms);
    return 0;
}

static int apply_thresholds(struct core *core, char error[256])
{
    (void)error;
    run_follow_thresholds(core);
    return 0;
}

static int apply_max_memory(struct core *core, char error[256])
{
    (void)error;
    memory_limit_changed(core);
    clients_limit_changed(core->clients);
    return 0;
}

static int apply_client_memory(struct core *core, char error[256])
{
    (void)error;
    clients_limit_changed(core->clients);
    return 0;
}

#define TRIM_AT_ONCE 100 /* keys of the tracking table */

/* Other work comes in between. */
static int64_t trim_tracking(void *arg)
{
    struct core *core = arg;
    return tracking_trim(core->tracking, TRIM_AT_ONCE) ? 0 : LOOP_TIMER_DONE;
}

static int apply_tracking_limit(struct core *core, char error[256])
{
    (void)error;
    loop_timer_start(core->loop, 0, trim_tracking, core);
    return 0;
}

static int apply_append_only(struct core *core, char error[256])
{
    if (!core->settings->aof.enabled) {
        append_only_turn_off(core);
        return 0;
    }
    if (append_only_turn_on(core) == 0) return 0;
    snprintf(error, 256, "Unable to turn on AOF. Check server logs.");
    return -1;
}

/* At once: who has set it counts on it with his next write. */
static int apply_append_fsync(struct core *core, char error[256])
{
    (void)error;
    append_only_fsync_changed(core);
    return 0;
}

static int apply_policy(struct core *core, char error[256])
{
    (void)error;
    keyspace_policy_changed(core->keyspace);
    return 0;
}

static const char *const of_tls[] = {
    "tls-cert-file",
    "tls-key-file",
    "tls-key-file-pass",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-client-key-file-pass",
    "tls-dh-params-file",
    "tls-ca-cert-file",
    "tls-ca-cert-dir",
    "tls-auth-clients",
    "tls-replication",
    "tls-cluster",
    "tls-protocols",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-prefer-server-ciphers",
    "tls-session-caching",
    "tls-session-cache-size",
    "tls-session-cache-timeout",
    "tls-kernel",
};

void config_apply_hooks(struct config *c)
{
    config_on_change(c, "port", apply_ports);
    config_on_change(c, "bind", apply_bind);
    config_on_change(c, "tls-port", apply_tls_port);
    for (size_t i = 0; i < sizeof of_tls / sizeof *of_tls; i++) config_on_change(c, of_tls[i], apply_tls);
    config_on_change(c, "maxclients", apply_max_clients);
    config_on_change(c, "event-loop", refuse_event_loop);
    config_on_change(c, "loglevel", apply_log_level);
    config_on_change(c, "watchdog-period", apply_watchdog);
    config_on_change(c, "slowlog-log-slower-than", apply_thresholds);
    config_on_change(c, "latency-monitor-threshold", apply_thresholds);
    config_on_change(c, "requirepass", apply_password);
    config_on_change(c, "maxmemory", apply_max_memory);
    config_on_change(c, "maxmemory-clients", apply_client_memory);
    config_on_change(c, "maxmemory-policy", apply_policy);
    config_on_change(c, "tracking-table-max-keys", apply_tracking_limit);
    config_on_change(c, "appendonly", apply_append_only);
    config_on_change(c, "appendfsync", apply_append_fsync);
    config_on_change(c, "no-appendfsync-on-rewrite", apply_append_fsync);
    config_on_change(c, "replica-read-only", apply_read_only);
    config_on_change(c, "replica-unknown-command", apply_unknown_command);
    config_on_change(c, "oom-score-adj", apply_oom_score);
    config_on_change(c, "oom-score-adj-values", apply_oom_score);
    config_on_change(c, "proc-title-template", apply_title);
    config_on_change(c, "crash-log-enabled", apply_crash_report);
    config_on_change(c, "use-exit-on-panic", apply_crash_report);
}
