/* INFO, as a Sentinel reads it. Any process; pure. */
#include "server/sentinel/report.h"

#include "server/base/number.h"

void report_init(struct report *report)
{
    *report = (struct report){.priority = 100, .announced = true, .master_link_down_ms = -1, .uptime_s = -1};
}

/* The next line from *at on, without its end; false: no more. */
static bool next_line(struct bytes text, size_t *at, struct bytes *line)
{
    if (*at >= text.len) return false;
    const uint8_t *from = text.ptr + *at, *end = memchr(from, '\n', text.len - *at);
    size_t len = end ? (size_t)(end - from) : text.len - *at;
    *at += len + 1;
    if (len && from[len - 1] == '\r') len--;
    *line = bytes_make(from, len);
    return true;
}

/* "name:value"; false where there is no colon. */
static bool split_at(struct bytes text, char separator, struct bytes *name, struct bytes *value)
{
    const uint8_t *at = text.len ? memchr(text.ptr, separator, text.len) : NULL;
    if (!at) return false;
    *name = bytes_make(text.ptr, (size_t)(at - text.ptr));
    *value = bytes_make(at + 1, text.len - name->len - 1);
    return true;
}

static inline bool starts(struct bytes text, const char *head)
{
    size_t len = strlen(head);
    return text.len >= len && memcmp(text.ptr, head, len) == 0;
}

static void take_host(struct sentinel_address *out, struct bytes value)
{
    if (!sentinel_host_is_valid(value)) return;
    memcpy(out->host, value.ptr, value.len);
    out->host[value.len] = '\0';
}

static uint64_t number(struct bytes value)
{
    uint64_t n;
    return parse_u64(value, &n) ? 0 : n;
}

/* dbN:keys=K,expires=E,... */
static void take_keys(struct report *r, struct bytes value)
{
    struct bytes field, rest;
    if (!split_at(value, ',', &field, &rest)) field = value;
    if (starts(field, "keys=")) r->keys += number(bytes_make(field.ptr + 5, field.len - 5));
}

static void take_id(char out[SENTINEL_RUN_ID + 1], struct bytes value)
{
    if (sentinel_run_id_is_valid(value)) memcpy(out, value.ptr, SENTINEL_RUN_ID);
}

/* Whether a line is the field whose name, colon and all, is `head`; *value: what follows. */
static inline bool is_field(struct bytes line, const char *head, size_t len, struct bytes *value)
{
    if (line.len < len || memcmp(line.ptr, head, len) != 0) return false;
    *value = bytes_make(line.ptr + len, line.len - len);
    return true;
}

#define IS(name) is_field(line, name ":", sizeof(name ":") - 1, &value)

static void take_server(struct report *r, struct bytes line)
{
    struct bytes value;
    if (IS("run_id"))
        take_id(r->run_id, value);
    else if (IS("role"))
        r->role = bytes_equal_text(value, "master")  ? ROLE_MASTER
                  : bytes_equal_text(value, "slave") ? ROLE_REPLICA
                                                     : ROLE_UNKNOWN;
    else if (IS("replica_announced"))
        r->announced = !bytes_equal_text(value, "0");
}

static void take_hand_over(struct report *r, struct bytes value)
{
    r->may_hand_over = true;
    r->hands_over = !bytes_equal_text(value, "no-failover");
}

static void take_master(struct report *r, struct bytes line)
{
    struct bytes value;
    int64_t n;
    if (!starts(line, "master_")) return;
    if (IS("master_repl_offset"))
        r->master_offset = number(value);
    else if (IS("master_replid"))
        take_id(r->history, value);
    else if (IS("master_replid2"))
        take_id(r->second_history, value);
    else if (IS("master_failover_state"))
        take_hand_over(r, value);
    else if (IS("master_host"))
        take_host(&r->master, value);
    else if (IS("master_port"))
        sentinel_port_parse(value, &r->master.port);
    else if (IS("master_link_status"))
        r->master_link_up = bytes_equal_text(value, "up");
    else if (IS("master_link_down_since_seconds") && !parse_i64(value, &n) && n < INT64_MAX / 1000)
        r->master_link_down_ms = n < 0 ? -1 : n * 1000;
}

