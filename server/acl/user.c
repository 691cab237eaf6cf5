/* See user.h. Pure. Server process. */
#include "server/acl/user.h"

#include "server/base/alloc.h"
#include "server/base/words.h"

#include <ctype.h>
#include <sha2.h>

static struct selector everything = {.flags = SELECTOR_EVERYTHING};

const struct user user_superuser = {
    .unrestricted = true,
    .enabled = true,
    .name = {(const uint8_t *)"(superuser)", sizeof "(superuser)" - 1},
    .selectors = &everything,
    .selector_count = 1,
};

/* --- what every request asks for --- */

static void settle(struct user *u)
{
    u->unrestricted = u->minds_keys = false;
    for (size_t i = 0; i < u->selector_count; i++) {
        uint32_t flags = u->selectors[i].flags;
        u->unrestricted |= (flags & SELECTOR_EVERYTHING) == SELECTOR_EVERYTHING;
        u->minds_keys |= !(flags & SELECTOR_ALL_KEYS);
    }
}

/* --- passwords --- */

static struct acl_password hashed(struct bytes password)
{
    char hex[SHA256_DIGEST_STRING_LENGTH];
    struct acl_password p;
    SHA256Data(password.ptr, password.len, hex);
    memcpy(p.hash, hex, sizeof p.hash);
    return p;
}

static bool read_hash(struct bytes text, struct acl_password *p)
{
    if (text.len != ACL_HASH_DIGITS) return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isdigit(text.ptr[i]) && (text.ptr[i] < 'a' || text.ptr[i] > 'f')) return false;
    memcpy(p->hash, text.ptr, sizeof p->hash);
    return true;
}

/* As long in the wrong case as in the right one. */
static bool same_password(const struct acl_password *a, const struct acl_password *b)
{
    unsigned difference = 0;
    for (size_t i = 0; i < sizeof a->hash; i++) difference |= a->hash[i] ^ b->hash[i];
    return difference == 0;
}

static struct acl_password *find_password(const struct user *u, const struct acl_password *p)
{
    struct acl_password *found = NULL;
    for (size_t i = 0; i < u->password_count; i++)
        if (same_password(&u->passwords[i], p)) found = &u->passwords[i];
    return found;
}

static void add_password(struct user *u, const struct acl_password *p)
{
    u->no_password = false;
    if (find_password(u, p)) return;
    u->passwords = mem_realloc(u->passwords, (u->password_count + 1) * sizeof *u->passwords);
    u->passwords[u->password_count++] = *p;
}

static enum acl_error remove_password(struct user *u, const struct acl_password *p)
{
    struct acl_password *found = find_password(u, p);
    if (!found) return ACL_NO_SUCH_PASSWORD;
    size_t behind = (size_t)(u->passwords + u->password_count - found) - 1;
    memmove(found, found + 1, behind * sizeof *found);
    u->password_count--;
    return ACL_NO_ERROR;
}

static void forget_passwords(struct user *u, bool none_needed)
{
    mem_free(u->passwords);
    u->passwords = NULL;
    u->password_count = 0;
    u->no_password = none_needed;
}

void user_set_password(struct user *u, struct bytes password)
{
    forget_passwords(u, !password.len);
    struct acl_password p = hashed(password);
    if (password.len) add_password(u, &p);
}

bool user_admits(const struct user *u, struct bytes password)
{
    struct acl_password p = hashed(password);
    bool known = find_password(u, &p);
    return u->enabled && (u->no_password || known);
}

static enum acl_error apply_password(struct user *u, struct bytes rule)
{
    struct acl_password p;
    struct bytes text = bytes_make(rule.ptr + 1, rule.len - 1);
    bool is_hash = rule.ptr[0] == '#' || rule.ptr[0] == '!';
    if (is_hash && !read_hash(text, &p)) return ACL_BAD_HASH;
    if (!is_hash) p = hashed(text);
    if (rule.ptr[0] == '<' || rule.ptr[0] == '!') return remove_password(u, &p);
    add_password(u, &p);
    return ACL_NO_ERROR;
}

/* --- selectors --- */

