/* INFO's sections about the process itself. Server process. */
#include "server/core/info/info_parts.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/core/lifecycle.h"
#include "server/core/settings.h"
#include "server/core/version.h"
#include "server/net/loop.h"
#include "server/net/pool/pool.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Tells builds apart, as Redis's build id does: a number that follows from version and compiler. */
static uint64_t build_id(void)
{
    uint64_t id = 0xcbf29ce484222325;
    for (const char *p = SLIPSTREAM_VERSION " " __VERSION__; *p; p++) id = (id ^ (uint8_t)*p) * 0x100000001b3;
    return id;
}

static void listener(const struct net_settings *net, int number, const char *name, int port, struct outq *out)
{
    char text[900];
    size_t len = 0;
    for (int i = 0; i < net->bind_count && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "bind=%s,", net->bind[i]);
    info_field(out, "listener%d:name=%s,%sport=%d", number, name, len ? text : "", port);
}

static void listeners(const struct settings *s, struct outq *out)
{
    int number = 0;
    if (s->net.port) listener(&s->net, number++, "tcp", s->net.port, out);
    if (s->net.unix_socket) info_field(out, "listener%d:name=unix,bind=%s", number++, s->net.unix_socket);
    if (s->tls.tls_port) listener(&s->net, number, "tls", s->tls.tls_port, out);
}

void info_server(struct core *core, struct outq *out)
{
    const struct lifecycle *l = core->lifecycle;
    const struct settings *s = core->settings;
    struct utsname os;
    int64_t now_us = clock_wall_us(), up_s = (clock_monotonic_us() - l->started_monotonic_us) / 1000000;
    uname(&os);
    info_field(out, "redis_version:%s", REDIS_VERSION);
    info_field(out, "redis_git_sha1:00000000");
    info_field(out, "redis_git_dirty:0");
    info_field(out, "redis_build_id:%llx", (unsigned long long)build_id());
    info_field(out, "redis_mode:%s", core->sentinel ? "sentinel" : "standalone");
    info_field(out, "os:%s %s %s", os.sysname, os.release, os.machine);
    info_field(out, "arch_bits:%d", (int)sizeof(void *) * 8);
    info_field(out, "monotonic_clock:POSIX clock_gettime");
    info_field(out, "multiplexing_api:%s", loop_engine_name(core->loop));
    info_field(out, "atomicvar_api:c11-builtin");
    info_field(out, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    info_field(out, "process_id:%d", (int)getpid());
    info_field(out, "process_supervised:no");
    info_field(out, "run_id:%s", l->run_id);
    info_field(out, "tcp_port:%d", s->net.port ? s->net.port : s->tls.tls_port);
    info_field(out, "server_time_usec:%lld", (long long)now_us);
    info_field(out, "uptime_in_seconds:%lld", (long long)up_s);
    info_field(out, "uptime_in_days:%lld", (long long)up_s / 86400);
    info_field(out, "hz:%d", s->server.hz);
    info_field(out, "configured_hz:%d", s->server.hz);
    info_field(out, "lru_clock:%u", (unsigned)(now_us / 1000000) & 0xffffff);
    info_field(out, "executable:%s", l->executable);
    info_field(out, "config_file:%s", l->config_file);
    info_field(out, "io_threads_active:%d", pool_view(core->io_threads).active);
    if (l->shutdown_deadline_ms) {
        int64_t left_ms = l->shutdown_deadline_ms - loop_monotonic_ms(core->loop);
        info_field(out, "shutdown_in_milliseconds:%lld", (long long)(left_ms > 0 ? left_ms : 0));
    }
    listeners(s, out);
}

static void cpu_time(struct outq *out, const char *what, struct timeval t)
{
    info_field(out, "used_cpu_%s:%ld.%06ld", what, (long)t.tv_sec, (long)t.tv_usec);
}

void info_cpu(struct core *core, struct outq *out)
{
    (void)core;
    struct rusage self, children, thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread); /* commands run on the thread that asks */
    cpu_time(out, "sys", self.ru_stime);
    cpu_time(out, "user", self.ru_utime);
    cpu_time(out, "sys_children", children.ru_stime);
    cpu_time(out, "user_children", children.ru_utime);
    cpu_time(out, "sys_main_thread", thread.ru_stime);
    cpu_time(out, "user_main_thread", thread.ru_utime);
}

void info_cluster(struct core *core, struct outq *out)
{
    (void)core;
    info_field(out, "cluster_enabled:0");
}

void info_slipstream(struct core *core, struct outq *out)
{
    info_field(out, "server_name:slipstream");
    info_field(out, "slipstream_version:%s", SLIPSTREAM_VERSION);
    info_field(out, "event_loop:%s", loop_engine_name(core->loop));
    pid_t link = replication_link_pid(core->replication);
    info_field(out, "link_process_id:%ld", (long)link);
    info_field(out, "link_used_memory_rss:%zu", link ? mem_resident_alone(link) : 0);
}
