/* Values of directives by kind: from arguments into their place, and back into text. Server process.
 *
 * The place is a field of struct settings, of whatever width it has, or a slot the configuration keeps itself. */
#include "server/core/config/config_parts.h"

#include "server/base/alloc.h"
#include "server/base/number.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

void *directive_place(const struct config *c, const struct directive *d)
{
    return d->width ? (char *)c->settings + d->offset : (void *)&c->kept[directive_row(c, d)];
}

static bool refuse(char message[CONFIG_MESSAGE_MAX], const char *text)
{
    snprintf(message, CONFIG_MESSAGE_MAX, "%s", text);
    return false;
}

static void store_number(const struct config *c, const struct directive *d, uint64_t value)
{
    void *place = directive_place(c, d);
    if (d->width == sizeof(uint32_t))
        *(uint32_t *)place = (uint32_t)value;
    else
        *(uint64_t *)place = value;
}

/* Widened with the sign of its row: a row that goes below zero, or does not reach past INT_MAX, is signed. */
static int64_t load_number(const struct config *c, const struct directive *d)
{
    const void *place = directive_place(c, d);
    if (d->width != sizeof(uint32_t)) return *(const int64_t *)place;
    return d->most > INT_MAX ? (int64_t) * (const uint32_t *)place : *(const int32_t *)place;
}

static bool parse_bool(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    bool yes = bytes_equal_nocase(value, "yes");
    if (!yes && !bytes_equal_nocase(value, "no")) return refuse(message, "argument must be 'yes' or 'no'");
    *(bool *)directive_place(c, d) = yes;
    return true;
}

static bool parse_integer(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    int64_t number;
    if (parse_i64(value, &number)) return refuse(message, "argument couldn't be parsed into an integer");
    if (number < d->least || (number > 0 && (uint64_t)number > d->most)) {
        snprintf(message, CONFIG_MESSAGE_MAX, "argument must be between %lld and %llu inclusive", (long long)d->least,
                 (unsigned long long)d->most);
        return false;
    }
    store_number(c, d, (uint64_t)number);
    return true;
}

static bool parse_size(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    uint64_t bytes;
    if (parse_memory(value, &bytes)) return refuse(message, "argument must be a memory value");
    if (bytes < (uint64_t)d->least || bytes > d->most) {
        snprintf(message, CONFIG_MESSAGE_MAX, "argument must be between %lld and %llu inclusive", (long long)d->least,
                 (unsigned long long)d->most);
        return false;
    }
    store_number(c, d, bytes);
    return true;
}

static bool parse_octal(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    uint64_t number = 0;
    bool good = value.len > 0;
    for (size_t i = 0; i < value.len && good; i++) {
        good = value.ptr[i] >= '0' && value.ptr[i] <= '7' && number < (1u << 24);
        number = number * 8 + (value.ptr[i] - (unsigned)'0');
    }
    if (!good) return refuse(message, "argument couldn't be parsed as an octal number");
    if (number > d->most) {
        snprintf(message, CONFIG_MESSAGE_MAX, "argument must be between %llo and %llo inclusive",
                 (unsigned long long)d->least, (unsigned long long)d->most);
        return false;
    }
    store_number(c, d, number);
    return true;
}

int config_enum_value(const struct enum_name *names, struct bytes name, int otherwise)
{
    for (; names->name; names++) {
        if (bytes_equal_nocase(name, names->name)) return names->value;
    }
    return otherwise;
}

void config_enum_refusal(const struct enum_name *names, char message[CONFIG_MESSAGE_MAX])
{
    size_t len = (size_t)snprintf(message, CONFIG_MESSAGE_MAX, "argument(s) must be one of the following: ");
    for (const struct enum_name *n = names; n->name && len < CONFIG_MESSAGE_MAX; n++)
        len += (size_t)snprintf(message + len, CONFIG_MESSAGE_MAX - len, "%s%s", n == names ? "" : ", ", n->name);
}

static bool parse_enum(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    int choice = config_enum_value(d->names, value, -1);
    if (choice < 0) {
        config_enum_refusal(d->names, message);
        return false;
    }
    *(int *)directive_place(c, d) = choice;
    return true;
}

