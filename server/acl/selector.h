/* A selector: one set of rules, which alone can allow a whole request. Every user has one, his root, and may have more.
 * Server process.
 *
 * Rules are words. They are applied one after the other, each to what the earlier ones have left:
 *   +get -get +client|kill +@read -@all allcommands nocommands   commands, one bit for each in `commands`
 *   +select|0                                                    a command with this first argument alone
 *   ~app:* %R~log:* allkeys resetkeys                            patterns of keys, and what may be done with them
 *   &news:* allchannels resetchannels                            patterns of channels
 * Rules about commands are also kept as they were given, without those that later ones made void: as Redis 7.2 shows
 * them. */
#ifndef SLIPSTREAM_ACL_SELECTOR_H
#define SLIPSTREAM_ACL_SELECTOR_H

#include "server/acl/text.h"
#include "server/acl/vocabulary.h"

enum acl_error {
    ACL_NO_ERROR,
    ACL_SYNTAX,
    ACL_UNKNOWN_COMMAND,
    ACL_BEHIND_ALL_KEYS,
    ACL_BEHIND_ALL_CHANNELS,
    ACL_NO_SUCH_PASSWORD,
    ACL_BAD_HASH,
    ACL_ARGUMENT_OF_SUBCOMMAND,
};
const char *acl_error_text(enum acl_error error); /* Redis's, without a code */

enum selector_flag {
    SELECTOR_ALL_COMMANDS = 1 << 0, /* future ones, too */
    SELECTOR_ALL_KEYS = 1 << 1,
    SELECTOR_ALL_CHANNELS = 1 << 2,
};
#define SELECTOR_EVERYTHING (SELECTOR_ALL_COMMANDS | SELECTOR_ALL_KEYS | SELECTOR_ALL_CHANNELS)

enum key_access {
    KEY_READS = 1 << 0,
    KEY_WRITES = 1 << 1,
};

/* Most patterns are a name, or one with a star at its end: these are compared, not matched. */
enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_GLOB };

struct acl_pattern {
    struct bytes text; /* owned */
    uint8_t kind;      /* enum pattern_kind */
    uint8_t access;    /* enum key_access; of keys alone */
};

struct acl_patterns {
    struct acl_pattern *list;
    size_t count;
};

struct first_argument {
    uint16_t command;
    struct bytes text; /* owned */
};

struct selector {
    uint32_t flags;
    uint64_t commands[ACL_COMMANDS_MAX / 64];
    struct acl_patterns keys, channels;
    struct first_argument *first_arguments;
    size_t first_argument_count;
    struct bytes *command_rules; /* "+@read", "-get": behind "-@all" or "+@all"; owned */
    size_t command_rule_count;
    bool rules_begin_with_all;
};

void selector_init(struct selector *s, bool all_channels); /* nothing is allowed, but perhaps channels */
void selector_free(struct selector *s);                    /* what it owns */
void selector_copy(struct selector *to, const struct selector *from);

/* One rule; on an error nothing has changed. */
enum acl_error selector_apply(struct selector *s, const struct acl_vocabulary *v, struct bytes rule);

/* The rules as words, ready to be applied again: "~app:* resetchannels &news -@all +get". */
void selector_describe(const struct selector *s, struct acl_text *out);
void selector_describe_commands(const struct selector *s, struct acl_text *out); /* "-@all +get" */
void selector_describe_keys(const struct selector *s, struct acl_text *out);     /* "~app:* %R~log:*" */
void selector_describe_channels(const struct selector *s, struct acl_text *out); /* "&news:*" */

static inline bool selector_has_command(const struct selector *s, uint16_t id)
{
    return s->commands[id / 64] >> (id % 64) & 1;
}

bool acl_glob_matches(const struct acl_pattern *p, struct bytes text);

/* An empty text is matched by no star, as by a glob. */
static inline bool acl_pattern_matches(const struct acl_pattern *p, struct bytes text)
{
    if (p->kind == PATTERN_GLOB) return acl_glob_matches(p, text);
    if (p->kind == PATTERN_EXACT) return bytes_equal(p->text, text);
    return text.len && text.len >= p->text.len - 1 && memcmp(text.ptr, p->text.ptr, p->text.len - 1) == 0;
}

/* Open to reading and writing. */
static inline bool selector_opens_key(const struct selector *s, struct bytes key)
{
    for (size_t i = 0; i < s->keys.count; i++) {
        const struct acl_pattern *p = &s->keys.list[i];
        if (p->access == (KEY_READS | KEY_WRITES) && acl_pattern_matches(p, key)) return true;
    }
    return false;
}

#endif
