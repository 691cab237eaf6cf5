/* A command's arguments as COMMAND DOCS tells them, read from the one line of text that a document has for them.
 *
 * The text follows the usual way of showing a command's use, with what a program needs beside:
 *
 *     name           a string; `key` alone is a key
 *     name(type)     string, integer, double, unix-time, pattern or key; key1 is found by the row's second key spec
 *     name=shown     called one way and shown another
 *     TOKEN          a word to be sent as it stands, called the same in lower case; name=TOKEN: called otherwise
 *     TOKEN name     a value behind its word
 *     name<a|b>      one of these            name{a b}   all of these, in this order
 *     [a]            optional                a...        once or more often; TOKEN... a: each time with the word
 *     a@6.2.0        there since then        a!6.2.0     better left alone since then
 *
 * It is read only when somebody asks, so that a document costs its text alone. */
#ifndef SLIPSTREAM_COMMANDS_DOCS_ARGUMENTS_H
#define SLIPSTREAM_COMMANDS_DOCS_ARGUMENTS_H

#include "server/base/bytes.h"

enum argument_type {
    ARGUMENT_STRING,
    ARGUMENT_INTEGER,
    ARGUMENT_DOUBLE,
    ARGUMENT_KEY,
    ARGUMENT_PATTERN,
    ARGUMENT_UNIX_TIME,
    ARGUMENT_PURE_TOKEN,
    ARGUMENT_ONEOF,
    ARGUMENT_BLOCK,
};

/* Slices are of the text; one without a pointer is not there. */
struct argument {
    enum argument_type type;
    struct bytes name;  /* none: the token in lower case */
    struct bytes shown; /* none: as the name */
    struct bytes token, since, deprecated_since;
    int key_spec; /* -1: none */
    bool optional, multiple, multiple_token;
    struct argument *parts; /* of ARGUMENT_ONEOF and ARGUMENT_BLOCK */
    struct argument *next;
};

#define ARGUMENTS_MAX 64

struct arguments {
    struct argument all[ARGUMENTS_MAX];
    size_t used;
    struct argument *first;
};

/* The text is ours: a mistake in it is a fault. */
void arguments_read(struct arguments *arguments, const char *text);
size_t arguments_count(const struct argument *first); /* it and those next to it */

#endif