void directive_replace_text(char **place, struct bytes value, bool empty_is_null)
{
    char *old = *place;
    *place = empty_is_null && !value.len ? NULL : bytes_to_text(value);
    mem_free(old); /* last: value may be a slice of it */
}

static bool parse_string(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    if (d->refusal) {
        char *text = bytes_to_text(value);
        const char *why = d->refusal(text);
        mem_free(text);
        if (why) return refuse(message, why);
    }
    directive_replace_text(directive_place(c, d), value, d->flags & DIR_EMPTY_IS_NULL);
    return true;
}

/* Any bytes, zeros included. The old secret does not stay behind in freed memory. */
static void parse_secret(struct bytes *place, struct bytes value)
{
    if (place->ptr) explicit_bzero((void *)place->ptr, place->len);
    mem_free((void *)place->ptr);
    *place = (struct bytes){0};
    if (value.len) *place = bytes_make(memcpy(mem_alloc(value.len), value.ptr, value.len), value.len);
}

static bool parse_words(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                        char *message)
{
    if (argc != 1) return d->grammar->parse(c, d, argc, argv, message);
    struct bytes *words = mem_alloc((argv[0].len / 2 + 1) * sizeof *words);
    uint32_t count = 0;
    for (struct bytes rest = argv[0]; rest.len;) {
        struct bytes word = bytes_take_word(&rest);
        if (word.len) words[count++] = word;
    }
    if (!count) words[count++] = argv[0];
    bool good = d->grammar->parse(c, d, count, words, message);
    mem_free(words);
    return good;
}

static bool parse_one(struct config *c, const struct directive *d, struct bytes value, char *message)
{
    switch (d->kind) {
    case KIND_BOOL: return parse_bool(c, d, value, message);
    case KIND_INTEGER: return parse_integer(c, d, value, message);
    case KIND_MEMORY: return parse_size(c, d, value, message);
    case KIND_OCTAL: return parse_octal(c, d, value, message);
    case KIND_ENUM: return parse_enum(c, d, value, message);
    case KIND_STRING: return parse_string(c, d, value, message);
    case KIND_SECRET: parse_secret(directive_place(c, d), value); return true;
    case KIND_SPECIAL: break;
    }
    return d->grammar->parse(c, d, 1, &value, message);
}

bool directive_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                     char message[CONFIG_MESSAGE_MAX])
{
    bool words = d->flags & DIR_WORDS;
    if (!words && argc != 1) return refuse(message, "wrong number of arguments");
    if (!(words ? parse_words(c, d, argc, argv, message) : parse_one(c, d, argv[0], message))) return false;
    if (d->settle) d->settle(c->settings);
    return true;
}

static const char *enum_text(const struct directive *d, int value)
{
    const struct enum_name *n = d->names;
    while (n->name && n->value != value) n++;
    return n->name ? n->name : "unknown";
}

void directive_format(const struct config *c, const struct directive *d, struct config_text *out)
{
    const void *place = directive_place(c, d);
    switch (d->kind) {
    case KIND_BOOL: config_text_printf(out, "%s", *(const bool *)place ? "yes" : "no"); return;
    case KIND_INTEGER: config_text_printf(out, "%lld", (long long)load_number(c, d)); return;
    case KIND_MEMORY: config_text_printf(out, "%llu", (unsigned long long)load_number(c, d)); return;
    case KIND_OCTAL: config_text_printf(out, "%llo", (unsigned long long)load_number(c, d)); return;
    case KIND_ENUM: config_text_printf(out, "%s", enum_text(d, *(const int *)place)); return;
    case KIND_STRING:
        if (*(char *const *)place) config_text_add(out, bytes_from_text(*(char *const *)place));
        return;
    case KIND_SECRET: config_text_add(out, *(const struct bytes *)place); return;
    case KIND_SPECIAL: d->grammar->format(c, d, out); return;
    }
}

bool directive_is_initial(const struct config *c, const struct directive *d)
{
    if (!d->initial) return false;
    struct config_text now = {0};
    directive_format(c, d, &now);
    bool same = bytes_equal_text(config_text_bytes(&now), d->initial);
    config_text_free(&now);
    return same;
}
