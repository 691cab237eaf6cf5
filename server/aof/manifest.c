/* The list of an append-only file's files: read, written and changed. Server process and redis-check-aof. */
#include "server/aof/manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/resp/reader.h"

struct file_list {
    struct aof_file *file;
    size_t count, capacity;
};

struct aof_manifest {
    struct file_list base; /* of one file at most */
    struct file_list history;
    struct file_list incrementals;
};

/* --- lists --- */

static void list_insert(struct file_list *l, size_t at, struct aof_file file)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 4;
        l->file = mem_realloc(l->file, l->capacity * sizeof *l->file);
    }
    memmove(l->file + at + 1, l->file + at, (l->count - at) * sizeof *l->file);
    l->file[at] = file;
    l->count++;
}

static void list_append(struct file_list *l, struct aof_file file)
{
    list_insert(l, l->count, file);
}

static struct aof_file list_take(struct file_list *l, size_t at)
{
    struct aof_file file = l->file[at];
    l->count--;
    memmove(l->file + at, l->file + at + 1, (l->count - at) * sizeof *l->file);
    return file;
}

static void list_clear(struct file_list *l)
{
    for (size_t i = 0; i < l->count; i++) mem_free(l->file[i].name);
    mem_free(l->file);
    *l = (struct file_list){0};
}

static void list_copy(struct file_list *to, const struct file_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        list_append(to, (struct aof_file){mem_strdup(from->file[i].name), from->file[i].seq});
}

static struct aof_files list_view(const struct file_list *l)
{
    return (struct aof_files){l->file, l->count};
}

static bool list_has_name(const struct file_list *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->file[i].name, name) == 0) return true;
    return false;
}

/* --- the manifest --- */

struct aof_manifest *aof_manifest_new(void)
{
    return mem_calloc(1, sizeof(struct aof_manifest));
}

struct aof_manifest *aof_manifest_copy(const struct aof_manifest *m)
{
    struct aof_manifest *copy = aof_manifest_new();
    list_copy(&copy->base, &m->base);
    list_copy(&copy->history, &m->history);
    list_copy(&copy->incrementals, &m->incrementals);
    return copy;
}

void aof_manifest_free(struct aof_manifest *m)
{
    if (!m) return;
    list_clear(&m->base);
    list_clear(&m->history);
    list_clear(&m->incrementals);
    mem_free(m);
}

const struct aof_file *aof_manifest_base(const struct aof_manifest *m)
{
    return m->base.count ? m->base.file : NULL;
}

struct aof_files aof_manifest_history(const struct aof_manifest *m)
{
    return list_view(&m->history);
}

struct aof_files aof_manifest_incrementals(const struct aof_manifest *m)
{
    return list_view(&m->incrementals);
}

/* --- changes --- */

/* The number after the list's last one. Passed over are numbers whose name is taken: what history still has to lose
 * must not be what is written now. */
static struct aof_file next_file(const struct aof_manifest *m, const struct file_list *l, const char *prefix,
                                 const char *suffix)
{
    int64_t seq = l->count ? l->file[l->count - 1].seq : 0;
    size_t room = strlen(prefix) + strlen(suffix) + sizeof ".-9223372036854775808";
    char *name = mem_alloc(room);
    if (seq < 0) seq = 0;
    do snprintf(name, room, "%s.%lld%s", prefix, (long long)++seq, suffix);
    while (list_has_name(&m->base, name) || list_has_name(&m->history, name) || list_has_name(&m->incrementals, name));
    return (struct aof_file){name, seq};
}

void aof_manifest_adopt(struct aof_manifest *m, const char *name)
{
    CHECK(m->base.count == 0 && m->history.count == 0 && m->incrementals.count == 0);
    list_append(&m->base, (struct aof_file){mem_strdup(name), 1});
}

const struct aof_file *aof_manifest_add_incremental(struct aof_manifest *m, const char *prefix)
{
    list_append(&m->incrementals, next_file(m, &m->incrementals, prefix, ".incr.aof"));
    return &m->incrementals.file[m->incrementals.count - 1];
}

