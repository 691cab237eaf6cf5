/* See fields.h. */
#include "bench/report/fields.h"

#include <inttypes.h>
#include <math.h>

static void put_json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void put_json_real(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.9g", value);
    else
        fputs("null", out);
}

static void put_csv_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', out);
}

static void put_name(struct fields *f, const char *name)
{
    if (f->begun) fputs(f->form == FIELDS_JSON ? ", " : ",", f->out);
    f->begun = true;
    if (f->form == FIELDS_JSON) fprintf(f->out, "\"%s\": ", name);
    if (f->form == FIELDS_CSV_HEAD) fputs(name, f->out);
}

void fields_text(struct fields *f, const char *name, const char *value)
{
    put_name(f, name);
    if (f->form == FIELDS_JSON) put_json_text(f->out, value);
    if (f->form == FIELDS_CSV) put_csv_text(f->out, value);
}

void fields_number(struct fields *f, const char *name, int64_t value)
{
    put_name(f, name);
    if (f->form != FIELDS_CSV_HEAD) fprintf(f->out, "%" PRId64, value);
}

void fields_real(struct fields *f, const char *name, double value)
{
    put_name(f, name);
    if (f->form == FIELDS_CSV_HEAD) return;
    if (f->form == FIELDS_JSON)
        put_json_real(f->out, value);
    else if (isfinite(value))
        fprintf(f->out, "%.9g", value);
}

void fields_reals(struct fields *f, const char *name, const double *values, int count)
{
    if (f->form != FIELDS_JSON) return;
    put_name(f, name);
    fputc('[', f->out);
    for (int i = 0; i < count; i++) {
        if (i) fputs(", ", f->out);
        put_json_real(f->out, values[i]);
    }
    fputc(']', f->out);
}
