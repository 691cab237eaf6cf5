/* The file into which a snapshot from our master comes, to be loaded from, to stay as the dataset's file, or both.
 *
 * Server process of the replica; a worker writes it (base/write_behind.h), and gives it its name. It has none before
 * that. Where the file system knows no nameless files (NFS, overlay before Linux 6.3) one that may stay has a temporary
 * name, temp-received-<process>-<number>.rdb, and a lock as long as its server lives. */
#ifndef SLIPSTREAM_REPL_RECEIVED_FILE_H
#define SLIPSTREAM_REPL_RECEIVED_FILE_H

#include "server/base/write_behind.h"

#include <limits.h>

struct worker_job;

struct received_file {
    struct write_behind writer;
    int fd, directory; /* directory: of the name; -1: it has none */
    char name[NAME_MAX + 1];
};

/* NULL with errno. Into the working directory alone, where it may get a name. */
struct received_file *received_file_open_to_keep(void);
/* To be loaded from and no more: wherever there is room (repl/spool_file.h). */
struct received_file *received_file_open(void);
/* Behind all that has been appended. Any thread but the one that appends may free it from then on. */
void received_file_submit(struct received_file *f, struct worker_job *job);
/* Aside, and behind what is written just now. NULL: nothing. */
void received_file_discard(struct received_file *f);

/* For such a job. Makes it durable and gives it the name in the directory, in place of what has it. 0, or -1 with
 * errno: the one of before stands. */
int received_file_make_durable(struct received_file *f);
int received_file_publish(struct received_file *f, int directory, const char *name);
void received_file_close(struct received_file *f); /* with its temporary name, if that is all it has */

/* At start: what has a temporary name in the working directory and belongs to no living server goes. */
void received_file_sweep(void);

#endif
