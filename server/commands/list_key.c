/* What list commands share: opening a key's list, putting it back, pops and moves. Server process. */
#include "server/commands/list_key.h"

#include "server/base/alloc.h"
#include "server/commands/packed_reply.h"

bool list_key_open(struct list_key *k, struct call *call, uint32_t arg)
{
    *k = (struct list_key){.call = call, .key = call->argv[arg], .hash = call_key_hash(call, arg)};
    struct record *r = call_find_write(call, arg);
    if (call_wrong_type(call, r, TYPE_LIST)) return false;
    k->record = r;
    if (r) k->list = list_at(r);
    return true;
}

void list_key_create(struct list_key *k)
{
    k->list = list_new();
}

void list_key_keep(struct list_key *k)
{
    k->record =
        database_keep_object(k->call->db, k->record, k->key, k->hash, TYPE_LIST, k->list.encoding, k->list.object);
    k->list = list_at(k->record);
}

void list_key_save(struct list_key *k, const char *event)
{
    struct call *call = k->call;
    list_key_keep(k);
    call_key_modified(call, call->db, k->key);
    call_event(call, NOTIFY_LIST, event, call->db, k->key);
    if (list_length(&k->list) == 0) call_delete_key(call, k->key, k->hash, false);
}

/* --- ends --- */

bool list_end_argument(const struct call *call, uint32_t arg, enum list_end *out)
{
    *out = call_arg_is(call, arg, "left") ? LIST_HEAD : LIST_TAIL;
    return *out == LIST_HEAD || call_arg_is(call, arg, "right");
}

struct bytes list_end_name(enum list_end end)
{
    return end == LIST_HEAD ? BYTES("left") : BYTES("right");
}

static const char *pop_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpop" : "rpop";
}

static void drop(struct list_key *k, enum list_end end, size_t count)
{
    list_drop(&k->list, end, count);
    list_settle_shrunk(&k->list);
    list_key_save(k, pop_event(end));
    call_changed(k->call, count);
}

void list_key_pop_one(struct list_key *k, enum list_end end)
{
    struct packed_value v = list_at_end(&k->list, end);
    reply_packed(k->call->reply, &v);
    drop(k, end, 1);
}

size_t list_key_pop_many(struct list_key *k, enum list_end end, size_t count)
{
    size_t length = list_length(&k->list);
    if (count > length) count = length;
    reply_array(k->call->reply, count);
    if (!count) return 0;
    struct list_cursor c;
    list_seek(&k->list, end == LIST_HEAD ? 0 : -1, &c);
    for (size_t i = 0; i < count; i++) {
        struct packed_value v = list_cursor_value(&c);
        reply_packed(k->call->reply, &v);
        if (end == LIST_HEAD)
            list_cursor_next(&c);
        else
            list_cursor_prev(&c);
    }
    list_cursor_close(&c);
    drop(k, end, count);
    return count;
}

/* --- moving --- */

static const char *push_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpush" : "rpush";
}

/* Within one list: the element leaves its bytes before they come back. */
static void rotate(struct list_key *k, enum list_end take, enum list_end give)
{
    struct call *call = k->call;
    char scratch[I64_TEXT_MAX];
    struct packed_value v = list_at_end(&k->list, take);
    struct bytes text = packed_text(&v, scratch);
    uint8_t *copy = memcpy(mem_alloc(text.len), text.ptr, text.len);
    text.ptr = copy;
    reply_bulk(call->reply, text);
    list_drop(&k->list, take, 1);
    list_prepare_growth(&k->list, &text, 1);
    list_push(&k->list, give, text);
    list_settle_shrunk(&k->list);
    call_event(call, NOTIFY_LIST, push_event(give), call->db, k->key);
    list_key_save(k, pop_event(take));
    call_changed(call, 1);
    mem_free(copy);
}

bool list_key_move(struct list_key *from, enum list_end take, enum list_end give)
{
    struct call *call = from->call;
    struct list_key to;
    char scratch[I64_TEXT_MAX];
    if (!list_key_open(&to, call, 2)) return false;
    if (bytes_equal(from->key, to.key)) {
        rotate(from, take, give);
        return true;
    }
    if (!list_key_found(&to)) list_key_create(&to);
    struct packed_value v = list_at_end(&from->list, take);
    struct bytes text = packed_text(&v, scratch);
    reply_bulk(call->reply, text);
    list_prepare_growth(&to.list, &text, 1);
    list_push(&to.list, give, text);
    list_key_save(&to, push_event(give));
    list_key_open(from, call, 1); /* storing the other key may have moved its record */
    drop(from, take, 1);
    return true;
}

/* --- LMPOP --- */

bool list_multi_pop_read(struct call *call, uint32_t at, struct list_multi_pop *out)
{
    int64_t keys, count = 1;
    if (!call_arg_range(call, at, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) return false;
    *out = (struct list_multi_pop){.first_key = at + 1};
    uint32_t rest = call->argc - out->first_key;
    if (keys >= rest || !list_end_argument(call, out->first_key + (uint32_t)keys, &out->end)) {
        call_syntax_error(call);
        return false;
    }
    out->key_count = (uint32_t)keys;
    bool counted = false;
    for (uint32_t i = out->first_key + out->key_count + 1; i < call->argc; i += 2, counted = true) {
        if (counted || !call_arg_is(call, i, "count") || i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        if (!call_arg_range(call, i + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0")) return false;
    }
    out->count = (size_t)count;
    return true;
}

bool list_multi_pop_run(struct call *call, const struct list_multi_pop *pop)
{
    for (uint32_t i = 0; i < pop->key_count; i++) {
        struct list_key k;
        if (!list_key_open(&k, call, pop->first_key + i)) return true;
        if (!list_key_found(&k)) continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, k.key);
        char text[I64_TEXT_MAX];
        size_t len = format_u64(text, list_key_pop_many(&k, pop->end, pop->count));
        struct bytes argv[3] = {pop->end == LIST_HEAD ? BYTES("LPOP") : BYTES("RPOP"), k.key, bytes_make(text, len)};
        call_rewrite(call, call->db, 3, argv);
        return true;
    }
    return false;
}