static struct selector *add_selector(struct user *u)
{
    u->selectors = mem_realloc(u->selectors, (u->selector_count + 1) * sizeof *u->selectors);
    return &u->selectors[u->selector_count++];
}

static void forget_selectors(struct user *u, size_t from)
{
    while (u->selector_count > from) selector_free(&u->selectors[--u->selector_count]);
}

/* "(+get ~x)": the words in between are its rules; quotes mean what they mean in the configuration. */
static enum acl_error apply_selector(struct user *u, const struct acl_vocabulary *v, bool all_channels,
                                     struct bytes rule)
{
    struct selector made;
    struct words words;
    enum acl_error error = ACL_NO_ERROR;
    if (!words_split(bytes_make(rule.ptr + 1, rule.len - 2), &words)) return ACL_SYNTAX;
    selector_init(&made, all_channels);
    for (uint32_t i = 0; i < words.count && !error; i++) error = selector_apply(&made, v, words.word[i]);
    words_free(&words);
    if (error)
        selector_free(&made);
    else
        *add_selector(u) = made;
    return error;
}

/* --- rules --- */

static bool apply_switch(struct user *u, struct bytes rule)
{
    static const struct {
        const char *word;
        size_t field;
        bool value;
    } switches[] = {{"on", offsetof(struct user, enabled), true},
                    {"off", offsetof(struct user, enabled), false},
                    {"skip-sanitize-payload", offsetof(struct user, skips_sanitizing), true},
                    {"sanitize-payload", offsetof(struct user, skips_sanitizing), false}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        if (!bytes_equal_nocase(rule, switches[i].word)) continue;
        *(bool *)((char *)u + switches[i].field) = switches[i].value;
        return true;
    }
    return false;
}

static enum acl_error apply(struct user *u, const struct acl_vocabulary *v, bool all_channels, struct bytes rule)
{
    if (!rule.len || apply_switch(u, rule)) return ACL_NO_ERROR;
    if (bytes_equal_nocase(rule, "nopass")) return forget_passwords(u, true), ACL_NO_ERROR;
    if (bytes_equal_nocase(rule, "resetpass")) return forget_passwords(u, false), ACL_NO_ERROR;
    if (bytes_equal_nocase(rule, "clearselectors")) return forget_selectors(u, 1), ACL_NO_ERROR;
    if (bytes_equal_nocase(rule, "reset")) return user_reset(u, all_channels), ACL_NO_ERROR;
    if (strchr("<>#!", rule.ptr[0]) && rule.ptr[0]) return apply_password(u, rule);
    if (rule.len >= 2 && rule.ptr[0] == '(' && rule.ptr[rule.len - 1] == ')')
        return apply_selector(u, v, all_channels, rule);
    return selector_apply(&u->selectors[0], v, rule);
}

enum acl_error user_apply(struct user *u, const struct acl_vocabulary *v, bool all_channels, struct bytes rule)
{
    enum acl_error error = apply(u, v, all_channels, rule);
    settle(u);
    return error;
}

void user_reset(struct user *u, bool all_channels)
{
    u->enabled = u->skips_sanitizing = false;
    forget_passwords(u, false);
    forget_selectors(u, 0);
    selector_init(add_selector(u), all_channels);
    settle(u);
}

/* --- whole users --- */

struct user *user_new(struct bytes name, bool all_channels)
{
    struct user *u = mem_calloc(1, sizeof *u);
    uint8_t *own = mem_alloc(name.len + 1);
    if (name.len) memcpy(own, name.ptr, name.len);
    u->name = bytes_make(own, name.len);
    user_reset(u, all_channels);
    return u;
}

struct user *user_copy(const struct user *u)
{
    struct user *copy = user_new(u->name, false);
    copy->enabled = u->enabled;
    copy->skips_sanitizing = u->skips_sanitizing;
    copy->no_password = u->no_password;
    copy->password_count = u->password_count;
    copy->passwords = mem_alloc((u->password_count + 1) * sizeof *u->passwords);
    if (u->password_count) memcpy(copy->passwords, u->passwords, u->password_count * sizeof *u->passwords);
    forget_selectors(copy, 0);
    for (size_t i = 0; i < u->selector_count; i++) {
        struct selector *to = add_selector(copy);
        selector_copy(to, &u->selectors[i]);
    }
    settle(copy);
    return copy;
}

