/* A report read again, from what --json wrote. */
#ifndef PROGRAM_STORED_ROWS_H
#define PROGRAM_STORED_ROWS_H

#include "bench/report/rows.h"

/* 0, or -1: `error` says which line is none of a report, or why the file cannot be read. rows_free() in any case.
 * Curves are not read. */
int stored_rows_read(struct rows *r, const char *path, char error[256]);

#endif
