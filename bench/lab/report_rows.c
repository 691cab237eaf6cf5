/* Rows for programs: JSON, one object a line, and CSV. The names are stable: whoever reads them may rely on them. */
#include "bench/lab/results.h"

#include <inttypes.h>

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

static void put_csv_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', out);
}

/* A row is a list of named values: one place says which. */
struct put {
    FILE *out;
    enum { PUT_JSON, PUT_CSV, PUT_CSV_HEAD } form;
    bool first;
};

static void put_name(struct put *p, const char *name)
{
    if (!p->first) fputs(p->form == PUT_JSON ? ", " : ",", p->out);
    p->first = false;
    if (p->form == PUT_JSON) fprintf(p->out, "\"%s\": ", name);
    if (p->form == PUT_CSV_HEAD) fputs(name, p->out);
}

static void put_text(struct put *p, const char *name, const char *value)
{
    put_name(p, name);
    if (p->form == PUT_JSON) put_json_text(p->out, value);
    if (p->form == PUT_CSV) put_csv_text(p->out, value);
}

static void put_number(struct put *p, const char *name, int64_t value)
{
    put_name(p, name);
    if (p->form != PUT_CSV_HEAD) fprintf(p->out, "%" PRId64, value);
}

static void put_row(struct put *p, const struct result *r)
{
    const struct cell *c = &r->cell;
    const struct try_result *t = &r->got;
    p->first = true;
    put_text(p, "master", c->master->name);
    put_text(p, "replica", c->replica->name);
    put_text(p, "fault", c->fault->name);
    put_number(p, "length_ms", c->length_ms);
    put_number(p, "rate_bytes_per_s", (int64_t)c->bytes_per_s);
    put_number(p, "backlog_bytes", (int64_t)c->backlog_bytes);
    put_number(p, "try", r->number);
    put_number(p, "seed", (int64_t)t->seed);
    put_text(p, "verdict", verdict_name(t->verdict));
    put_text(p, "predicted", granted_name(t->predicted.granted));
    put_text(p, "predicted_because", t->predicted.why);
    put_text(p, "on_wire", granted_name(t->on_wire));
    put_text(p, "answer", t->answer);
    put_text(p, "by_info", granted_name(t->by_info));
    put_number(p, "caught_up_us", t->caught_up_ms < 0 ? -1 : (int64_t)(t->caught_up_ms * 1000));
    put_number(p, "bytes_again", (int64_t)t->bytes_again);
    put_number(p, "forks", t->forks);
    put_number(p, "peak_memory_bytes", (int64_t)t->track.peak_bytes);
    put_number(p, "worst_delay_us", t->track.worst_delay_us);
    put_number(p, "writes_acknowledged", (int64_t)t->writes_acknowledged);
    put_number(p, "writes_lost", t->writes_lost);
    put_number(p, "data_equal", t->data_equal);
    put_text(p, "sentence", t->sentence);
}

void report_json(const struct results *r, FILE *out)
{
    for (int i = 0; i < r->count; i++) {
        struct put p = {.out = out, .form = PUT_JSON};
        fputc('{', out);
        put_row(&p, r->list[i]);
        fputs("}\n", out);
    }
}

void report_csv(const struct results *r, FILE *out)
{
    static const struct contestant nobody;
    static const struct fault none = {.name = ""};
    const struct result head = {.cell = {.master = &nobody, .replica = &nobody, .fault = &none}};
    struct put p = {.out = out, .form = PUT_CSV_HEAD};
    put_row(&p, &head);
    fputc('\n', out);
    for (int i = 0; i < r->count; i++) {
        p.form = PUT_CSV;
        put_row(&p, r->list[i]);
        fputc('\n', out);
    }
}