/* In history the newest stands in front: a base is older than its incrementals, and behind them. */
const struct aof_file *aof_manifest_replace_base(struct aof_manifest *m, const char *prefix,
                                                 enum aof_base_format format, size_t kept)
{
    CHECK(kept <= m->incrementals.count);
    struct aof_file base = next_file(m, &m->base, prefix, format == AOF_BASE_RDB ? ".base.rdb" : ".base.aof");
    if (m->base.count) list_insert(&m->history, 0, list_take(&m->base, 0));
    for (size_t i = m->incrementals.count - kept; i > 0; i--)
        list_insert(&m->history, 0, list_take(&m->incrementals, i - 1));
    list_append(&m->base, base);
    return m->base.file;
}

void aof_manifest_forget_history(struct aof_manifest *m)
{
    list_clear(&m->history);
}

/* --- to a text --- */

static const char named_escapes[] = "\n\r\t\a\b", escape_letters[] = "nrtab";

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && !strchr("\"'\\", c);
}

static char *put_escaped(char *at, uint8_t c)
{
    const char *named = c ? strchr(named_escapes, c) : NULL;
    if (c == '"' || c == '\\') return at + sprintf(at, "\\%c", c);
    if (named) return at + sprintf(at, "\\%c", escape_letters[named - named_escapes]);
    if (c < ' ' || c >= 0x7f) return at + sprintf(at, "\\x%02x", c);
    *at = (char)c;
    return at + 1;
}

static char *put_name(char *at, const char *name)
{
    bool plain = true;
    for (const char *c = name; *c; c++) plain &= is_plain((uint8_t)*c);
    if (plain) return stpcpy(at, name);
    *at++ = '"';
    for (const char *c = name; *c; c++) at = put_escaped(at, (uint8_t)*c);
    *at++ = '"';
    return at;
}

static char *put_list(char *at, const struct file_list *l, char type)
{
    for (size_t i = 0; i < l->count; i++) {
        at = put_name(stpcpy(at, "file "), l->file[i].name);
        at += sprintf(at, " seq %lld type %c\n", (long long)l->file[i].seq, type);
    }
    return at;
}

/* An upper bound: every byte of a name may become four. */
static size_t text_room(const struct file_list *l)
{
    size_t room = 0;
    for (size_t i = 0; i < l->count; i++)
        room += 4 * strlen(l->file[i].name) + sizeof "file \"\" seq -9223372036854775808 type b\n";
    return room;
}

struct bytes aof_manifest_format(const struct aof_manifest *m)
{
    char *text = mem_alloc(text_room(&m->base) + text_room(&m->history) + text_room(&m->incrementals) + 1);
    char *at = put_list(text, &m->base, 'b');
    at = put_list(at, &m->history, 'h');
    at = put_list(at, &m->incrementals, 'i');
    return bytes_make(text, (size_t)(at - text));
}

/* --- from a text --- */

#define BAD_FORMAT "Invalid AOF manifest file format"

/* What a line says so far. */
struct entry {
    struct bytes name; /* into the request reader's words */
    int64_t seq;       /* 0: not said */
    char type;         /* 0: not said */
};

/* As far as there are digits. */
static int64_t read_seq(struct bytes word)
{
    char *text = bytes_to_text(word);
    int64_t seq = strtoll(text, NULL, 10);
    mem_free(text);
    return seq;
}

/* NULL, or what is wrong; so do the others. */
static const char *read_pair(struct entry *e, struct bytes key, struct bytes value)
{
    if (bytes_equal_nocase(key, "file")) {
        if (memchr(value.ptr, '/', value.len) || memchr(value.ptr, '\\', value.len))
            return "File can't be a path, just a filename";
        e->name = value;
    } else if (bytes_equal_nocase(key, "seq")) {
        e->seq = read_seq(value);
    } else if (bytes_equal_nocase(key, "type")) {
        e->type = value.len ? (char)value.ptr[0] : 0;
    }
    return NULL;
}

