/* See events.h. */
#include "tests/differential/events.h"

#include "tests/differential/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_text(struct channel *c, const char *command, const char *argument)
{
    char request[256];
    int len = snprintf(request, sizeof request, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(command), command,
                       strlen(argument), argument);
    channel_send(c, request, len);
}

void events_listen(struct events *e, const struct server *s)
{
    const char *bytes;
    size_t len;
    if (e->heard && e->channel.fd >= 0) return;
    events_close(e);
    e->channel.fd = -1;
    channel_open(&e->channel, s);
    send_text(&e->channel, "PSUBSCRIBE", "__key*");
    channel_next(&e->channel, 10000, &bytes, &len);
    e->heard = strdup("");
}

void events_close(struct events *e)
{
    if (!e->heard) return;
    channel_close(&e->channel);
    free(e->heard);
    *e = (struct events){.channel.fd = -1};
}

static bool text_is(const struct reply *r, const char *text)
{
    return r->len == strlen(text) && memcmp(r->text, text, r->len) == 0;
}

static bool names_expiry(const struct reply *channel, const struct reply *message)
{
    static const char by_event[] = "__:expired";
    size_t len = sizeof by_event - 1;
    return text_is(message, "expired") ||
           (channel->len > len && memcmp(channel->text + channel->len - len, by_event, len) == 0);
}

static void print_event(FILE *out, const struct reply *channel, const struct reply *message)
{
    if (names_expiry(channel, message)) return;
    reply_print(out, channel);
    fputc(' ', out);
    reply_print(out, message);
    fputc('\n', out);
}

/* true: it was the answer to our PING, behind everything that had been told before. */
static bool take_message(FILE *out, const struct reply *r, const char *barrier)
{
    if (r->parts == 2) return text_is(&r->part[1], barrier);
    if (r->parts == 4) print_event(out, &r->part[2], &r->part[3]);
    return false;
}

char *events_take(struct events *e, int bound_ms)
{
    char barrier[32];
    const char *bytes;
    size_t heard_len, len;
    bool done = false;
    snprintf(barrier, sizeof barrier, "%d", ++e->barriers);
    send_text(&e->channel, "PING", barrier);
    free(e->heard);
    FILE *out = open_memstream(&e->heard, &heard_len);
    while (!done && channel_next(&e->channel, bound_ms, &bytes, &len) == CHANNEL_REPLY) {
        struct reply r = reply_read(bytes, len);
        done = take_message(out, &r, barrier);
        reply_free(&r);
    }
    fclose(out);
    if (!done) {
        free(e->heard);
        e->heard = strdup("(no answer in time)\n");
    }
    return e->heard;
}
