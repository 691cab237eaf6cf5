/* What annotations of an append-only file say. Pure.
 *
 *   #TS:1700000000         with aof-timestamp-enabled: the second of the commands that follow, before them, when it is
 *                          another one than before, and never within a transaction (redis-check-aof may cut there)
 *   #HISTORY:ID:O:ID2:S    ours: the stream's history and offset behind the last command before this line: history ID
 *                          at offset O, and ID2 up to offset S ("-" and -1: there was none)
 *   #OFFSET:O              the same history; bytes of the stream that are no data (a PING) were left out here
 *   #END:O                 the same, and whoever wrote has ended here
 *
 * Each ends with CR LF. Redis passes over all but the first, between any two commands, also of a transaction.
 *
 * The offset behind a command is that of the last annotation and the bytes of all commands since. It is known only
 * behind an annotation of the same file, and an end annuls it for what follows: another server, Redis itself, may have
 * gone on with the file, and its commands are of no history of ours. Each writer of ours says #HISTORY
 * before its first data. */
#ifndef SLIPSTREAM_AOF_ANNOTATION_H
#define SLIPSTREAM_AOF_ANNOTATION_H

#include "server/base/bytes.h"

#define AOF_HISTORY_ID_BYTES 41
#define AOF_NOTE_MAX_BYTES   192 /* that we write */

enum aof_timestamp { AOF_TIMESTAMP_NONE, AOF_TIMESTAMP_READ, AOF_TIMESTAMP_BAD };

/* annotation: the whole line. NONE: it is another one, and *seconds is as before. */
enum aof_timestamp aof_read_timestamp(struct bytes annotation, int64_t *seconds);

/* Where a reader of files stands in the stream. Of a transaction that turns out to be cut off, the caller keeps the
 * position from before its MULTI. */
struct aof_position {
    bool known; /* id and offset are those behind the last command */
    bool told;  /* by an annotation since the last end or beginning of a file: commands count */
    char id[AOF_HISTORY_ID_BYTES], second_id[AOF_HISTORY_ID_BYTES]; /* second_id "": none */
    int64_t second_offset;                                          /* -1: there is no second id */
    uint64_t offset;
};

/* The next file's records follow; before them the position is as it was, or as the caller knows it from a base file. */
void aof_position_begin_file(struct aof_position *p);
void aof_position_pass_command(struct aof_position *p, uint64_t bytes);
/* Whether the annotation was one on the position; one that makes no sense makes it unknown. */
bool aof_position_read(struct aof_position *p, struct bytes annotation);

/* The line's bytes; room for AOF_NOTE_MAX_BYTES. */
size_t aof_write_timestamp(char *out, int64_t seconds);
size_t aof_write_history(char *out, const struct aof_position *p);
size_t aof_write_offset(char *out, uint64_t offset);
size_t aof_write_end(char *out, uint64_t offset);

#endif