/* A number beyond the greatest is damage; to count on from one below it never overflows. */
static const char *add_entry(struct aof_manifest *m, const struct entry *e)
{
    bool has_name = e->name.len > 0 && !memchr(e->name.ptr, 0, e->name.len);
    if (!has_name || e->seq == 0 || e->seq > AOF_SEQ_MAX || !e->type) return BAD_FORMAT;
    struct file_list *l = e->type == 'b' ? &m->base : e->type == 'h' ? &m->history : &m->incrementals;
    switch (e->type) {
    case 'b':
        if (l->count > 0) return "Found duplicate base file information";
        break;
    case 'h': break;
    case 'i':
        if (e->seq <= (l->count ? l->file[l->count - 1].seq : 0)) return "Found a non-monotonic sequence number";
        break;
    default: return "Unknown AOF file type";
    }
    list_append(l, (struct aof_file){bytes_to_text(e->name), e->seq});
    return NULL;
}

/* The words are those of an inline request; a '*' in front would begin another kind of request. */
static const char *read_line(struct aof_manifest *m, struct resp_request *words, struct bytes line)
{
    static const struct resp_limits limits = {.max_inline_bytes = AOF_MANIFEST_LINE_MAX_BYTES};
    size_t consumed;
    if (line.ptr[0] == '*' || resp_request_read(words, line.ptr, line.len, &limits, &consumed) != RESP_COMPLETE)
        return BAD_FORMAT;
    if (words->argc < 6 || words->argc % 2 != 0) return BAD_FORMAT;
    struct entry e = {0};
    const char *wrong = NULL;
    for (uint32_t i = 0; i < words->argc && !wrong; i += 2) wrong = read_pair(&e, words->argv[i], words->argv[i + 1]);
    return wrong ? wrong : add_entry(m, &e);
}

static void show_line(struct aof_manifest_fault *fault, unsigned number, struct bytes line)
{
    while (line.len && isspace(line.ptr[0])) line = bytes_make(line.ptr + 1, line.len - 1);
    while (line.len && isspace(line.ptr[line.len - 1])) line.len--;
    memcpy(fault->text, line.ptr, line.len);
    fault->text[line.len] = 0;
    fault->line = number;
}

/* Cuts the next line off *text, or what would fit of it. False: it is not whole. */
static bool next_line(struct bytes *text, struct bytes *line)
{
    size_t most = text->len < AOF_MANIFEST_LINE_MAX_BYTES ? text->len : AOF_MANIFEST_LINE_MAX_BYTES;
    const uint8_t *end = memchr(text->ptr, '\n', most);
    *line = bytes_make(text->ptr, end ? (size_t)(end - text->ptr) + 1 : most);
    *text = bytes_make(text->ptr + line->len, text->len - line->len);
    return end && !memchr(line->ptr, 0, line->len);
}

static bool read_lines(struct aof_manifest *m, struct bytes text, struct aof_manifest_fault *fault)
{
    struct resp_request words;
    struct bytes line;
    resp_request_init(&words);
    *fault = (struct aof_manifest_fault){.reason = text.len ? NULL : "Found an empty AOF manifest"};
    for (unsigned number = 1; text.len && !fault->reason; number++) {
        bool whole = next_line(&text, &line);
        if (line.ptr[0] == '#') continue;
        fault->reason = whole ? read_line(m, &words, line) : "The AOF manifest file contains too long line";
        if (whole && fault->reason) show_line(fault, number, line);
    }
    resp_request_free(&words);
    return !fault->reason;
}

struct aof_manifest *aof_manifest_parse(struct bytes text, struct aof_manifest_fault *fault)
{
    struct aof_manifest *m = aof_manifest_new();
    if (read_lines(m, text, fault)) return m;
    aof_manifest_free(m);
    return NULL;
}
