/* See selector.h. Pure. Server process. */
#include "server/acl/selector.h"

#include "server/acl/category.h"
#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/base/log.h"

static struct bytes copied(struct bytes text)
{
    uint8_t *copy = mem_alloc(text.len + 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    return bytes_make(copy, text.len);
}

static bool begins_with(struct bytes text, struct bytes start)
{
    return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}

static struct bytes behind(struct bytes text, size_t skip)
{
    return bytes_make(text.ptr + skip, text.len - skip);
}

const char *acl_error_text(enum acl_error error)
{
    switch (error) {
    case ACL_NO_ERROR: break;
    case ACL_SYNTAX: return "Syntax error";
    case ACL_UNKNOWN_COMMAND: return "Unknown command or category name in ACL";
    case ACL_BEHIND_ALL_KEYS:
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
               "effect. Try 'resetkeys' to start with an empty list of patterns";
    case ACL_BEHIND_ALL_CHANNELS:
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
               "effect. Try 'resetchannels' to start with an empty list of channels";
    case ACL_NO_SUCH_PASSWORD: return "The password you are trying to remove from the user does not exist";
    case ACL_BAD_HASH:
        return "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    case ACL_ARGUMENT_OF_SUBCOMMAND: return "Allowing first-arg of a subcommand is not supported";
    }
    return "";
}

/* --- patterns --- */

static enum pattern_kind kind_of(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (!pattern.ptr[i] || !strchr("*?[\\", pattern.ptr[i])) continue;
        return pattern.ptr[i] == '*' && i + 1 == pattern.len ? PATTERN_PREFIX : PATTERN_GLOB;
    }
    return PATTERN_EXACT;
}

bool acl_glob_matches(const struct acl_pattern *p, struct bytes text)
{
    return glob_match(p->text, text, false);
}

/* The same pattern again adds to what may be done with its keys. */
static void patterns_add(struct acl_patterns *p, struct bytes text, uint8_t access)
{
    for (size_t i = 0; i < p->count; i++) {
        if (!bytes_equal(p->list[i].text, text)) continue;
        p->list[i].access |= access;
        return;
    }
    p->list = mem_realloc(p->list, (p->count + 1) * sizeof *p->list);
    p->list[p->count++] = (struct acl_pattern){.text = copied(text), .kind = kind_of(text), .access = access};
}

static void patterns_clear(struct acl_patterns *p)
{
    for (size_t i = 0; i < p->count; i++) mem_free((void *)p->list[i].text.ptr);
    mem_free(p->list);
    *p = (struct acl_patterns){0};
}

static void patterns_copy(struct acl_patterns *to, const struct acl_patterns *from)
{
    *to = (struct acl_patterns){0};
    for (size_t i = 0; i < from->count; i++) patterns_add(to, from->list[i].text, from->list[i].access);
}

static bool has_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i] || text.ptr[i] == ' ' || (text.ptr[i] >= '\t' && text.ptr[i] <= '\r')) return true;
    return false;
}

/* "~pattern", or "%RW~pattern" with any of both letters once; without the tilde it is the empty pattern. */
static enum acl_error add_key_pattern(struct selector *s, struct bytes rule)
{
    uint8_t access = rule.ptr[0] == '~' ? KEY_READS | KEY_WRITES : 0;
    size_t at = 1;
    if (s->flags & SELECTOR_ALL_KEYS) return ACL_BEHIND_ALL_KEYS;
    for (; rule.ptr[0] == '%' && at < rule.len; at++) {
        uint8_t letter = byte_lower(rule.ptr[at]);
        uint8_t means = letter == 'r' ? KEY_READS : letter == 'w' ? KEY_WRITES : 0;
        if (rule.ptr[at] == '~') break;
        if (!means || (access & means)) return ACL_SYNTAX;
        access |= means;
    }
    if (!access) return ACL_SYNTAX;
    if (rule.ptr[0] == '%' && at < rule.len) at++;
    struct bytes pattern = behind(rule, at);
    if (has_blank(pattern)) return ACL_SYNTAX;
    patterns_add(&s->keys, pattern, access);
    return ACL_NO_ERROR;
}

static enum acl_error add_channel_pattern(struct selector *s, struct bytes pattern)
{
    if (s->flags & SELECTOR_ALL_CHANNELS) return ACL_BEHIND_ALL_CHANNELS;
    if (has_blank(pattern)) return ACL_SYNTAX;
    patterns_add(&s->channels, pattern, 0);
    return ACL_NO_ERROR;
}

static void set_keys(struct selector *s, bool all)
{
    patterns_clear(&s->keys);
    s->flags = all ? s->flags | SELECTOR_ALL_KEYS : s->flags & ~(uint32_t)SELECTOR_ALL_KEYS;
}

static void set_channels(struct selector *s, bool all)
{
    patterns_clear(&s->channels);
    s->flags = all ? s->flags | SELECTOR_ALL_CHANNELS : s->flags & ~(uint32_t)SELECTOR_ALL_CHANNELS;
}

/* --- rules about commands, as they are shown --- */

