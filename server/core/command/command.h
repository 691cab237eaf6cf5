/* What a command is: one row of a table, next to its handler in server/commands/.
 *
 * The row says everything that others must know before the command runs: arity, flags, ACL categories, and where its
 * keys are (key specs as Redis 7 reports them; the old first/last/step triple is derived from them). */
#ifndef SLIPSTREAM_CORE_COMMAND_COMMAND_H
#define SLIPSTREAM_CORE_COMMAND_COMMAND_H

#include "server/acl/category.h"
#include "server/base/bytes.h"

/* A row of a table says what its command has, and leaves out the rest. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct call;
struct core;

/* Names as COMMAND INFO prints them, in its order. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_MODULE = 1 << 3,
    CMD_ADMIN = 1 << 4,
    CMD_PUBSUB = 1 << 5,
    CMD_NOSCRIPT = 1 << 6,
    CMD_BLOCKING = 1 << 7,
    CMD_LOADING = 1 << 8,
    CMD_STALE = 1 << 9,
    CMD_SKIP_MONITOR = 1 << 10,
    CMD_SKIP_SLOWLOG = 1 << 11,
    CMD_ASKING = 1 << 12,
    CMD_FAST = 1 << 13,
    CMD_NO_AUTH = 1 << 14,
    CMD_MAY_REPLICATE = 1 << 15,
    CMD_SENTINEL = 1 << 16,
    CMD_ONLY_SENTINEL = 1 << 17,
    CMD_NO_MANDATORY_KEYS = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    CMD_MOVABLE_KEYS = 1 << 20,
    CMD_NO_MULTI = 1 << 21,
    CMD_ALLOW_BUSY = 1 << 22,
    CMD_NO_ASYNC_LOADING = 1 << 23,
    CMD_TOUCHES_ARBITRARY_KEYS = 1 << 24,
    /* Ours alone: COMMAND INFO says nothing of them. */
    CMD_TELLS_HEALTH = 1 << 25,  /* refused like a write while the disk fails, for those who watch */
    CMD_NOT_QUEUED = 1 << 26,    /* works on the transaction itself: runs at once inside MULTI, too */
    CMD_RUNS_QUEUE = 1 << 27,    /* EXEC: judged by what it runs, and refused together with it */
    CMD_ENDS_MULTI = 1 << 28,    /* gives a transaction's memory back, so memory is no reason to refuse it */
    CMD_IN_SUBSCRIBED = 1 << 29, /* allowed to a RESP2 client that is subscribed to something */
    CMD_OWN_FLAGS = 1 << 30,     /* the row's request_flags says what this very request is: EVAL and its kin */
};

/* Flags that give leave where a command without them is refused. */
#define CMD_LEAVES (CMD_LOADING | CMD_STALE | CMD_NO_AUTH)

enum key_flag {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE = 1 << 10,
};

struct key_spec {
    uint16_t flags; /* enum key_flag; 0 ends the row's list */
    enum { BEGIN_INDEX, BEGIN_KEYWORD, BEGIN_UNKNOWN } begin;
    int index; /* BEGIN_INDEX: argument number; BEGIN_KEYWORD: where to start looking (negative: from the end) */
    const char *keyword; /* BEGIN_KEYWORD */
    enum { FIND_RANGE, FIND_KEYNUM, FIND_UNKNOWN } find;
    int last, step, limit;       /* FIND_RANGE, as Redis documents them */
    int keynum_index, first_key; /* FIND_KEYNUM, with step */
    const char *notes;
};

#define KEY_SPECS_MAX 3

/* A row's keys as one word: KEYS() of up to KEY_SPECS_MAX specs, most of which are a single key or a range of them. */
/* clang-format off */
#define KEYS(...)                               {__VA_ARGS__}
#define KEY_RANGE(index_, last_, step_, flags_) {.flags = (flags_), .index = (index_), .last = (last_), .step = (step_)}
#define KEY_AT(index_, flags_)                  KEY_RANGE(index_, 0, 1, flags_)
#define KEY_AT_NOTED(index_, flags_, notes_)    {.flags = (flags_), .index = (index_), .step = 1, .notes = (notes_)}
/* Behind a keyword that is looked for from that index on; `limit_` 2: only the first half of what follows are keys. */
#define KEYS_AFTER(keyword_, from_, last_, limit_, flags_) \
    {.flags = (flags_), .begin = BEGIN_KEYWORD, .keyword = (keyword_), .index = (from_), .last = (last_), .step = 1, \
     .limit = (limit_)}
