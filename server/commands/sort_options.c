/* SORT's arguments taken apart. Server process. */
#include "server/commands/sort_options.h"

#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/run/permission.h"
#include "server/core/session/session.h"
#include "server/data/hash.h"
#include "server/keyspace/record_layout.h"

/* --- arguments --- */

static void add_get(const struct call *call, struct sort_options *o, uint32_t arg)
{
    if (!o->gets) o->gets = mem_alloc(call->argc * sizeof *o->gets);
    o->gets[o->get_count++] = arg;
}

/* What a pattern names only the elements say, so no rule about keys could be asked. false: answered. */
static bool may_look_up(struct call *call, const char *option)
{
    const struct user *u = call->session->user ? call->session->user : call->core->users->default_user;
    if (acl_may_read_any_key(u, call->command, call->argc, call->argv)) return true;
    reply_errorf(call->reply, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

bool sort_options_read(struct call *call, bool may_store, struct sort_options *out)
{
    *out = (struct sort_options){.count = -1};
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t rest = call->argc - i - 1;
        if (call_arg_is(call, i, "asc")) {
            out->descending = false;
        } else if (call_arg_is(call, i, "desc")) {
            out->descending = true;
        } else if (call_arg_is(call, i, "alpha")) {
            out->alphabetic = true;
        } else if (call_arg_is(call, i, "limit") && rest >= 2) {
            if (!call_arg_i64(call, i + 1, &out->skip, NULL) || !call_arg_i64(call, i + 2, &out->count, NULL))
                return false;
            i += 2;
        } else if (may_store && call_arg_is(call, i, "store") && rest >= 1) {
            out->store = ++i;
        } else if (call_arg_is(call, i, "by") && rest >= 1) {
            out->by = call->argv[++i];
            out->keeps_order = !memchr(out->by.ptr, '*', out->by.len);
            if (!out->keeps_order && !may_look_up(call, "BY")) return false;
        } else if (call_arg_is(call, i, "get") && rest >= 1) {
            if (!may_look_up(call, "GET")) return false;
            add_get(call, out, ++i);
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

void sort_options_release(struct sort_options *o)
{
    mem_free(o->gets);
}

/* Options that take arguments hide these from the search for STORE. */
int sort_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys)
{
    int store = 0;
    for (uint32_t i = 2; i < argc; i++) {
        if (bytes_equal_nocase(argv[i], "limit"))
            i += 2;
        else if (bytes_equal_nocase(argv[i], "get") || bytes_equal_nocase(argv[i], "by"))
            i++;
        else if (bytes_equal_nocase(argv[i], "store") && i + 1 < argc)
            store = (int)++i;
    }
    keys[0] = (struct found_key){1, KEY_RO | KEY_ACCESS};
    if (!store) return 1;
    keys[1] = (struct found_key){store, KEY_OW | KEY_UPDATE};
    return 2;
}

/* --- patterns --- */

struct pattern {
    struct bytes before, after; /* of the key: around '*' */
    struct bytes field;         /* behind "->"; empty: the key's own string is meant */
};

static bool split_pattern(struct bytes text, struct pattern *p)
{
    const uint8_t *star = text.len ? memchr(text.ptr, '*', text.len) : NULL;
    if (!star) return false;
    p->before = bytes_make(text.ptr, (size_t)(star - text.ptr));
    p->after = bytes_make(star + 1, (size_t)(text.ptr + text.len - star - 1));
    p->field = BYTES("");
    const uint8_t *arrow = memmem(p->after.ptr, p->after.len, "->", 2);
    if (arrow && arrow + 2 < text.ptr + text.len) {
        p->field = bytes_make(arrow + 2, (size_t)(text.ptr + text.len - arrow - 2));
        p->after.len = (size_t)(arrow - p->after.ptr);
    }
    return true;
}

static uint8_t *put(uint8_t *at, struct bytes b)
{
    memcpy(at, b.ptr, b.len);
    return at + b.len;
}

#define SHORT_KEY_BYTES 256

static struct record *find_named(struct call *call, const struct pattern *p, struct bytes element)
{
    uint8_t room[SHORT_KEY_BYTES], *key = room;
    size_t len = p->before.len + element.len + p->after.len;
    if (len > sizeof room) key = mem_alloc(len);
    put(put(put(key, p->before), element), p->after);
    struct record *r = call_find(call, call->db, bytes_make(key, len), LOOKUP_READ);
    if (key != room) mem_free(key);
    return r;
}

bool sort_look_up(struct call *call, struct bytes text, struct bytes element, char scratch[I64_TEXT_MAX],
                  struct bytes *out)
{
    struct pattern p;
    *out = element;
    if (bytes_equal_text(text, "#")) return true;
    if (!split_pattern(text, &p)) return false;
    struct record *r = find_named(call, &p, element);
    /* As with keys: what has run out goes first, as replicas sort by what they see when STORE is given. */
    if (r && record_is_timed_hash(r) && !call->from_master)
        r = database_reap_named(call->db, r, key_hash(record_key(r)), call->now_ms, &p.field, 1, 1);
    if (!r || record_type(r) != (p.field.len ? TYPE_HASH : TYPE_STRING)) return false;
    if (!p.field.len) {
        *out = record_string(r, scratch);
        return true;
    }
    struct hash h = {record_encoding(r), record_object(r), record_object_inside(r),
                     call->from_master ? 0 : call->now_ms};
    struct packed_value value;
    if (!hash_get(&h, p.field, &value)) return false;
    *out = packed_text(&value, scratch);
    return true;
}