/* "slave0:ip=..." */
static bool is_replica_line(struct bytes line)
{
    return starts(line, "slave") && line.len > 5 && line.ptr[5] >= '0' && line.ptr[5] <= '9';
}

static void take_slave(struct report *r, struct bytes line)
{
    struct bytes value;
    int64_t n;
    if (!starts(line, "slave")) return;
    if (is_replica_line(line))
        r->lists_replicas = true;
    else if (IS("slave_priority") && !parse_i64(value, &n))
        r->priority = n;
    else if (IS("slave_repl_offset"))
        r->offset = number(value);
    else if (IS("slaves_ahead_bytes"))
        r->ahead_bytes = number(value);
}

static void take_database(struct report *r, struct bytes line)
{
    struct bytes name, value;
    bool numbered = starts(line, "db") && line.len > 2 && line.ptr[2] >= '0' && line.ptr[2] <= '9';
    if (numbered && split_at(line, ':', &name, &value)) take_keys(r, value);
}

/* Most lines of an INFO, of which hundreds of masters bring some fifty a second, are none of ours, and their first
 * letter says so. */
static void take_line(struct report *r, struct bytes line)
{
    struct bytes value;
    switch (line.len ? line.ptr[0] : 0) {
    case 'r': take_server(r, line); break;
    case 'm': take_master(r, line); break;
    case 's': take_slave(r, line); break;
    case 'd': take_database(r, line); break;
    case 'u':
        if (IS("uptime_in_seconds") && (parse_i64(value, &r->uptime_s) || r->uptime_s > INT64_MAX / 1000))
            r->uptime_s = -1;
        break;
    case 'l':
        if (IS("loading")) r->loading = bytes_equal_text(value, "1");
        break;
    case 'c':
        if (IS("connected_slaves")) r->connected_replicas = number(value);
        break;
    default: break;
    }
}

#define IS_HEADING(name) (line.len == sizeof(name) - 1 && memcmp(line.ptr, name, sizeof(name) - 1) == 0)

/* The heading of a section that has nothing for us, and half of the text: what stands there is about the process
 * alone. */
static bool is_passed_over(struct bytes line)
{
    return IS_HEADING("# Memory") || IS_HEADING("# Stats") || IS_HEADING("# Clients") || IS_HEADING("# CPU");
}

/* Where the next section's heading is: a sign that seldom stands elsewhere, at the start of a line. */
static size_t next_heading(struct bytes info, size_t at)
{
    const uint8_t *end = info.ptr + info.len;
    for (const uint8_t *sign = info.ptr + at; sign < end && (sign = memchr(sign, '#', (size_t)(end - sign))); sign++)
        if (sign > info.ptr && sign[-1] == '\n') return (size_t)(sign - info.ptr);
    return info.len;
}

void report_parse(struct bytes info, struct report *report)
{
    struct bytes line;
    report_init(report);
    for (size_t at = 0; next_line(info, &at, &line);) {
        take_line(report, line);
        if (line.len && line.ptr[0] == '#' && is_passed_over(line)) at = next_heading(info, at);
    }
    if (report->master_link_up) report->master_link_down_ms = 0;
}

/* ip=10.0.0.2,port=6379,state=online,... */
static bool parse_replica(struct bytes fields, struct sentinel_address *out)
{
    *out = (struct sentinel_address){0};
    while (fields.len) {
        struct bytes field = fields, rest = {0}, name, value;
        split_at(fields, ',', &field, &rest);
        fields = rest;
        if (!split_at(field, '=', &name, &value)) continue;
        if (bytes_equal_text(name, "ip")) take_host(out, value);
        if (bytes_equal_text(name, "port")) sentinel_port_parse(value, &out->port);
    }
    return *out->host && out->port;
}

bool report_next_replica(struct bytes info, size_t *at, struct sentinel_address *out)
{
    struct bytes line, name, value;
    while (next_line(info, at, &line)) {
        if (is_replica_line(line) && split_at(line, ':', &name, &value) && parse_replica(value, out)) return true;
    }
    return false;
}
