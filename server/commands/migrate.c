/* MIGRATE: keys move to another server. The server stands still until the other has answered for each, or the timeout
 * is over: only so a key is at no moment in both places, or in none. Server process.
 *
 * Everything is sent in one go: AUTH, SELECT, and a RESTORE per key. What the other server has taken is deleted here,
 * and DEL of just these keys is what is propagated. */
#include "rdb/dump.h"
#include "rdb/form.h"
#include "rdb/printable.h"
#include "server/base/alloc.h"
#include "server/commands/migrate_socket.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"
#include "server/net/blocking_socket.h"
#include "server/resp/reader.h"

#include <limits.h>

/* --- arguments --- */

struct migration {
    struct call *call;
    bool copy, replace;
    struct bytes user, password; /* ptr NULL: none */
    uint32_t first_key, key_count;
    int64_t database;
    int timeout_ms;
    uint32_t *keys; /* arguments with keys that are there (mem) */
    uint32_t found;
    uint32_t without_form; /* keys that rdb-write-for has no form for */
    struct bytes first_without_form;
};

enum { HOST_ARG = 1, PORT_ARG, KEY_ARG, DATABASE_ARG, TIMEOUT_ARG, OPTIONS_ARG };

#define DEFAULT_TIMEOUT_MS 1000

static struct bytes read_secret(struct migration *m, uint32_t arg)
{
    call_secret_arg(m->call, arg);
    return m->call->argv[arg];
}

