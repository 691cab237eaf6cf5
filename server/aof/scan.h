/* Reads the commands of an append-only file. A pure parser: the caller feeds windows of the file as they come.
 *
 *   file        an RDB or nothing, then records             (a base file of a rewrite; before Redis 7 any file)
 *   record      command or annotation
 *   command     '*' count line-end, then so many strings
 *   string      '$' length line-end, so many bytes, line-end; line-end is CR LF
 *   annotation  '#' anything LF; at most 1023 bytes with its end, which may be missing at the end of the file
 *   MULTI, EXEC bracket the commands of a transaction, which is whole or does not count
 *
 * A file that grew while its machine died ends anywhere: it is valid up to the end of its last whole record outside of
 * an open transaction, and that offset is always known. Judged is what redis-check-aof judges, with its laxness in
 * numbers (blanks, signs, none at all) and its limits of lines, so that both find the same offsets. Whether a command
 * makes sense is not judged here.
 *
 * Why not the reader of requests (server/resp): that one trusts line ends and knows no offsets; here every byte may be
 * damage, and where it is has to be said. */
#ifndef SLIPSTREAM_AOF_SCAN_H
#define SLIPSTREAM_AOF_SCAN_H

#include "server/base/bytes.h"

#define AOF_ANNOTATION_MAX_BYTES 1023
#define AOF_HEAD_BYTES           8

/* Whether a file begins with an RDB, from its first AOF_HEAD_BYTES. A shorter file does not, as in Redis. */
bool aof_begins_with_rdb(struct bytes head);

struct aof_scan;

struct aof_scan_options {
    uint64_t offset; /* in the file, where the records begin: behind its RDB */
    uint64_t size;   /* of the file; what is behind it is never asked for */
    uint64_t line;   /* what aof_scan_line counts from */
    /* Commands come with their arguments, and a window must hold a whole one. Else no window needs more than 1 KiB, and
     * only what is needed to know MULTI and EXEC is looked at. */
    bool arguments;
    /* What redis-server takes is taken, and not what its tool takes: a line of a count or length may end in anything
     * and a line feed, what stands behind a string is passed over, and a MULTI within another and an EXEC alone are
     * commands like others; but there is no command of no strings. */
    bool as_server;
};

enum aof_scan_status {
    AOF_SCAN_MORE, /* feed again: what was not consumed and more behind it, aof_scan_wanted bytes at least */
    AOF_SCAN_COMMAND,
    AOF_SCAN_ANNOTATION,
    AOF_SCAN_END, /* the file is whole */
    AOF_SCAN_CUT, /* the file ends within a record or a transaction: aof_scan_fault says where */
    AOF_SCAN_BAD, /* so it does */
};

enum aof_command_kind { AOF_COMMAND_OTHER, AOF_COMMAND_MULTI, AOF_COMMAND_EXEC };

/* Slices of the input and of the scan; valid until the next feed. */
struct aof_record {
    uint64_t offset;            /* of its first byte */
    struct bytes raw;           /* of an annotation with its end; of a command when arguments are wanted, else empty */
    enum aof_command_kind kind; /* of a command */
    size_t argc;                /* may be 0: Redis loads no such command */
    const struct bytes *argv;   /* NULL unless arguments are wanted */
};

enum aof_fault_kind {
    AOF_FAULT_NONE, /* the file ends before a piece of a command */
    AOF_FAULT_TYPE, /* what begins here is no record */
    AOF_FAULT_LINE_END,
    AOF_FAULT_PREFIX,
    AOF_FAULT_LENGTH,
    AOF_FAULT_SHORT,
    AOF_FAULT_NESTED_MULTI,
    AOF_FAULT_LONE_EXEC,
    AOF_FAULT_OPEN_MULTI,
};

struct aof_fault {
    enum aof_fault_kind kind;
    bool cut;        /* what is there may be the beginning of something whole: CUT, not BAD */
    uint64_t offset; /* of the piece of a command that was being read: a count, a length, a string's bytes */
    uint8_t found[2];
    uint8_t expected;       /* prefix */
    int64_t wanted_bytes;   /* length */
    uint64_t present_bytes; /* of a string */
};

#define AOF_FAULT_TEXT_BYTES 128

struct aof_scan *aof_scan_new(const struct aof_scan_options *options);
void aof_scan_free(struct aof_scan *s); /* NULL is fine */

/* Reads on from the first byte that was not consumed: one record at most. After END, CUT or BAD it says so again. */
enum aof_scan_status aof_scan_feed(struct aof_scan *s, const uint8_t *input, size_t len, size_t *consumed);

const struct aof_record *aof_scan_record(const struct aof_scan *s); /* after COMMAND or ANNOTATION */
uint64_t aof_scan_wanted(const struct aof_scan *s);                 /* after MORE: never beyond the file's end */
/* Up to here the file can be kept. Before an open transaction; the offset of the record that was just given is not
 * behind it unless a transaction is open. */
uint64_t aof_scan_valid_offset(const struct aof_scan *s);
bool aof_scan_is_in_transaction(const struct aof_scan *s); /* MULTI has come, and its EXEC has not */
uint64_t aof_scan_line(const struct aof_scan *s); /* redis-check-aof's: pieces of commands read, not line ends */
const struct aof_fault *aof_scan_fault(const struct aof_scan *s); /* after CUT or BAD */
/* In redis-check-aof's words, for the file of that name. "" for AOF_FAULT_NONE. */
void aof_fault_text(const struct aof_fault *fault, const char *file, char *out, size_t size);

#endif
