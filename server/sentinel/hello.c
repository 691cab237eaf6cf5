/* The messages of __sentinel__:hello, read and written. Any process; pure. */
#include "server/sentinel/hello.h"

#include "server/base/number.h"

#include <string.h>

enum { SENDER_HOST, SENDER_PORT, RUN_ID, CURRENT_EPOCH, MASTER_NAME, MASTER_HOST, MASTER_PORT, CONFIG_EPOCH, FIELDS };

bool sentinel_run_id_is_valid(struct bytes text)
{
    if (text.len != SENTINEL_RUN_ID) return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = byte_lower(text.ptr[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    return true;
}

bool sentinel_host_is_valid(struct bytes text)
{
    if (!text.len || text.len >= SENTINEL_HOST_MAX) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || strchr("\"',\\", text.ptr[i])) return false;
    return true;
}

int sentinel_port_parse(struct bytes text, int *port)
{
    int64_t value;
    if (parse_i64(text, &value) || value < 1 || value > 65535) return -1;
    *port = (int)value;
    return 0;
}

static int take(char *out, size_t room, struct bytes field)
{
    if (!field.len || field.len >= room || memchr(field.ptr, '\0', field.len)) return -1;
    memcpy(out, field.ptr, field.len);
    out[field.len] = '\0';
    return 0;
}

static int split(struct bytes text, struct bytes field[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        const uint8_t *comma = memchr(text.ptr, ',', text.len);
        if (!comma != (i == FIELDS - 1)) return -1;
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        field[i] = bytes_make(text.ptr, len);
        if (comma) text = bytes_make(comma + 1, text.len - len - 1);
    }
    return 0;
}

bool hello_is_of(struct bytes text, const char *run_id)
{
    for (int i = 0; i < RUN_ID; i++) {
        const uint8_t *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
        if (!comma) return false;
        text = bytes_make(comma + 1, text.len - (size_t)(comma + 1 - text.ptr));
    }
    return text.len > SENTINEL_RUN_ID && text.ptr[SENTINEL_RUN_ID] == ',' &&
           memcmp(text.ptr, run_id, SENTINEL_RUN_ID) == 0;
}

int hello_parse(struct bytes text, struct hello *out)
{
    struct bytes field[FIELDS];
    *out = (struct hello){0};
    if (!text.len || split(text, field) || !sentinel_run_id_is_valid(field[RUN_ID])) return -1;
    memcpy(out->run_id, field[RUN_ID].ptr, SENTINEL_RUN_ID);
    if (!sentinel_host_is_valid(field[SENDER_HOST]) || !sentinel_host_is_valid(field[MASTER_HOST])) return -1;
    if (take(out->sender.host, sizeof out->sender.host, field[SENDER_HOST]) ||
        take(out->master.host, sizeof out->master.host, field[MASTER_HOST]) ||
        take(out->master_name, sizeof out->master_name, field[MASTER_NAME]))
        return -1;
    if (sentinel_port_parse(field[SENDER_PORT], &out->sender.port) ||
        sentinel_port_parse(field[MASTER_PORT], &out->master.port))
        return -1;
    return parse_u64(field[CURRENT_EPOCH], &out->current_epoch) || parse_u64(field[CONFIG_EPOCH], &out->config_epoch)
               ? -1
               : 0;
}

/* HELLO_TEXT_MAX is room for all fields at their longest. Both return where the text goes on. */
static char *add(char *at, const char *field, char separator)
{
    size_t len = strlen(field);
    memcpy(at, field, len);
    at[len] = separator;
    return at + len + 1;
}

static char *add_number(char *at, uint64_t value, char separator)
{
    char number[I64_TEXT_MAX];
    format_u64(number, value);
    return add(at, number, separator);
}

size_t hello_format(const struct hello *h, char out[HELLO_TEXT_MAX])
{
    char *at = add(out, h->sender.host, ',');
    at = add_number(at, (uint64_t)h->sender.port, ',');
    at = add(at, h->run_id, ',');
    at = add_number(at, h->current_epoch, ',');
    at = add(at, h->master_name, ',');
    at = add(at, h->master.host, ',');
    at = add_number(at, (uint64_t)h->master.port, ',');
    at = add_number(at, h->config_epoch, '\0');
    return (size_t)(at - out) - 1;
}
