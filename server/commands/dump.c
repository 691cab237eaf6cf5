/* DUMP and RESTORE: a value as bytes, to be stored under any key of any server. Server process. */
#include "rdb/dump.h"
#include "rdb/form.h"
#include "rdb/printable.h"
#include "server/acl/user.h"
#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/commands/restore_effect.h"
#include "server/commands/tables.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

/* The caller frees its data. */
static struct rdb_payload dump_of(const struct call *call, const struct record *r, enum rdb_write_for write_for)
{
    return rdb_dump(r, call->core->settings->rdb.compress, write_for);
}

static void dump_command(struct call *call)
{
    struct record *r = call_find_read(call, 1);
    if (!r) return reply_null(call->reply);
    enum rdb_write_for write_for = (enum rdb_write_for)call->core->settings->rdb.write_for;
    struct rdb_payload payload = dump_of(call, r, write_for);
    if (!payload.data)
        return reply_errorf(call->reply,
                            "ERR The hash has fields that expire, for which %s has no form (rdb-write-for)",
                            rdb_form_reader(write_for));
    reply_bulk(call->reply, bytes_make(payload.data, payload.len));
    mem_free(payload.data);
}

struct restore_options {
    bool replace, absolute;
    int64_t expiry_ms; /* 0: none; from now, unless absolute */
    int64_t idle_s;    /* -1: not given */
    int64_t frequency; /* -1: not given */
};

