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

static bool starts(struct bytes text, const char *head)
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

static void take_server(struct report *r, struct bytes name, struct bytes value)
{
    if (bytes_equal_text(name, "run_id") && sentinel_run_id_is_valid(value))
        memcpy(r->run_id, value.ptr, SENTINEL_RUN_ID);
    else if (bytes_equal_text(name, "role"))
        r->role = bytes_equal_text(value, "master")  ? ROLE_MASTER
                  : bytes_equal_text(value, "slave") ? ROLE_REPLICA
                                                     : ROLE_UNKNOWN;
    else if (bytes_equal_text(name, "replica_announced"))
        r->announced = !bytes_equal_text(value, "0");
}

static void take_hand_over(struct report *r, struct bytes value)
{
    r->may_hand_over = true;
    r->hands_over = !bytes_equal_text(value, "no-failover");
}

static void take_master(struct report *r, struct bytes name, struct bytes value)
{
    int64_t n;
    if (bytes_equal_text(name, "master_repl_offset"))
        r->master_offset = number(value);
    else if (bytes_equal_text(name, "master_failover_state"))
        take_hand_over(r, value);
    else if (bytes_equal_text(name, "master_host"))
        take_host(&r->master, value);
    else if (bytes_equal_text(name, "master_port"))
        sentinel_port_parse(value, &r->master.port);
    else if (bytes_equal_text(name, "master_link_status"))
        r->master_link_up = bytes_equal_text(value, "up");
    else if (bytes_equal_text(name, "master_link_down_since_seconds") && !parse_i64(value, &n) && n < INT64_MAX / 1000)
        r->master_link_down_ms = n < 0 ? -1 : n * 1000;
}

static void take_slave(struct report *r, struct bytes name, struct bytes value)
{
    int64_t n;
    if (bytes_equal_text(name, "slave_priority") && !parse_i64(value, &n))
        r->priority = n;
    else if (bytes_equal_text(name, "slave_repl_offset"))
        r->offset = number(value);
    else if (bytes_equal_text(name, "slaves_ahead_bytes"))
        r->ahead_bytes = number(value);
}

/* Most fields of an INFO are none of ours, and their first letter says so. */
static void take_field(struct report *r, struct bytes name, struct bytes value)
{
    switch (name.len ? name.ptr[0] : 0) {
    case 'r': take_server(r, name, value); break;
    case 'm': take_master(r, name, value); break;
    case 's': take_slave(r, name, value); break;
    case 'u':
        if (bytes_equal_text(name, "uptime_in_seconds") && parse_i64(value, &r->uptime_s)) r->uptime_s = -1;
        break;
    case 'l':
        if (bytes_equal_text(name, "loading")) r->loading = bytes_equal_text(value, "1");
        break;
    case 'c':
        if (bytes_equal_text(name, "connected_slaves")) r->connected_replicas = number(value);
        break;
    case 'd':
        if (starts(name, "db") && name.len > 2 && name.ptr[2] >= '0' && name.ptr[2] <= '9') take_keys(r, value);
        break;
    default: break;
    }
}

void report_parse(struct bytes info, struct report *report)
{
    struct bytes line, name, value;
    report_init(report);
    for (size_t at = 0; next_line(info, &at, &line);)
        if (split_at(line, ':', &name, &value)) take_field(report, name, value);
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
        if (!starts(line, "slave") || !split_at(line, ':', &name, &value)) continue;
        if (name.len > 5 && name.ptr[5] >= '0' && name.ptr[5] <= '9' && parse_replica(value, out)) return true;
    }
    return false;
}