static bool read_options(struct migration *m)
{
    struct call *call = m->call;
    m->first_key = KEY_ARG;
    m->key_count = 1;
    for (uint32_t i = OPTIONS_ARG; i < call->argc; i++) {
        uint32_t rest = call->argc - i - 1;
        if (call_arg_is(call, i, "copy")) {
            m->copy = true;
        } else if (call_arg_is(call, i, "replace")) {
            m->replace = true;
        } else if (call_arg_is(call, i, "auth") && rest >= 1) {
            m->password = read_secret(m, ++i);
        } else if (call_arg_is(call, i, "auth2") && rest >= 2) {
            m->user = read_secret(m, ++i);
            m->password = read_secret(m, ++i);
        } else if (call_arg_is(call, i, "keys")) {
            if (call->argv[KEY_ARG].len) {
                reply_error(call->reply,
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
                return false;
            }
            m->first_key = i + 1;
            m->key_count = rest;
            return true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool read_numbers(struct migration *m)
{
    int64_t timeout_ms;
    if (!call_arg_i64(m->call, TIMEOUT_ARG, &timeout_ms, NULL) ||
        !call_arg_i64(m->call, DATABASE_ARG, &m->database, NULL))
        return false;
    if (timeout_ms <= 0) timeout_ms = DEFAULT_TIMEOUT_MS;
    m->timeout_ms = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    return true;
}

/* Of the keys' arguments when they are many, else of the one. -1: both are given. */
static int migrate_find_keys(uint32_t argc, const struct bytes *argv, struct found_key *keys)
{
    const uint16_t flags = KEY_RW | KEY_ACCESS | KEY_DELETE;
    int found = 0;
    for (uint32_t i = OPTIONS_ARG; i < argc; i++) {
        if (bytes_equal_nocase(argv[i], "auth")) {
            i++;
        } else if (bytes_equal_nocase(argv[i], "auth2")) {
            i += 2;
        } else if (bytes_equal_nocase(argv[i], "keys") && i + 1 < argc) {
            if (argv[KEY_ARG].len) return -1;
            while (++i < argc) keys[found++] = (struct found_key){(int)i, flags};
            return found;
        }
    }
    keys[0] = (struct found_key){KEY_ARG, flags};
    return 1;
}

/* --- the request --- */

/* One that expires before it gets there stays and is left to expire. */
static bool put_restore(struct migration *m, struct outq *out, uint32_t arg, const struct record *r)
{
    char text[I64_TEXT_MAX];
    int64_t ttl_ms = 0;
    if (record_expire_ms(r) != RECORD_NO_EXPIRY) {
        ttl_ms = record_expire_ms(r) - m->call->now_ms;
        if (ttl_ms < 0) return false;
        if (ttl_ms < 1) ttl_ms = 1;
    }
    const struct rdb_settings *settings = &m->call->core->settings->rdb;
    struct rdb_payload payload = rdb_dump(r, settings->compress, (enum rdb_write_for)settings->write_for);
    if (!payload.data) {
        if (m->without_form++ == 0) m->first_without_form = m->call->argv[arg];
        return false;
    }
    struct bytes argv[5] = {BYTES("RESTORE"), m->call->argv[arg], bytes_make(text, format_i64(text, ttl_ms)),
                            bytes_make(payload.data, payload.len), BYTES("REPLACE")};
    resp_write_request(out, m->replace ? 5 : 4, argv);
    mem_free(payload.data);
    return true;
}

static void put_auth(const struct migration *m, struct outq *out)
{
    struct bytes argv[3] = {BYTES("AUTH"), m->user, m->password};
    if (!m->user.ptr) argv[1] = m->password;
    if (m->password.ptr) resp_write_request(out, m->user.ptr ? 3 : 2, argv);
}

static void put_keys(struct migration *m, struct outq *out)
{
    char text[I64_TEXT_MAX];
    struct bytes select[2] = {BYTES("SELECT"), bytes_make(text, format_i64(text, m->database))};
    put_auth(m, out);
    resp_write_request(out, 2, select);
    m->keys = mem_alloc((m->key_count ? m->key_count : 1) * sizeof *m->keys);
    for (uint32_t i = m->first_key; i < m->first_key + m->key_count; i++) {
        struct record *r = call_find_read(m->call, i);
        if (r && put_restore(m, out, i, r)) m->keys[m->found++] = i;
    }
}

/* --- the other server --- */

struct target {
    struct blocking_socket *socket;
    int timeout_ms;
    size_t filled;
    uint8_t input[4096];
};

static int send_all(struct target *t, struct outq *out)
{
    while (!outq_empty(out)) {
        struct bytes front = outq_front(out);
        if (blocking_socket_write(t->socket, front.ptr, front.len, t->timeout_ms) != 0) return -1;
        outq_consume(out, front.len);
    }
    return 0;
}

/* Reads one reply: 0, and an error's text goes to `error`, unless that holds an earlier one; *refused says whether it
 * was one. -1: no reply. */
static int read_reply(struct target *t, char error[256], bool *refused)
{
    struct resp_value value;
    size_t consumed;
    for (;;) {
        enum resp_status status = resp_reply_read(t->input, t->filled, &value, &consumed);
        if (status == RESP_COMPLETE) break;
        if (status != RESP_NEED_MORE || t->filled == sizeof t->input) return -1;
        ssize_t got = blocking_socket_read(t->socket, t->input + t->filled, sizeof t->input - t->filled, t->timeout_ms);
        if (got < 0) return -1;
        t->filled += (size_t)got;
    }
    *refused = value.type == RESP_ERROR_REPLY;
    if (*refused && !error[0]) {
        size_t len = value.text.len < 255 ? value.text.len : 255;
        memcpy(error, value.text.ptr, len);
        error[len] = 0;
    }
    t->filled -= consumed;
    memmove(t->input, t->input + consumed, t->filled);
    return 0;
}

/* --- the whole --- */

/* false: the same key was named before. */
static bool delete_moved(struct call *call, uint32_t arg)
{
    struct bytes key = call->argv[arg];
    if (!call_delete_key(call, key, call_key_hash(call, arg), false)) return false;
    call_changed(call, 1);
    return true;
}

/* Reads the answer for each key, deleting what has arrived. -1: an answer is missing. */
static int read_replies(struct migration *m, struct target *t, char error[256])
{
    struct call *call = m->call;
    struct bytes *deleted = mem_alloc((m->found + 1) * sizeof *deleted);
    uint32_t count = 0;
    bool refused, greeting_refused = false;
    int result = 0;
    for (int i = m->password.ptr ? 0 : 1; i < 2 && result == 0; i++) {
        result = read_reply(t, error, &refused);
        greeting_refused |= result == 0 && refused;
    }
    for (uint32_t i = 0; i < m->found && result == 0; i++) {
        result = read_reply(t, error, &refused);
        if (result != 0 || refused || greeting_refused || m->copy) continue;
        if (delete_moved(call, m->keys[i])) deleted[++count] = call->argv[m->keys[i]];
    }
    deleted[0] = BYTES("DEL");
    if (count)
        call_rewrite(call, call->db, count + 1, deleted);
    else
        call_rewrite_nothing(call);
    mem_free(deleted);
    return result;
}

/* Returns whether the connection is good for another time. */
static bool exchange(struct migration *m, struct outq *out, struct blocking_socket *socket)
{
    struct reply *reply = m->call->reply;
    struct target t = {.socket = socket, .timeout_ms = m->timeout_ms};
    char error[256] = "";
    if (send_all(&t, out) != 0) {
        reply_error(reply, "IOERR error or timeout writing to target instance");
        return false;
    }
    if (read_replies(m, &t, error) != 0) {
        reply_error(reply, "IOERR error or timeout reading from target instance");
        return false;
    }
    if (error[0])
        reply_errorf(reply, "ERR Target instance replied with error: %s", error);
    else
        reply_ok(reply);
    return true;
}

static void migrate_found(struct migration *m, struct outq *out)
{
    struct call *call = m->call;
    struct migrate_socket *s =
        migrate_socket_get(call->core->migrate_sockets, call->argv[HOST_ARG], call->argv[PORT_ARG], m->timeout_ms);
    if (!s) return reply_error(call->reply, "IOERR error or timeout connecting to the client");
    if (exchange(m, out, migrate_socket_connection(s)))
        migrate_socket_keep(s);
    else
        migrate_socket_close(s);
}

/* Nothing is sent of any key: what the target lacks then is told with its reason. */
static void refuse_form(const struct migration *m)
{
    char text[64];
    enum rdb_write_for write_for = (enum rdb_write_for)m->call->core->settings->rdb.write_for;
    reply_errorf(
        m->call->reply,
        "ERR Not migrated: hashes with fields that expire, for which %s has no form (rdb-write-for): %u, '%s' is "
        "the first",
        rdb_form_reader(write_for), m->without_form, rdb_printable(m->first_without_form, text));
}

static void migrate_command(struct call *call)
{
    struct migration m = {.call = call};
    struct outq out = {0};
    if (!read_options(&m) || !read_numbers(&m)) return;
    put_keys(&m, &out);
    if (m.without_form)
        refuse_form(&m);
    else if (m.found)
        migrate_found(&m, &out);
    else
        reply_simple(call->reply, "NOKEY");
    outq_clear(&out);
    mem_free(m.keys);
}

const struct command migrate_commands[] = {
    {"migrate", migrate_command, -6, CMD_WRITE | CMD_MOVABLE_KEYS, CAT_KEYSPACE | CAT_DANGEROUS,
     KEYS(KEY_AT(3, KEY_RW | KEY_ACCESS | KEY_DELETE),
          KEYS_AFTER("KEYS", -2, -1, 0, KEY_RW | KEY_ACCESS | KEY_DELETE | KEY_INCOMPLETE)),
     .find_keys = migrate_find_keys, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
