/* INFO's sections about the dataset: saving, loading, databases. Server process. */
#include "server/core/info/info_parts.h"

#include "server/base/clock.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/keyspace/keyspace.h"
#include "shm/layout.h"

#include <stdio.h>

static void count_field(struct outq *out, const char *name, uint64_t value)
{
    info_field(out, "%s:%llu", name, (unsigned long long)value);
}

static void child_fields(const struct core *core, struct outq *out)
{
    static const struct shm_child none;
    bool running = children_running(core->children) != CHILD_NONE;
    const struct shm_child *p = running ? children_progress(core->children) : &none;
    count_field(out, "current_cow_peak", p->cow_peak_bytes);
    count_field(out, "current_cow_size", p->cow_bytes);
    int64_t measured_us = p->cow_measured_us;
    count_field(out, "current_cow_size_age",
                measured_us ? (uint64_t)(clock_monotonic_us() - measured_us) / 1000000 : 0);
    info_field(out, "current_fork_perc:%.2f", p->keys_total ? (double)p->keys_done * 100 / (double)p->keys_total : 0.0);
    count_field(out, "current_save_keys_processed", p->keys_done);
    count_field(out, "current_save_keys_total", p->keys_total);
}

static void save_fields(const struct core *core, const struct persistence_state *s, struct outq *out)
{
    enum child_purpose purpose = children_running(core->children);
    bool saving = purpose & (CHILD_SAVE | CHILD_FULL_SYNC); /* Redis calls both so */
    int64_t saving_s = saving ? (clock_monotonic_ms() - children_started_ms(core->children)) / 1000 : -1;
    count_field(out, "rdb_changes_since_last_save", s->changes_since_save);
    info_field(out, "rdb_bgsave_in_progress:%d", saving);
    info_field(out, "rdb_last_save_time:%lld", (long long)s->last_save_s);
    info_field(out, "rdb_last_bgsave_status:%s", s->last_bgsave_ok ? "ok" : "err");
    info_field(out, "rdb_last_bgsave_time_sec:%lld", (long long)children_last_rdb_s(core->children));
    info_field(out, "rdb_current_bgsave_time_sec:%lld", (long long)saving_s);
    count_field(out, "rdb_saves", s->rdb_saves);
    count_field(out, "rdb_last_cow_size", children_last_rdb_cow_bytes(core->children));
    count_field(out, "rdb_last_load_keys_expired", s->last_load_keys_expired);
    count_field(out, "rdb_last_load_keys_loaded", s->last_load_keys_loaded);
}

static void append_only_fields(const struct append_only_view *v, struct outq *out)
{
    info_field(out, "aof_enabled:%d", v->enabled);
    info_field(out, "aof_rewrite_in_progress:%d", v->rewriting);
    info_field(out, "aof_rewrite_scheduled:%d", v->scheduled);
    info_field(out, "aof_last_rewrite_time_sec:%lld", (long long)v->last_rewrite_s);
    info_field(out, "aof_current_rewrite_time_sec:%lld", (long long)v->current_rewrite_s);
    info_field(out, "aof_last_bgrewrite_status:%s", v->last_rewrite_ok ? "ok" : "err");
    count_field(out, "aof_rewrites", v->rewrites);
    count_field(out, "aof_rewrites_consecutive_failures", v->failures);
    info_field(out, "aof_last_write_status:%s", v->last_write_ok ? "ok" : "err");
    count_field(out, "aof_last_cow_size", v->cow_bytes);
    count_field(out, "module_fork_in_progress", 0);
    count_field(out, "module_fork_last_cow_size", 0);
}

/* Only while there is a file to speak of. */
static void append_only_file_fields(const struct append_only_view *v, struct outq *out)
{
    count_field(out, "aof_current_size", v->current_bytes);
    count_field(out, "aof_base_size", v->base_bytes);
    count_field(out, "aof_pending_rewrite", 0);
    count_field(out, "aof_buffer_length", v->unwritten_bytes);
    count_field(out, "aof_pending_bio_fsync", v->pending_fsyncs);
    count_field(out, "aof_delayed_fsync", v->delayed_fsyncs);
}

static void loading_fields(const struct persistence_state *s, struct outq *out)
{
    int64_t passed_s = (clock_monotonic_ms() - s->loading_since_ms) / 1000, left_s = 1;
    double share = s->loading_total_bytes ? (double)s->loading_loaded_bytes / (double)s->loading_total_bytes : 0;
    if (passed_s > 0 && share > 0) left_s = (int64_t)((double)passed_s / share * (1 - share));
    info_field(out, "loading_start_time:%lld", (long long)s->loading_start_s);
    count_field(out, "loading_total_bytes", s->loading_total_bytes);
    count_field(out, "loading_rdb_used_mem", s->loading_rdb_used_mem);
    count_field(out, "loading_loaded_bytes", s->loading_loaded_bytes);
    info_field(out, "loading_loaded_perc:%.2f", share * 100);
    info_field(out, "loading_eta_seconds:%lld", (long long)left_s);
}

void info_persistence(struct core *core, struct outq *out)
{
    const struct persistence_state *s = persistence_state(core);
    const struct append_only_view aof = append_only_view(core);
    info_field(out, "loading:%d", s->loading && !s->async_loading);
    info_field(out, "async_loading:%d", s->async_loading);
    child_fields(core, out);
    save_fields(core, s, out);
    append_only_fields(&aof, out);
    if (aof.enabled) append_only_file_fields(&aof, out);
    if (s->loading) loading_fields(s, out);
}

void info_keyspace(struct core *core, struct outq *out)
{
    for (int i = 0; i < keyspace_databases(core->keyspace); i++) {
        const struct database *db = keyspace_database(core->keyspace, i);
        size_t keys = database_size(db), timed = database_timed_hashes(db);
        char fields[48] = ""; /* Redis 8's word, where there is something to say: who knows 7.2 reads the rest alone */
        if (!keys) continue;
        if (timed) snprintf(fields, sizeof fields, ",subexpiry=%zu", timed);
        info_field(out, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld%s", i, keys, database_expiring(db),
                   (long long)database_average_ttl_ms(db), fields);
    }
}
