/* The replica's connection to its master: name, socket, handshake, and the wire behind it. Server process.
 *
 * The wire is decided by its first byte after the answer to PSYNC: an LZ4 frame, if we had offered that, or the plain
 * protocol. While a snapshot is loaded from its file nothing is read: the descriptor leaves the loop and comes back;
 * with TLS the connection pauses. */
#include "repl/replica_side.h"

#include "repl/wire.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/base/workers.h"
#include "server/net/conn.h"
#include "server/resp/writer.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES_MAX (64 * 1024)
#define UNPACK_BYTES   (64 * 1024)
#define WORDS_MOST     9 /* of a request of the handshake */

/* --- the name --- */

struct resolve_job {
    struct worker_job job;
    struct replica_side *side; /* NULL: nobody waits for the answer */
    char host[256];
    int port;
    int error; /* getaddrinfo's */
    int count;
    struct address addresses[MASTER_ADDRESSES_MAX];
};

static void resolve_run(struct worker_job *job)
{
    struct resolve_job *j = (struct resolve_job *)job;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
                    *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", j->port);
    j->error = getaddrinfo(j->host, port, &hints, &found);
    if (j->error) return;
    for (const struct addrinfo *a = found; a && j->count < MASTER_ADDRESSES_MAX; a = a->ai_next) {
        struct address *address = &j->addresses[j->count++];
        memcpy(&address->storage, a->ai_addr, a->ai_addrlen);
        address->len = a->ai_addrlen;
    }
    freeaddrinfo(found);
}

static void resolve_done(struct worker_job *job)
{
    struct resolve_job *j = (struct resolve_job *)job;
    struct replica_side *s = j->side;
    if (s) {
        s->resolving = NULL;
        s->address_count = j->count;
        memcpy(s->addresses, j->addresses, sizeof s->addresses);
        if (j->error || !j->count)
            replica_failed(s, "Unable to resolve MASTER's name %s: %s", j->host, gai_strerror(j->error));
        else
            replica_step(s, &(struct replica_event){.kind = EVENT_RESOLVED});
    }
    mem_free(j);
}

void replica_resolve(struct replica_side *s)
{
    const struct repl_settings *settings = s->r->settings;
    s->machine_settings = (struct replica_machine_settings){
        .timeout_ms = (int64_t)settings->timeout_s * 1000,
        .auth = settings->master_auth.len > 0,
        .announce_ip = settings->announce_ip != NULL,
    };
    log_write(replica_log_level(s), "Connecting to MASTER %s:%d", s->host, s->port);
    if (address_parse(&s->addresses[0], s->host, s->port) == 0) {
        s->address_count = 1;
        replica_step(s, &(struct replica_event){.kind = EVENT_RESOLVED});
        return;
    }
    struct resolve_job *j = mem_calloc(1, sizeof *j);
    j->job.run = resolve_run;
    j->job.done = resolve_done;
    j->side = s;
    j->port = s->port;
    snprintf(j->host, sizeof j->host, "%s", s->host);
    s->resolving = j;
    workers_submit(WORKER_RESOLVE, &j->job);
}

/* --- what arrives --- */

static void unpack(struct replica_side *s, struct bytes input)
{
    unsigned life = s->life;
    uint8_t *plain = mem_alloc(UNPACK_BYTES);
    ptrdiff_t got;
    do {
        got = lz4_decoder_unpack(s->decoder, &input, plain, UNPACK_BYTES);
        if (got > 0) s->hooks.deliver(s, plain, (size_t)got);
    } while (s->life == life && got >= 0 && (input.len || got == UNPACK_BYTES));
    if (got < 0 && s->life == life) replica_failed(s, "Bad LZ4 data from MASTER: %s", lz4_decoder_error(s->decoder));
    mem_free(plain);
}

/* The first byte decides, once a connection. */
static void decide_wire(struct replica_side *s, bool packed)
{
    CHECK(s->wire == WIRE_UNDECIDED);
    s->wire = packed ? WIRE_PACKED : WIRE_PLAIN;
    if (packed) s->decoder = lz4_decoder_new();
}

/* Everything behind the answer to PSYNC. */
static void wire_in(struct replica_side *s, const uint8_t *data, size_t len)
{
    while (s->wire == WIRE_UNDECIDED && len) {
        if (*data == '\n') { /* alive */
            data++;
            len--;
        } else {
            decide_wire(s, *data == WIRE_LZ4_FIRST_BYTE);
        }
    }
    if (!len) return;
    if (s->wire == WIRE_PACKED)
        unpack(s, bytes_make(data, len));
    else
        s->hooks.deliver(s, data, len);
}

