/* Receiving a snapshot. Server process of the replica. The master announces "$<length>" or "$EOF:<mark>", after any
 * number of newlines that only say it is alive; nothing it sends is trusted. */
#include "repl/transfer.h"

#include "repl/inbox.h"
#include "repl/spool_file.h"
#include "repl/wire.h"
#include "server/base/check.h"
#include "server/base/discard.h"
#include "server/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOAD_SLICE_BYTES (1024 * 1024)
#define MOST_BYTES       INT64_MAX

#define TO(phase) (1u << PHASE_##phase)

enum phase { PHASE_HEADER, PHASE_SNAPSHOT, PHASE_MARK, PHASE_RECEIVED };

struct transfer {
    struct keyspace *keyspace;
    struct rdb_read_options options;
    int key_load_delay_us; /* for a reader that makes keys, not for one that only checks */
    enum phase phase;
    bool direct, by_mark;
    bool refused;
    bool slowed; /* the reader wants to be asked again, with the bytes that it has left */
    bool from_file;
    struct rdb_reader *reader;
    struct inbox carry; /* a value whose end has not arrived */
    int file;           /* -1: direct */
    uint64_t total, received, loaded;
    size_t header_len, mark_len;
    char header[160];
    char mark[WIRE_MARK_BYTES + 1];
    char error[512];
};

struct transfer *transfer_new(struct keyspace *ks, const struct rdb_settings *settings, int64_t now_ms, bool direct)
{
    struct transfer *t = mem_calloc(1, sizeof *t);
    t->keyspace = ks;
    t->direct = direct;
    t->file = -1;
    t->key_load_delay_us = settings->key_load_delay_us;
    t->options = (struct rdb_read_options){
        .now_ms = now_ms,
        .sanitize = settings->sanitize_payload == SANITIZE_YES,
        .ignore_checksum = settings->ignore_checksum,
        .databases = keyspace_databases(ks),
        .stream_follows = true,
    };
    return t;
}

void transfer_use_file(struct transfer *t)
{
    CHECK(t->phase == PHASE_HEADER);
    t->direct = false;
}

void transfer_free(struct transfer *t)
{
    if (!t) return;
    rdb_reader_free(t->reader);
    inbox_clear(&t->carry);
    if (t->file >= 0) discard_file(t->file);
    mem_free(t);
}

static void enter(struct transfer *t, enum phase phase)
{
    static const unsigned successors[] = {
        [PHASE_HEADER] = TO(SNAPSHOT),
        [PHASE_SNAPSHOT] = TO(MARK) | TO(RECEIVED),
        [PHASE_MARK] = TO(RECEIVED),
        [PHASE_RECEIVED] = 0,
    };
    CHECK(successors[t->phase] & (1u << phase));
    t->phase = phase;
}

static enum transfer_status bad(struct transfer *t, const char *what, const char *detail)
{
    snprintf(t->error, sizeof t->error, "%s%s", what, detail);
    return TRANSFER_BAD;
}

/* The reader does not take what has come. The same snapshot would be refused again. */
static enum transfer_status refused(struct transfer *t)
{
    t->refused = true;
    snprintf(t->error, sizeof t->error, "Rejected RDB version %d from MASTER after %llu bytes: %s",
             rdb_reader_result(t->reader)->version, (unsigned long long)t->received, rdb_reader_error(t->reader));
    return TRANSFER_BAD;
}

/* --- the header --- */

static int parse_length(struct transfer *t, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long length = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-' || length > MOST_BYTES) return -1;
    t->total = length;
    return 0;
}

static enum transfer_status begin(struct transfer *t)
{
    t->options.total_bytes = t->total;
    t->options.verify_only = !t->direct;
    t->options.key_load_delay_us = t->direct ? t->key_load_delay_us : 0;
    if (!t->direct && (t->file = spool_file_open()) < 0)
        return bad(t, "Opening the temp file needed for MASTER <-> REPLICA synchronization: ", strerror(errno));
    t->reader = rdb_reader_new(t->direct ? t->keyspace : NULL, &t->options);
    enter(t, PHASE_SNAPSHOT);
    return TRANSFER_BEGINS;
}

static enum transfer_status header_complete(struct transfer *t)
{
    char *line = t->header;
    if (line[0] == '-') return bad(t, "MASTER aborted replication with an error: ", line + 1);
    const char *mark = line + strlen(WIRE_MARK_PREFIX);
    if (strncmp(line, WIRE_MARK_PREFIX, strlen(WIRE_MARK_PREFIX)) == 0 && strlen(mark) == WIRE_MARK_BYTES) {
        t->by_mark = true;
        memcpy(t->mark, mark, WIRE_MARK_BYTES);
        return begin(t);
    }
    if (line[0] == WIRE_LENGTH_PREFIX && parse_length(t, line + 1) == 0) return begin(t);
    return bad(t, "Bad protocol from MASTER, the snapshot's header is: ", line);
}

static enum transfer_status feed_header(struct transfer *t, const uint8_t *data, size_t len, size_t *consumed)
{
    while (*consumed < len) {
        char c = (char)data[(*consumed)++];
        if (c == '\r') continue;
        if (c != '\n') {
            if (t->header_len == sizeof t->header - 1)
                return bad(t, "Bad protocol from MASTER: no header before the snapshot", "");
            t->header[t->header_len++] = c;
        } else if (t->header_len) {
            return header_complete(t);
        }
    }
    return TRANSFER_MORE;
}

/* --- the snapshot --- */

/* The reader slows down (key-load-delay) and stopped although it could have gone on: what it has not read of `data` is
 * not taken. Returns the bytes that are; `carried` bytes of an earlier call stood before them. */