void user_free(struct user *u)
{
    forget_selectors(u, 0);
    mem_free(u->selectors);
    mem_free(u->passwords);
    mem_free((void *)u->name.ptr);
    mem_free(u);
}

void user_swap(struct user *a, struct user *b)
{
    struct user kept = *a;
    *a = *b;
    *b = kept;
    struct bytes name = a->name;
    a->name = b->name;
    b->name = name;
}

static bool needs_quotes(struct bytes word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] && strchr("\"'()", word.ptr[i])) return true;
    return false;
}

static void add_in_quotes(struct acl_text *out, struct bytes word)
{
    acl_text_add(out, BYTES("\""));
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '"' || word.ptr[i] == '\\') acl_text_add(out, BYTES("\\"));
        acl_text_add(out, bytes_make(word.ptr + i, 1));
    }
    acl_text_add(out, BYTES("\""));
}

/* As Redis shows it, but that a word with quotes or parentheses in it can be read again. */
static void describe_selector(const struct selector *s, struct acl_text *out)
{
    struct acl_text inside = {0};
    selector_describe(s, &inside);
    struct bytes rest = acl_text_bytes(&inside);
    acl_text_add_word(out, BYTES("("));
    while (rest.len) {
        struct bytes word = bytes_take_word(&rest);
        if (needs_quotes(word))
            add_in_quotes(out, word);
        else
            acl_text_add(out, word);
        if (rest.len) acl_text_add(out, BYTES(" "));
    }
    acl_text_add(out, BYTES(")"));
    acl_text_free(&inside);
}

void user_describe(const struct user *u, struct acl_text *out)
{
    acl_text_add_word(out, BYTES("user"));
    acl_text_add_word(out, u->name);
    acl_text_add_word(out, u->enabled ? BYTES("on") : BYTES("off"));
    if (u->no_password) acl_text_add_word(out, BYTES("nopass"));
    acl_text_add_word(out, u->skips_sanitizing ? BYTES("skip-sanitize-payload") : BYTES("sanitize-payload"));
    for (size_t i = 0; i < u->password_count; i++) {
        acl_text_add_word(out, BYTES("#"));
        acl_text_add(out, bytes_make(u->passwords[i].hash, ACL_HASH_DIGITS));
    }
    selector_describe(&u->selectors[0], out);
    for (size_t i = 1; i < u->selector_count; i++) describe_selector(&u->selectors[i], out);
}

bool user_name_is_valid(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!name.ptr[i] || isspace(name.ptr[i])) return false;
    return true;
}

/* --- words of rules --- */

static bool opens(struct bytes word)
{
    return word.len && word.ptr[0] == '(' && word.ptr[word.len - 1] != ')';
}

static bool closes(struct bytes word)
{
    return word.len && word.ptr[word.len - 1] == ')';
}

static size_t joined_length(uint32_t count, const struct bytes *word)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) len += word[i].len + 1;
    return len;
}

int acl_rules_join(struct acl_rules *rules, uint32_t count, const struct bytes *word, uint32_t *culprit)
{
    *rules = (struct acl_rules){.rule = mem_alloc((count + 1) * sizeof *rules->rule)};
    struct acl_text *joined = &rules->joined;
    size_t room = joined_length(count, word) + 1; /* at once: slices of it must stay where they are */
    joined->ptr = mem_alloc(room);
    joined->capacity = room;
    for (uint32_t i = 0; i < count; i++) {
        if (!opens(word[i])) {
            rules->rule[rules->count++] = word[i];
            continue;
        }
        size_t start = joined->len;
        uint32_t first = i;
        acl_text_add(joined, word[i]);
        do {
            if (++i == count) return *culprit = first, -1;
            acl_text_add(joined, BYTES(" "));
            acl_text_add(joined, word[i]);
        } while (!closes(word[i]));
        rules->rule[rules->count++] = bytes_make(joined->ptr + start, joined->len - start);
    }
    return 0;
}

void acl_rules_free(struct acl_rules *rules)
{
    mem_free(rules->rule);
    acl_text_free(&rules->joined);
}
