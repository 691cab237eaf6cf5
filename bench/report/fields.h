/* Rows for programs: named values, as a JSON object or as CSV. One place says what a row has, whatever its form. */
#ifndef REPORT_FIELDS_H
#define REPORT_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct fields {
    FILE *out;
    enum { FIELDS_JSON, FIELDS_CSV, FIELDS_CSV_HEAD } form;
    bool begun; /* a value stands before the next one */
};

void fields_text(struct fields *f, const char *name, const char *value);
void fields_number(struct fields *f, const char *name, int64_t value);
void fields_real(struct fields *f, const char *name, double value); /* null, or nothing, when it is no number */
void fields_reals(struct fields *f, const char *name, const double *values, int count); /* in JSON alone */

#endif
