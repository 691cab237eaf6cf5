/* How the configuration is put together inside core/config*.c: a directive's row, and the object behind `struct
 * config`.
 *
 *   config.c          the object: GET, SET with rollback, hooks
 *   config_table.c    the rows, and a row by its name
 *   config_value.c    reading and writing a value by its row's kind
 *   config_special.c  values with a grammar of their own
 *   config_missing.c  what is refused because the part that would honour it is not there
 *   config_users.c    `user` lines, and who may log in at the start
 *   config_file.c     the file, standard input, the command line
 *   config_rewrite.c  CONFIG REWRITE
 *   config_text.c     quotes, growing text
 *
 * A value can always be written as text and read back from it. So a default, a rollback and a comparison are all text,
 * and no kind needs more than two functions. */
#ifndef SLIPSTREAM_CORE_CONFIG_CONFIG_PARTS_H
#define SLIPSTREAM_CORE_CONFIG_CONFIG_PARTS_H

#include "server/acl/users.h"
#include "server/core/config/config.h"
#include "server/core/config/config_text.h"

#define CONFIG_MESSAGE_MAX 256

enum directive_kind {
    KIND_BOOL,
    KIND_INTEGER,
    KIND_MEMORY,
    KIND_OCTAL,
    KIND_ENUM,
    KIND_STRING,
    KIND_SECRET,
    KIND_SPECIAL
};

enum directive_flag {
    DIR_IMMUTABLE = 1 << 0,     /* not by CONFIG SET */
    DIR_PROTECTED = 1 << 1,     /* by CONFIG SET only as enable-protected-configs allows */
    DIR_NOT_LOADING = 1 << 2,   /* not while a dataset is being loaded */
    DIR_HIDDEN = 1 << 3,        /* CONFIG GET shows it by its exact name only */
    DIR_WORDS = 1 << 4,         /* any number of arguments; one that holds blanks is several */
    DIR_EMPTY_IS_NULL = 1 << 5, /* KIND_STRING: "" is no value (of KIND_SECRET it never is one) */
    DIR_SECRET = 1 << 7,        /* no log shows its value; KIND_SECRET needs no word of it */
    DIR_REREAD = 1 << 8,    /* of a file, or the kernel: CONFIG SET asks it again, also with the value that it has */
    DIR_NO_EFFECT = 1 << 6, /* Redis knows it, we do not honour it: accepted, kept and shown */
};

struct enum_name {
    const char *name;
    int value;
};

struct directive;

struct directive_grammar {
    bool (*parse)(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                  char message[CONFIG_MESSAGE_MAX]);
    void (*format)(const struct config *c, const struct directive *d, struct config_text *out);
    /* The lines of a rewritten file without their name, each ended by a line feed; NULL: one line, as formatted. */
    void (*lines)(const struct config *c, const struct directive *d, struct config_text *out);
};

struct directive {
    const char *name, *alias; /* alias: the name it had in older versions, or NULL */
    enum directive_kind kind;
    uint32_t flags;
    const char *initial;  /* NULL: depends on where we run, always written by CONFIG REWRITE */
    size_t offset, width; /* of its field in struct settings; width 0: config keeps the value itself */
    int64_t least;
    uint64_t most;
    const struct enum_name *names;             /* KIND_ENUM: in the order of the error text; ends with NULL */
    const char *(*refusal)(const char *value); /* KIND_STRING: NULL when the value is fine; may be NULL */
    void (*settle)(struct settings *s);        /* brings an accepted value into the range we use; may be NULL */
    const struct directive_grammar *grammar;   /* KIND_SPECIAL */
};

extern const struct directive config_directives[];
extern const size_t config_directive_count;

union kept_value {
    bool flag;
    int choice;
    int64_t number;
    char *text;
};

/* A `user` line: its words behind "user", the name first; owned. */
struct config_user {
    uint32_t count;
    struct bytes *word;
};

struct config {
    struct settings *settings;
    const struct directive *rows;                      /* config_directives, for those who stand below the table */
    union kept_value *kept;                            /* by row; of those without a field */
    bool *given;                                       /* by row: set by the file or the command line */
    int (**apply)(struct core *core, char error[256]); /* by row; NULL: nothing to do */
    char *file;                                        /* absolute, NULL: none */
    bool wants_stdin;                                  /* standard input is read behind the file */
    bool reading;                                      /* a file is being read: `save` lines add up */
    bool save_given;                                   /* ... and the first replaced the default */
    struct command_table *commands;                    /* what rename-command acts on */
    struct users *users;                               /* whom `user` lines make */
    struct config_user *user_lines;                    /* as read, until the users are made of them */
    uint32_t user_line_count;
    const struct config_statements *statements; /* another part's lines; NULL: there are none */
};

static inline size_t directive_row(const struct config *c, const struct directive *d)
{
    return (size_t)(d - c->rows);
}

const struct directive *directive_find(struct bytes name); /* name or alias, any case; NULL: unknown */

/* --- config_value.c --- */
void *directive_place(const struct config *c, const struct directive *d);
/* Reads the arguments behind the name; false: message says why, nothing has changed. */
bool directive_parse(struct config *c, const struct directive *d, uint32_t argc, const struct bytes *argv,
                     char message[CONFIG_MESSAGE_MAX]);
void directive_format(const struct config *c, const struct directive *d, struct config_text *out);
bool directive_is_initial(const struct config *c, const struct directive *d);
void directive_replace_text(char **place, struct bytes value, bool empty_is_null);
int config_enum_value(const struct enum_name *names, struct bytes name, int otherwise);
void config_enum_refusal(const struct enum_name *names, char message[CONFIG_MESSAGE_MAX]);

/* --- config_special.c --- */
extern const struct directive_grammar save_grammar, bind_grammar, output_limit_grammar, replicaof_grammar, dir_grammar,
    notify_grammar, shutdown_grammar, percentiles_grammar, client_memory_grammar, oom_score_grammar;

/* --- config_missing.c --- */
/* What is lost if the present value of `d` is accepted as if it had an effect; NULL: nothing that hurts. A start is
 * more patient than CONFIG SET, whose caller hears of it. */
const char *config_missing_part(const struct config *c, const struct directive *d, bool at_start);

/* --- config_users.c --- */
/* Keeps a `user` line (the words behind "user") for config_load_users(); false: message says why not. */
bool config_keep_user_line(struct config *c, uint32_t argc, const struct bytes *argv, char message[CONFIG_MESSAGE_MAX]);
/* The lines of a rewritten file without "user ", each ended by a line feed; none where an ACL file has the users. */
void config_user_lines(const struct config *c, struct config_text *out);

/* --- config_file.c --- */
void config_say_no_effect(const struct directive *d);

#endif