static void forget_rule(struct selector *s, size_t at)
{
    mem_free((void *)s->command_rules[at].ptr);
    s->command_rule_count--;
    memmove(s->command_rules + at, s->command_rules + at + 1, (s->command_rule_count - at) * sizeof *s->command_rules);
}

static void forget_all_rules(struct selector *s)
{
    while (s->command_rule_count) forget_rule(s, s->command_rule_count - 1);
}

/* A rule makes void those before it about the same command or category, and about parts of the command. */
static bool is_void(struct bytes earlier, struct bytes later)
{
    struct bytes old = behind(earlier, 1), new = behind(later, 1);
    return begins_with(old, new) && (old.len == new.len || old.ptr[new.len] == '|');
}

/* Up to `lower_len` bytes are a name, which is shown in lower case; what follows is a command's first argument. */
static void remember_rule(struct selector *s, struct bytes rule, size_t lower_len)
{
    struct bytes own = copied(rule);
    uint8_t *bytes = (uint8_t *)own.ptr;
    for (size_t i = 0; i < lower_len; i++) bytes[i] = byte_lower(bytes[i]);
    for (size_t i = s->command_rule_count; i-- > 0;)
        if (is_void(s->command_rules[i], own)) forget_rule(s, i);
    s->command_rules = mem_realloc(s->command_rules, (s->command_rule_count + 1) * sizeof *s->command_rules);
    s->command_rules[s->command_rule_count++] = own;
}

/* --- permissions of commands --- */

static void set_bit(struct selector *s, uint16_t id, bool allowed)
{
    uint64_t bit = UINT64_C(1) << (id % 64);
    if (allowed)
        s->commands[id / 64] |= bit;
    else
        s->commands[id / 64] &= ~bit;
}

static void forget_first_arguments(struct selector *s, uint16_t command)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->first_argument_count; i++) {
        if (s->first_arguments[i].command == command)
            mem_free((void *)s->first_arguments[i].text.ptr);
        else
            s->first_arguments[kept++] = s->first_arguments[i];
    }
    s->first_argument_count = kept;
}

static void forget_all_first_arguments(struct selector *s)
{
    for (size_t i = 0; i < s->first_argument_count; i++) mem_free((void *)s->first_arguments[i].text.ptr);
    mem_free(s->first_arguments);
    s->first_arguments = NULL;
    s->first_argument_count = 0;
}

/* A command with all of its subcommands. */
static void set_command(struct selector *s, const struct acl_command *c, bool allowed)
{
    for (unsigned i = 0; i <= c->subcommands; i++) {
        set_bit(s, (uint16_t)(c->id + i), allowed);
        forget_first_arguments(s, (uint16_t)(c->id + i));
    }
    if (!allowed) s->flags &= ~(uint32_t)SELECTOR_ALL_COMMANDS;
}

static void set_all_commands(struct selector *s, bool allowed)
{
    memset(s->commands, allowed ? 0xff : 0, sizeof s->commands);
    s->flags = allowed ? s->flags | SELECTOR_ALL_COMMANDS : s->flags & ~(uint32_t)SELECTOR_ALL_COMMANDS;
    forget_all_first_arguments(s);
    forget_all_rules(s);
    s->rules_begin_with_all = allowed;
}

static enum acl_error apply_category(struct selector *s, const struct acl_vocabulary *v, struct bytes rule)
{
    bool allowed = rule.ptr[0] == '+';
    uint32_t category = category_find(behind(rule, 2));
    if (!category) return ACL_UNKNOWN_COMMAND;
    for (size_t i = 0; i < v->count; i++)
        if (v->commands[i].categories & category) set_command(s, &v->commands[i], allowed);
    if (!allowed) s->flags &= ~(uint32_t)SELECTOR_ALL_COMMANDS;
    remember_rule(s, rule, rule.len);
    return ACL_NO_ERROR;
}

static void add_first_argument(struct selector *s, uint16_t command, struct bytes text)
{
    for (size_t i = 0; i < s->first_argument_count; i++)
        if (s->first_arguments[i].command == command &&
            bytes_equal_nocase(text, (const char *)s->first_arguments[i].text.ptr))
            return;
    s->first_arguments = mem_realloc(s->first_arguments, (s->first_argument_count + 1) * sizeof *s->first_arguments);
    struct first_argument *added = &s->first_arguments[s->first_argument_count++];
    *added = (struct first_argument){.command = command, .text = copied(text)};
    ((uint8_t *)added->text.ptr)[text.len] = 0;
}

/* "+select|0" */
static enum acl_error apply_first_argument(struct selector *s, const struct acl_vocabulary *v, struct bytes rule)
{
    const uint8_t *bar = memrchr(rule.ptr, '|', rule.len);
    if (!bar) return ACL_UNKNOWN_COMMAND;
    size_t name_len = (size_t)(bar - rule.ptr) - 1;
    struct bytes argument = behind(rule, name_len + 2);
    const struct acl_command *c = acl_vocabulary_find(v, bytes_make(rule.ptr + 1, name_len));
    if (!c) return ACL_UNKNOWN_COMMAND;
    if (c->is_subcommand) return ACL_ARGUMENT_OF_SUBCOMMAND;
    if (!argument.len || has_blank(argument)) return ACL_SYNTAX; /* with a blank it could not be shown as one word */
    if (c->subcommands) return ACL_UNKNOWN_COMMAND;
    log_warning("Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may "
                "get disabled in the future (offender: %.*s)",
                (int)rule.len, (const char *)rule.ptr);
    add_first_argument(s, c->id, argument);
    remember_rule(s, rule, name_len + 1);
    return ACL_NO_ERROR;
}

