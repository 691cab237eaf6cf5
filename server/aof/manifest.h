/* The manifest of an append-only file: which files it consists of. Pure: bytes in, bytes out, and the legal changes.
 *
 * Since Redis 7 an append-only file is a directory (appenddirname) with files of three types:
 *
 *   base         the dataset as of one moment, as an RDB or as commands; at most one
 *   incremental  the commands since then, in files with ascending sequence numbers; the last one is still growing
 *   history      what a rewrite has replaced and nobody has deleted yet; never loaded
 *
 * The manifest (appendfilename.manifest) is a text with a line for each; the base comes first, then history with the
 * newest in front, then the incrementals:
 *
 *   file appendonly.aof.2.base.rdb seq 2 type b
 *   file appendonly.aof.1.incr.aof seq 1 type h
 *   file appendonly.aof.1.base.rdb seq 1 type h
 *   file appendonly.aof.2.incr.aof seq 2 type i
 *
 *   line   pairs of words, the first of each a key in any case; a line feed ends it, and it has 1024 bytes with that
 *          at most. What begins with '#' is a comment. An empty line, or one without its end, is a fault.
 *   file   a name without a directory, as a word of an inline request: in quotes where it has blanks, quotes or bytes
 *          that cannot be printed
 *   seq    a decimal number other than 0, at most 2^62; ascending from 1 on among incrementals
 *   type   its first letter counts: b, h, i
 *   others are passed over, for the sake of later versions
 *
 * Sources: manifests that redis-server 7.0.15 writes, and what it and redis-check-aof say of others. There is one
 * difference: a name with an apostrophe is put in quotes; Redis leaves them out and cannot read it again.
 *
 * A change is made to a copy. When the copy stands on the disk (aof/manifest_file.h) it takes the original's place;
 * until then whoever loads the directory finds what the original says. */
#ifndef SLIPSTREAM_AOF_MANIFEST_H
#define SLIPSTREAM_AOF_MANIFEST_H

#include "server/base/bytes.h"

#define AOF_MANIFEST_LINE_MAX_BYTES 1024 /* with its end */
#define AOF_SEQ_MAX                 ((int64_t)1 << 62)

struct aof_manifest;

struct aof_file {
    char *name; /* the manifest's; without a directory */
    int64_t seq;
};

/* Valid until the next change of the manifest. */
struct aof_files {
    const struct aof_file *file;
    size_t count;
};

enum aof_base_format { AOF_BASE_RDB, AOF_BASE_COMMANDS };

/* Why a text is no manifest, in Redis's words. */
struct aof_manifest_fault {
    const char *reason;
    unsigned line;                              /* from 1 on; 0: no line is to blame, or it is too long to be shown */
    char text[AOF_MANIFEST_LINE_MAX_BYTES + 1]; /* of that line, without blanks around; terminated */
};

struct aof_manifest *aof_manifest_new(void); /* of no files */
/* NULL: *fault says why. */
struct aof_manifest *aof_manifest_parse(struct bytes text, struct aof_manifest_fault *fault);
struct aof_manifest *aof_manifest_copy(const struct aof_manifest *m);
void aof_manifest_free(struct aof_manifest *m);                 /* NULL is fine */
struct bytes aof_manifest_format(const struct aof_manifest *m); /* the caller's to mem_free */

const struct aof_file *aof_manifest_base(const struct aof_manifest *m); /* NULL: none */
struct aof_files aof_manifest_history(const struct aof_manifest *m);
struct aof_files aof_manifest_incrementals(const struct aof_manifest *m); /* in the order of loading */

/* --- changes; `prefix` is appendfilename, from which new files get their names --- */

/* What a server without a manifest found: the one file of Redis before 7. m has no files. */
void aof_manifest_adopt(struct aof_manifest *m, const char *name);
/* One more incremental behind the others: prefix.SEQ.incr.aof */
const struct aof_file *aof_manifest_add_incremental(struct aof_manifest *m, const char *prefix);
/* A new base: prefix.SEQ.base.rdb or .aof. It replaces the old one and all incrementals but the newest `kept`; they are
 * history now. */
const struct aof_file *aof_manifest_replace_base(struct aof_manifest *m, const char *prefix,
                                                 enum aof_base_format format, size_t kept);
void aof_manifest_forget_history(struct aof_manifest *m); /* the files of history have been deleted, or will be */

#endif
