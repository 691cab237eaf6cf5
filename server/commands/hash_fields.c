/* What the commands on several fields of a hash have in common. Server process. */
#include "server/commands/hash_fields.h"

#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/core/command/command_table.h"

bool field_args_read(struct call *call, uint32_t at, const char *bad_count, struct field_args *out)
{
    int64_t count;
    if (at >= call->argc || !call_arg_is(call, at, "fields")) {
        reply_error(call->reply, "ERR Mandatory argument FIELDS is missing or not at the right position");
        return false;
    }
    if (at + 1 >= call->argc || parse_i64(call->argv[at + 1], &count) || count < 1) {
        reply_error(call->reply, bad_count);
        return false;
    }
    if (count != (int64_t)call->argc - at - 2) {
        reply_error(call->reply, "ERR The `numfields` parameter must match the number of arguments");
        return false;
    }
    *out = (struct field_args){at + 2, (uint32_t)count};
    return true;
}

bool field_expiry_read(struct call *call, struct bytes value, enum expiry_unit unit, int64_t *at_ms)
{
    int64_t given;
    if (parse_i64(value, &given) == 0 && given < 0) {
        reply_error(call->reply, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (!expiry_absolute_ms(call, value, unit, false, at_ms)) return false;
    if (*at_ms == HASH_NO_EXPIRY) *at_ms = 1;
    if (*at_ms <= FIELD_EXPIRY_MAX_MS || call->from_master) return true;
    reply_errorf(call->reply, "ERR invalid expire time in '%s' command", call->command->full_name);
    return false;
}

bool field_expiry_has_passed(const struct call *call, int64_t at_ms)
{
    return at_ms <= call->now_ms && !call->from_master && call->session->kind != SESSION_LOADER;
}

/* --- what leaves --- */

void touched_start(struct touched *t, const struct call *call)
{
    t->argv = mem_alloc((TOUCHED_HEAD + (size_t)call->argc) * sizeof *t->argv);
    t->count = 0;
}

void touched_add(struct touched *t, struct bytes argument)
{
    t->argv[TOUCHED_HEAD + t->count++] = argument;
}

void touched_propagate(struct touched *t, struct call *call, const struct bytes *head, uint32_t words)
{
    struct bytes *argv = t->argv + TOUCHED_HEAD - words;
    for (uint32_t i = 0; i < words; i++) argv[i] = head[i];
    call_rewrite(call, call->db, words + t->count, argv);
}

void touched_end(struct touched *t)
{
    mem_free(t->argv);
}

void fields_deleted(struct call *call, struct open_hash *o, struct touched *t)
{
    keep_hash(call, o);
    if (t->count == 0) return;
    struct bytes head[] = {BYTES("HDEL"), call->argv[1]};
    touched_propagate(t, call, head, 2);
    hash_written(call, "hdel", t->count);
    if (hash_length(&o->hash) == 0) call_delete_key(call, call->argv[1], call_key_hash(call, 1), false);
}

void fields_expire_at(struct call *call, struct open_hash *o, struct touched *t, int64_t at_ms)
{
    keep_hash(call, o);
    if (t->count == 0) return;
    char ms[I64_TEXT_MAX], count[I64_TEXT_MAX];
    struct bytes head[] = {BYTES("HPEXPIREAT"), call->argv[1], bytes_make(ms, format_i64(ms, at_ms)), BYTES("FIELDS"),
                           bytes_make(count, format_i64(count, t->count))};
    call_says(call, WORDS_OF_FIELD_EXPIRY);
    touched_propagate(t, call, head, 5);
    hash_written(call, "hexpire", t->count);
}