static enum acl_error apply_command(struct selector *s, const struct acl_vocabulary *v, struct bytes rule)
{
    bool allowed = rule.ptr[0] == '+';
    const struct acl_command *c = acl_vocabulary_find(v, behind(rule, 1));
    if (!c) return allowed ? apply_first_argument(s, v, rule) : ACL_UNKNOWN_COMMAND;
    set_command(s, c, allowed);
    remember_rule(s, rule, rule.len);
    return ACL_NO_ERROR;
}

enum acl_error selector_apply(struct selector *s, const struct acl_vocabulary *v, struct bytes rule)
{
    static const struct {
        const char *word;
        void (*set)(struct selector *s, bool all);
        bool all;
    } words[] = {{"allkeys", set_keys, true},
                 {"~*", set_keys, true},
                 {"resetkeys", set_keys, false},
                 {"allchannels", set_channels, true},
                 {"&*", set_channels, true},
                 {"resetchannels", set_channels, false},
                 {"allcommands", set_all_commands, true},
                 {"+@all", set_all_commands, true},
                 {"nocommands", set_all_commands, false},
                 {"-@all", set_all_commands, false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (bytes_equal_nocase(rule, words[i].word)) return words[i].set(s, words[i].all), ACL_NO_ERROR;
    if (!rule.len) return ACL_NO_ERROR;
    switch (rule.ptr[0]) {
    case '~':
    case '%': return add_key_pattern(s, rule);
    case '&': return add_channel_pattern(s, behind(rule, 1));
    case '+':
    case '-': return rule.len > 1 && rule.ptr[1] == '@' ? apply_category(s, v, rule) : apply_command(s, v, rule);
    }
    return ACL_SYNTAX;
}

/* --- whole selectors --- */

void selector_init(struct selector *s, bool all_channels)
{
    *s = (struct selector){.flags = all_channels ? SELECTOR_ALL_CHANNELS : 0};
}

void selector_free(struct selector *s)
{
    patterns_clear(&s->keys);
    patterns_clear(&s->channels);
    forget_all_first_arguments(s);
    forget_all_rules(s);
    mem_free(s->command_rules);
    s->command_rules = NULL;
}

void selector_copy(struct selector *to, const struct selector *from)
{
    *to = *from;
    patterns_copy(&to->keys, &from->keys);
    patterns_copy(&to->channels, &from->channels);
    to->first_arguments = NULL;
    to->first_argument_count = 0;
    for (size_t i = 0; i < from->first_argument_count; i++)
        add_first_argument(to, from->first_arguments[i].command, from->first_arguments[i].text);
    to->command_rules = mem_alloc((from->command_rule_count + 1) * sizeof *to->command_rules);
    for (size_t i = 0; i < from->command_rule_count; i++) to->command_rules[i] = copied(from->command_rules[i]);
}

void selector_describe_commands(const struct selector *s, struct acl_text *out)
{
    acl_text_add_word(out, s->rules_begin_with_all ? BYTES("+@all") : BYTES("-@all"));
    for (size_t i = 0; i < s->command_rule_count; i++) acl_text_add_word(out, s->command_rules[i]);
}

void selector_describe_keys(const struct selector *s, struct acl_text *out)
{
    if (s->flags & SELECTOR_ALL_KEYS) acl_text_add_word(out, BYTES("~*"));
    for (size_t i = 0; i < s->keys.count; i++) {
        const struct acl_pattern *p = &s->keys.list[i];
        bool both = p->access == (KEY_READS | KEY_WRITES), last = i + 1 == s->keys.count;
        if (both && !last && bytes_equal_text(p->text, "*")) { /* "~*" would forbid what follows */
            acl_text_add_word(out, BYTES("%RW~*"));
            continue;
        }
        acl_text_add_word(out, both ? BYTES("~") : p->access == KEY_READS ? BYTES("%R~") : BYTES("%W~"));
        acl_text_add(out, p->text);
    }
}

void selector_describe_channels(const struct selector *s, struct acl_text *out)
{
    if (s->flags & SELECTOR_ALL_CHANNELS) acl_text_add_word(out, BYTES("&*"));
    for (size_t i = 0; i < s->channels.count; i++) {
        acl_text_add_word(out, BYTES("&"));
        acl_text_add(out, s->channels.list[i].text);
    }
}

void selector_describe(const struct selector *s, struct acl_text *out)
{
    selector_describe_keys(s, out);
    if (!(s->flags & SELECTOR_ALL_CHANNELS)) acl_text_add_word(out, BYTES("resetchannels"));
    selector_describe_channels(s, out);
    selector_describe_commands(s, out);
}
