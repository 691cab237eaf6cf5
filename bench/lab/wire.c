/* Reading the beginning of a replication link from outside. See wire.h. */
#include "bench/lab/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *granted_name(enum granted granted)
{
    static const char *const names[] = {"nothing", "partial", "full", "refused"};
    return names[granted];
}

bool handshake_is_over(const struct handshake *h)
{
    return h->granted == GRANTED_PARTIAL || h->granted == GRANTED_FULL;
}

static void keep(char *head, size_t *have, const uint8_t *bytes, size_t len)
{
    size_t room = WIRE_HEAD_BYTES - 1 - *have;
    if (len > room) len = room;
    for (size_t i = 0; i < len; i++) head[*have + i] = bytes[i] ? (char)bytes[i] : '.';
    *have += len;
    head[*have] = '\0';
}

/* The line behind this one; NULL: it is not whole yet. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : NULL;
}

/* The word of a RESP array's string, behind its length, or the next word of a plain line. */
static const char *next_word(const char *at, bool array, char *out, size_t size)
{
    if (array) {
        if (*at != '$' || !(at = next_line(at))) return NULL;
        if (!next_line(at)) return NULL;
    }
    size_t len = strcspn(at, array ? "\r\n" : " \r\n");
    snprintf(out, size, "%.*s", (int)len, at);
    at += len;
    return array ? next_line(at) : at + strspn(at, " ");
}

static void read_psync(struct handshake *h, const char *at, bool array)
{
    char offset[32];
    at = next_word(at, array, h->id, sizeof h->id);
    if (!at || !next_word(at, array, offset, sizeof offset)) return;
    h->offset = atoll(offset);
    h->asked = true;
}

/* Requests stand at the beginning of a line, as an array's first string or plainly. */
static void look_for_request(struct handshake *h)
{
    for (const char *line = h->head_to_target; line && *line && !h->asked; line = next_line(line)) {
        bool array = line > h->head_to_target + 4 && line[-1] == '\n';
        const char *behind = next_line(line);
        if (strncasecmp(line, "PSYNC\r", 6) == 0 && array && behind) read_psync(h, behind, true);
        if (strncasecmp(line, "PSYNC ", 6) == 0) read_psync(h, line + 6, false);
        if (strncasecmp(line, "SYNC\r", 5) == 0) {
            h->offset = -1;
            h->asked = true;
        }
    }
}

/* An error may still be about a REPLCONF that the master does not know: what is granted behind it counts. */
static void look_for_answer(struct handshake *h)
{
    for (const char *line = h->head_to_caller + h->answered_bytes; *line && !handshake_is_over(h);) {
        const char *behind = next_line(line);
        if (!behind) return;
        enum granted granted = GRANTED_NOTHING;
        if (strncmp(line, "+CONTINUE", 9) == 0) granted = GRANTED_PARTIAL;
        if (strncmp(line, "+FULLRESYNC", 11) == 0 || line[0] == '$') granted = GRANTED_FULL;
        if (line[0] == '-') granted = GRANTED_REFUSAL;
        if (granted) {
            h->granted = granted;
            snprintf(h->answer, sizeof h->answer, "%.*s", (int)strcspn(line, "\r\n"), line);
        }
        line = behind;
        h->answered_bytes = (size_t)(line - h->head_to_caller);
    }
}

void handshake_feed(struct handshake *h, bool to_caller, const uint8_t *bytes, size_t len)
{
    if (handshake_is_over(h)) return;
    if (!to_caller) {
        keep(h->head_to_target, &h->to_target_bytes, bytes, len);
        if (h->asked) return;
        look_for_request(h);
        if (h->asked) h->answered_bytes = h->to_caller_bytes;
        return;
    }
    keep(h->head_to_caller, &h->to_caller_bytes, bytes, len);
    if (h->asked) look_for_answer(h);
}