/* What follows the last line of the handshake is for the wire. */
static void handshake_in(struct replica_side *s, const uint8_t *data, size_t len)
{
    unsigned life = s->life;
    size_t read = 0;
    struct inbox lines = s->input;
    s->input = (struct inbox){0};
    inbox_append(&lines, data, len);
    while (s->life == life && s->machine.state == REPLICA_HANDSHAKE) {
        const uint8_t *start = lines.data + read, *end = memchr(start, '\n', lines.len - read);
        if (!end) break;
        read += (size_t)(end - start) + 1;
        if (end > start && end[-1] == '\r') end--;
        struct bytes line = bytes_make(start, (size_t)(end - start));
        replica_step(s, &(struct replica_event){.kind = EVENT_LINE, .line = line});
    }
    if (s->life == life && s->machine.state == REPLICA_HANDSHAKE) {
        inbox_append(&s->input, lines.data + read, lines.len - read);
        if (s->input.len > LINE_BYTES_MAX)
            replica_failed(s, "Bad protocol from MASTER: no end of line in the handshake");
    } else if (s->life == life) {
        wire_in(s, lines.data + read, lines.len - read);
    }
    inbox_clear(&lines);
}

static void on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    struct replica_side *s = conn_owner(conn);
    *s->r->stats.net_input_bytes += len;
    s->last_io_ms = replication_now_ms(s->r);
    replica_step(s, &(struct replica_event){.kind = EVENT_HEARD});
    if (s->machine.state == REPLICA_HANDSHAKE)
        handshake_in(s, data, len);
    else
        wire_in(s, data, len);
}

/* --- the connection --- */

/* A master whose child could not write our snapshot ends the connection where it would have begun, without a word. */
static bool ended_before_snapshot(const struct replica_side *s)
{
    return s->transfer && !transfer_progress(s->transfer).begun;
}

/* why: NULL: the master has closed it. */
static void lost(struct replica_side *s, const char *why)
{
    const char *text = why ? why : "closed by the master";
    switch (s->machine.state) {
    case REPLICA_CONNECTED: replica_failed(s, "Connection with master lost."); break;
    case REPLICA_TRANSFER:
        if (!why && ended_before_snapshot(s))
            replica_failed(s, "I/O error trying to sync with MASTER: it closed the connection before its snapshot "
                              "began: it may hold what has no form for a replica of version " WIRE_OUR_VERSION
                              ", as we announce ourselves; its log says why");
        else
            replica_failed(s, "I/O error trying to sync with MASTER: connection lost (%s)", text);
        break;
    default: replica_failed(s, "Connection with MASTER lost during the handshake: %s", text);
    }
}

static void on_closed(struct conn *conn, int error)
{
    struct replica_side *s = conn_owner(conn);
    const char *tls = conn_tls_error(conn);
    s->conn = NULL;
    lost(s, tls ? tls : error ? strerror(error) : NULL);
}

static void on_connected(struct conn *conn, int error)
{
    struct replica_side *s = conn_owner(conn);
    if (error) {
        const char *tls = conn_tls_error(conn);
        s->conn = NULL;
        replica_failed(s, "Error condition on socket for SYNC: %s", tls ? tls : strerror(error));
        return;
    }
    log_write(replica_log_level(s), "Non blocking connect for SYNC fired the event.");
    conn_set_nodelay(conn, true);
    conn_set_keepalive(conn, s->r->settings->timeout_s);
    replica_step(s, &(struct replica_event){.kind = EVENT_CONNECTED});
}

static const struct conn_events master_events = {.data = on_data, .closed = on_closed, .connected = on_connected};

/* As Redis does it: a source that cannot be bound (gone, or of another family) does not stop replication. */
static struct conn *connect_from_source(struct replica_side *s, const struct address *to)
{
    const char *ip = s->r->settings->source_ip;
    struct address source;
    if (ip && address_parse(&source, ip, 0) == 0) {
        struct conn *conn = conn_connect(s->r->loop, to, &source, &master_events, s);
        if (conn) return conn;
        log_write(replica_log_level(s), "Cannot connect to MASTER from %s (%s), connecting from any address", ip,
                  strerror(errno));
    }
    return conn_connect(s->r->loop, to, NULL, &master_events, s);
}

void replica_connect(struct replica_side *s)
{
    const struct address *to = &s->addresses[s->address_turn++ % (unsigned)s->address_count];
    log_write(replica_log_level(s), "MASTER <-> REPLICA sync started");
    s->wire = s->r->settings->lz4 ? WIRE_UNDECIDED : WIRE_PLAIN;
    s->conn = connect_from_source(s, to);
    if (!s->conn)
        replica_failed(s, "Unable to connect to MASTER: %s", strerror(errno));
    else
        s->r->host.secure(s->r->host.context, s->conn);
}

void replica_disconnect(struct replica_side *s)
{
    if (s->resolving) s->resolving->side = NULL;
    if (s->conn) conn_close(s->conn);
    if (s->held_fd >= 0) close(s->held_fd);
    lz4_decoder_free(s->decoder);
    s->resolving = NULL;
    s->conn = NULL;
    s->held_fd = -1;
    s->paused = NULL;
    s->decoder = NULL;
}

/* --- what is sent --- */