static bool read_options(struct call *call, struct restore_options *o)
{
    *o = (struct restore_options){.idle_s = -1, .frequency = -1};
    for (uint32_t i = 4; i < call->argc; i++) {
        bool valued = i + 1 < call->argc;
        if (call_arg_is(call, i, "replace")) {
            o->replace = true;
        } else if (call_arg_is(call, i, "absttl")) {
            o->absolute = true;
        } else if (call_arg_is(call, i, "idletime") && valued && o->frequency < 0) {
            if (!call_arg_i64(call, ++i, &o->idle_s, NULL)) return false;
            if (o->idle_s < 0) {
                reply_error(call->reply, "ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
        } else if (call_arg_is(call, i, "freq") && valued && o->idle_s < 0) {
            if (!call_arg_i64(call, ++i, &o->frequency, NULL)) return false;
            if (o->frequency < 0 || o->frequency > 255) {
                reply_error(call->reply, "ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool read_ttl(struct call *call, struct restore_options *o)
{
    if (!call_arg_i64(call, 2, &o->expiry_ms, NULL)) return false;
    if (o->expiry_ms >= 0) return true;
    reply_error(call->reply, "ERR Invalid TTL value, must be >= 0");
    return false;
}

static bool must_sanitize(const struct call *call)
{
    int sanitize = call->core->settings->rdb.sanitize_payload;
    const struct session *s = call->session;
    bool is_suspect = s->kind == SESSION_CLIENT && !(s->user && s->user->skips_sanitizing);
    return sanitize == SANITIZE_YES || (sanitize == SANITIZE_CLIENTS && is_suspect);
}

/* Reads the payload without touching anything. false: answered. */
static bool read_payload(struct call *call, struct rdb_restored *restored)
{
    char key[64];
    if (!rdb_payload_intact(call->argv[3], !call->core->settings->rdb.ignore_checksum)) {
        reply_error(call->reply, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    bool sanitize = must_sanitize(call), good = rdb_restore(call->argv[3], sanitize, restored);
    const struct rdb_cursor *in = &restored->in;
    if (sanitize) call->core->stats->dump_payload_sanitizations += in->payloads_checked;
    rdb_printable(call->argv[1], key);
    if (!good) {
        log_verbose("RESTORE of key '%s' is refused: integrity check failed at offset %llu of its payload: %s", key,
                    (unsigned long long)in->error_offset, in->bad ? in->error : "it is empty, too short or too long");
        reply_error(call->reply, "ERR Bad data format");
    } else if (in->flaws) {
        log_warning("RESTORE of key '%s' has mended its payload (flaws: %u): %s%s", key, in->flaws, in->first_flaw,
                    in->flaws > 1 ? " ..." : "");
    }
    return good;
}

/* The key that is in the way goes; an expiry that has passed already leaves it at that. */
static void store_nothing(struct call *call, bool deleted)
{
    if (!deleted) return;
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_GENERIC, "del", call->db, call->argv[1]);
    call_rewrite_removal(call, call->argv[1], call->core->settings->keyspace.lazyfree_lazy_server_del);
    call_changed(call, 1);
}

/* A relative expiry becomes an absolute one: a replica must not count from its own now. Nor is a payload with flaws for
 * replicas, which may take them otherwise, or one in a version that they may not take: they get what was made of it, in
 * the lowest that has room for it. */
static void rewrite(struct call *call, int64_t absolute_ms, const struct record *made)
{
    char text[I64_TEXT_MAX];
    uint32_t argc = call->argc;
    struct rdb_payload payload = {0};
    struct bytes *argv = mem_alloc((argc + 1) * sizeof *argv);
    memcpy(argv, call->argv, argc * sizeof *argv);
    if (absolute_ms) {
        argv[2] = bytes_make(text, format_i64(text, absolute_ms));
        argv[argc++] = BYTES("ABSTTL");
    }
    if (made) {
        bool may = call_may_say_7_0(call);
        payload = dump_of(call, made, may ? RDB_FOR_AUTO : RDB_FOR_6_2);
        if (may && rdb_payload_version(bytes_make(payload.data, payload.len)) > RDB_VERSION_LEAST_WRITTEN)
            call_says(call, WORDS_OF_7_0);
        argv[3] = bytes_make(payload.data, payload.len);
    }
    call_rewrite(call, call->db, argc, argv);
    mem_free(payload.data);
    mem_free(argv);
}

static void pass_payload_on(struct call *call, unsigned version)
{
    if (version == RDB_VERSION_VALKEY)
        call_passes_on(call, WORDS_OF_VALKEY_9);
    else if (version >= RDB_VERSION_FIELD_EXPIRY)
        call_passes_on(call, WORDS_OF_REDIS_8);
    else if (version > RDB_VERSION_LEAST_WRITTEN)
        call_passes_on(call, WORDS_OF_7_0);
}

static void store(struct call *call, const struct restore_options *o, struct rdb_restored *restored)
{
    struct bytes key = call->argv[1];
    uint64_t hash = call_key_hash(call, 1);
    int64_t expiry_ms = o->expiry_ms;
    if (expiry_ms && !o->absolute && __builtin_add_overflow(expiry_ms, call->now_ms, &expiry_ms)) expiry_ms = INT64_MAX;
    bool deleted =
        o->replace && database_delete(call->db, key, hash, call->core->settings->keyspace.lazyfree_lazy_server_del);
    bool may_expire = !call->from_master && call->session->kind != SESSION_LOADER;
    if (expiry_ms && expiry_ms <= call->now_ms && may_expire) {
        rdb_restored_drop(restored);
        return store_nothing(call, deleted);
    }
    struct record *r = rdb_restored_store(restored, call->db, key, hash);
    if (expiry_ms) r = database_set_expiry(call->db, r, expiry_ms);
    if (o->idle_s >= 0 || o->frequency >= 0) database_set_access(call->db, r, o->idle_s, (int)o->frequency);
    bool relative = expiry_ms && !o->absolute;
    bool remade = restored->in.flaws || restored->version > RDB_VERSION_LEAST_WRITTEN;
    if (record_type(r) == TYPE_HASH && record_encoding(r) >= ENCODING_LISTPACK_TIMED) {
        if (deleted) call_rewrite_removal(call, key, call->core->settings->keyspace.lazyfree_lazy_server_del);
        restore_effect_propagate(call, r);
    } else if (relative || remade) {
        rewrite(call, relative ? expiry_ms : 0, remade ? r : NULL);
    }
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_GENERIC, "restore", call->db, key);
    call_changed(call, 1);
}

static void restore_command(struct call *call)
{
    struct restore_options o;
    struct rdb_restored restored;
    if (!read_options(call, &o)) return;
    if (!o.replace && call_find_write(call, 1))
        return reply_error(call->reply, "BUSYKEY Target key name already exists.");
    if (!read_ttl(call, &o) || !read_payload(call, &restored)) return;
    pass_payload_on(call, restored.version);
    store(call, &o, &restored);
    reply_ok(call->reply);
}

const struct command dump_commands[] = {
    {"dump", dump_command, 2, CMD_READONLY, CAT_KEYSPACE, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"restore", restore_command, -4, CMD_WRITE | CMD_DENYOOM, CAT_KEYSPACE | CAT_DANGEROUS,
     KEY_AT_1(KEY_OW | KEY_UPDATE)},
    {"restore-asking", restore_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_ASKING, CAT_KEYSPACE | CAT_DANGEROUS,
     KEY_AT_1(KEY_OW | KEY_UPDATE)},
    {.name = NULL},
};