static size_t give_back(struct transfer *t, size_t carried, size_t taken)
{
    if (taken >= carried) {
        inbox_clear(&t->carry);
        return taken - carried;
    }
    t->carry.len = carried;
    inbox_consume(&t->carry, taken);
    return 0;
}

/* *used: the bytes of data that belong to the snapshot and are read, or kept for the next call. */
static enum rdb_status parse(struct transfer *t, const uint8_t *data, size_t len, size_t *used)
{
    size_t taken, carried = t->carry.len;
    *used = len;
    if (carried) {
        inbox_append(&t->carry, data, len);
        if (t->carry.len < rdb_reader_wanted(t->reader)) return RDB_MORE;
        data = t->carry.data;
        len = t->carry.len;
    }
    enum rdb_status status = rdb_reader_feed(t->reader, data, len, 0, &taken);
    t->slowed = status == RDB_MORE && rdb_reader_wanted(t->reader) == 0 && taken < len;
    if (t->slowed) {
        *used = give_back(t, carried, taken);
        return status;
    }
    if (status == RDB_DONE) *used -= len - taken;
    if (carried)
        inbox_consume(&t->carry, status == RDB_DONE ? len : taken);
    else if (status == RDB_MORE)
        inbox_append(&t->carry, data + taken, len - taken);
    return status;
}

static enum transfer_status snapshot_parsed(struct transfer *t)
{
    if (t->by_mark) {
        enter(t, PHASE_MARK);
        return TRANSFER_MORE;
    }
    if (t->received != t->total) return bad(t, "Bad snapshot from MASTER: it ends before its announced length", "");
    enter(t, PHASE_RECEIVED);
    return TRANSFER_COMPLETE;
}

static enum transfer_status feed_snapshot(struct transfer *t, const uint8_t *data, size_t len, size_t *consumed)
{
    size_t n = len - *consumed, used;
    data += *consumed;
    if (!t->by_mark && n > t->total - t->received) n = (size_t)(t->total - t->received);
    enum rdb_status status = parse(t, data, n, &used);
    t->received += used;
    *consumed += used;
    if (status == RDB_BAD) return refused(t);
    if (t->file >= 0 && file_write_all(t->file, data, used) != 0)
        return bad(
            t, "Write error writing to the temp file needed for MASTER <-> REPLICA synchronization: ", strerror(errno));
    if (status == RDB_DONE) return snapshot_parsed(t);
    if (!t->by_mark && t->received == t->total) return bad(t, "Bad snapshot from MASTER: it is truncated", "");
    return TRANSFER_MORE;
}

static enum transfer_status feed_mark(struct transfer *t, const uint8_t *data, size_t len, size_t *consumed)
{
    while (*consumed < len && t->mark_len < WIRE_MARK_BYTES)
        if (data[(*consumed)++] != (uint8_t)t->mark[t->mark_len++])
            return bad(t, "Bad snapshot from MASTER: its end mark does not follow", "");
    if (t->mark_len < WIRE_MARK_BYTES) return TRANSFER_MORE;
    t->total = t->received;
    enter(t, PHASE_RECEIVED);
    return TRANSFER_COMPLETE;
}

enum transfer_status transfer_feed(struct transfer *t, const uint8_t *data, size_t len, size_t *consumed)
{
    enum transfer_status status = TRANSFER_MORE;
    *consumed = 0;
    t->slowed = false;
    while (status == TRANSFER_MORE && *consumed < len && !t->slowed) {
        if (t->phase == PHASE_HEADER)
            status = feed_header(t, data, len, consumed);
        else if (t->phase == PHASE_SNAPSHOT)
            status = feed_snapshot(t, data, len, consumed);
        else
            status = feed_mark(t, data, len, consumed);
    }
    return status;
}

/* --- loading the file --- */

static void begin_load(struct transfer *t)
{
    rdb_reader_free(t->reader);
    inbox_clear(&t->carry);
    t->from_file = true;
    t->options.verify_only = false;
    t->options.key_load_delay_us = t->key_load_delay_us;
    t->options.total_bytes = t->total;
    t->reader = rdb_reader_new(t->keyspace, &t->options);
}

enum transfer_status transfer_load(struct transfer *t)
{
    size_t used = 0;
    if (!t->from_file) begin_load(t);
    uint8_t *slice = mem_alloc(LOAD_SLICE_BYTES);
    ssize_t got = pread(t->file, slice, LOAD_SLICE_BYTES, (off_t)t->loaded);
    enum rdb_status status = RDB_BAD;
    if (got > 0) status = parse(t, slice, (size_t)got, &used);
    mem_free(slice);
    if (got < 0) return bad(t, "Reading the temp file of the snapshot: ", strerror(errno));
    if (got == 0) return bad(t, "The temp file of the snapshot has become shorter", "");
    t->loaded += used;
    if (status == RDB_BAD) return refused(t);
    return status == RDB_DONE ? TRANSFER_COMPLETE : TRANSFER_MORE;
}

/* --- what is known of it --- */

bool transfer_refused(const struct transfer *t)
{
    return t->refused;
}

bool transfer_slowed(const struct transfer *t)
{
    return t->slowed;
}

const char *transfer_error(const struct transfer *t)
{
    return t->error;
}

const struct rdb_read_result *transfer_result(const struct transfer *t)
{
    return rdb_reader_result(t->reader);
}

struct transfer_progress transfer_progress(const struct transfer *t)
{
    return (struct transfer_progress){
        .direct = t->direct,
        .begun = t->phase != PHASE_HEADER,
        .total_known = !t->by_mark,
        .total_bytes = t->total,
        .received_bytes = t->received,
        .loaded_bytes = t->direct ? t->received : t->loaded,
    };
}