/* The number of keys at this index, then the keys. */
#define KEYS_COUNTED_AT(index_, flags_) \
    {.flags = (flags_), .index = (index_), .find = FIND_KEYNUM, .first_key = 1, .step = 1}
/* Anywhere: the row's find_keys knows, if anything does. */
#define KEYS_UNKNOWN(flags_, notes_) \
    {.flags = (flags_), .begin = BEGIN_UNKNOWN, .find = FIND_UNKNOWN, .notes = (notes_)}
/* clang-format on */
#define KEY_AT_1(flags_) KEYS(KEY_AT(1, flags_)) /* as most commands have it */

/* Hints to a proxy in front of many servers: how a reply varies, where to send the request, how to join the replies. */
enum command_tip {
    TIP_NONDETERMINISTIC_OUTPUT = 1 << 0,
    TIP_NONDETERMINISTIC_OUTPUT_ORDER = 1 << 1,
    TIP_REQUEST_ALL_NODES = 1 << 2,
    TIP_REQUEST_ALL_SHARDS = 1 << 3,
    TIP_REQUEST_MULTI_SHARD = 1 << 4,
    TIP_REQUEST_SPECIAL = 1 << 5,
    TIP_RESPONSE_ONE_SUCCEEDED = 1 << 6,
    TIP_RESPONSE_ALL_SUCCEEDED = 1 << 7,
    TIP_RESPONSE_AGG_LOGICAL_AND = 1 << 8,
    TIP_RESPONSE_AGG_MIN = 1 << 9,
    TIP_RESPONSE_AGG_SUM = 1 << 10,
    TIP_RESPONSE_SPECIAL = 1 << 11,
};

/* Which arguments are channels of publish and subscribe. */
enum command_channels {
    CHANNELS_NONE,
    CHANNELS_AT_1,          /* the first argument */
    CHANNELS_FROM_1,        /* all arguments */
    CHANNEL_PATTERNS_FROM_1 /* all arguments, which are patterns */
};

/* A key in a request. */
struct found_key {
    int index;
    uint16_t flags; /* enum key_flag: what the request does with it */
};

struct command {
    const char *name; /* lowercase; a subcommand's is the second word alone */
    void (*run)(struct call *call);
    int arity; /* as Redis: with the name; negative: at least */
    uint32_t flags;
    uint32_t categories; /* enum command_category; those are left out that follow from flags: categories_of() */
    struct key_spec keys[KEY_SPECS_MAX];
    const struct command
        *subcommands; /* ends with a row without name; `run` then serves only an unknown subcommand's error */
    /* Finds keys where specs cannot, or how this request uses them: as command_find_keys(). */
    int (*find_keys)(uint32_t argc, const struct bytes *argv, struct found_key *keys);
    uint8_t element;  /* the argument that names an element of the first key's value, for value_ops.prefetch; 0: none */
    uint32_t tips;    /* enum command_tip */
    uint8_t channels; /* enum command_channels: those that a user's rules are asked about */
    /* CMD_OWN_FLAGS: the flags by which a request is judged, made of the row's. */
    uint32_t (*request_flags)(const struct core *core, uint32_t flags, uint32_t argc, const struct bytes *argv);
};

/* What COMMAND DOCS tells of one command or subcommand, in our own wording. */
struct command_doc {
    const char *name; /* in full: "client|kill" */
    const char *since, *summary, *complexity;
    const char *arguments;                      /* as server/commands/docs/arguments.h reads them; NULL: none */
    const char *history;                        /* lines of a version and what came with it; NULL: none */
    const char *deprecated_since, *replaced_by; /* NULL: not deprecated */
    bool internal;                              /* for servers to use among themselves */
};

struct command_docs {
    const char *group;
    const struct command_doc *docs; /* ends with one without name */
};

#endif