void replica_send(struct replica_side *s, uint32_t argc, const struct bytes *argv)
{
    if (!s->conn) return;
    resp_write_request(conn_output(s->conn), argc, argv);
    conn_flush(s->conn);
}

static void send_words(struct replica_side *s, uint32_t count, const char *const *words)
{
    struct bytes argv[WORDS_MOST];
    CHECK(count <= WORDS_MOST);
    for (uint32_t i = 0; i < count; i++) argv[i] = bytes_from_text(words[i]);
    replica_send(s, count, argv);
}

static void send_auth(struct replica_side *s, const struct repl_settings *settings)
{
    struct bytes argv[3] = {BYTES(WIRE_AUTH)};
    uint32_t argc = 1;
    if (settings->master_user) argv[argc++] = bytes_from_text(settings->master_user);
    argv[argc++] = settings->master_auth;
    replica_send(s, argc, argv);
}

/* AUTH is first, so that the rest is judged by what it grants; all leave in one piece. */
void replica_greet(struct replica_side *s)
{
    const struct repl_settings *settings = s->r->settings;
    char port[16];
    snprintf(port, sizeof port, "%d",
             settings->announce_port ? settings->announce_port : s->r->host.announced_port(s->r->host.context));
    if (s->machine_settings.auth) send_auth(s, settings);
    send_words(s, 1, (const char *[]){WIRE_PING});
    send_words(s, 3, (const char *[]){WIRE_REPLCONF, WIRE_LISTENING_PORT, port});
    if (s->machine_settings.announce_ip)
        send_words(s, 3, (const char *[]){WIRE_REPLCONF, WIRE_IP_ADDRESS, settings->announce_ip});
    const char *capa[] = {WIRE_REPLCONF, WIRE_CAPA,       WIRE_CAPA_EOF, WIRE_CAPA,    WIRE_CAPA_PSYNC2,
                          WIRE_CAPA,     WIRE_CAPA_REACH, WIRE_CAPA,     WIRE_CAPA_LZ4};
    send_words(s, s->wire == WIRE_UNDECIDED ? 9 : 7, capa);
    send_words(s, 3, (const char *[]){WIRE_REPLCONF, WIRE_VERSION, WIRE_OUR_VERSION});
}

void replica_send_psync(struct replica_side *s)
{
    const struct history *h = repl_stream_history(s->r->stream);
    char offset[I64_TEXT_MAX];
    const char *request[] = {WIRE_PSYNC, WIRE_NO_HISTORY, WIRE_NO_OFFSET, WIRE_FAILOVER};
    if (s->ask_anew) {
        log_write(replica_log_level(s), "Asking for a full resynchronization: the stream was refused");
    } else if (s->can_continue) {
        format_u64(offset, h->offset + 1);
        request[1] = h->id;
        request[2] = offset;
        log_write(replica_log_level(s), "Trying a partial resynchronization (request %s:%s).", h->id, offset);
    } else {
        log_write(replica_log_level(s), "Partial resynchronization not possible (no cached master)");
    }
    send_words(s, s->machine.failover ? 4 : 3, request);
}

void replica_send_sync(struct replica_side *s)
{
    send_words(s, 1, (const char *[]){WIRE_SYNC});
}

void replica_keep_alive(struct replica_side *s)
{
    if (s->held_fd >= 0) {
        (void)!send(s->held_fd, WIRE_ALIVE, 1,
                    MSG_DONTWAIT | MSG_NOSIGNAL); /* its loss is noticed when reading goes on */
    } else if (s->conn) {
        outq_append(conn_output(s->conn), WIRE_ALIVE, 1);
        conn_flush(s->conn);
    }
}

/* --- not reading for a while --- */

/* Once, unless the connection was let go. */
static void call_paused(struct replica_side *s)
{
    void (*paused)(struct replica_side * s) = s->paused;
    s->paused = NULL;
    if (paused) paused(s);
}

static void detached(void *arg, int fd, const uint8_t *rest, size_t len)
{
    struct replica_side *s = arg;
    s->conn = NULL;
    s->held_fd = fd;
    wire_in(s, rest, len);
    call_paused(s);
}

static void secure_paused(void *arg)
{
    struct replica_side *s = arg;
    call_paused(s);
}

void replica_pause_reading(struct replica_side *s, void (*paused)(struct replica_side *s))
{
    s->paused = paused;
    if (s->input_gate == INPUT_STOPPED)
        call_paused(s);
    else if (conn_is_secure(s->conn))
        conn_pause(s->conn, secure_paused, s);
    else
        conn_detach(s->conn, detached, s);
}

bool replica_resume_reading(struct replica_side *s)
{
    s->input_gate = INPUT_OPEN;
    if (s->conn) {
        if (conn_is_secure(s->conn)) conn_resume(s->conn);
        return true;
    }
    if (s->held_fd < 0) return false;
    s->conn = conn_open(s->r->loop, s->held_fd, &master_events, s);
    s->held_fd = -1;
    return true;
}
