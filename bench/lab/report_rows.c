/* Rows for programs: JSON, one object a line, and CSV. The names are stable: whoever reads them may rely on them. */
#include "bench/lab/results.h"
#include "bench/report/fields.h"

static void put_row(struct fields *p, const struct result *r)
{
    const struct cell *c = &r->cell;
    const struct try_result *t = &r->got;
    p->begun = false;
    fields_text(p, "master", c->master->name);
    fields_text(p, "replica", c->replica->name);
    fields_text(p, "fault", c->fault->name);
    fields_number(p, "length_ms", c->length_ms);
    fields_number(p, "rate_bytes_per_s", (int64_t)c->bytes_per_s);
    fields_number(p, "backlog_bytes", (int64_t)c->backlog_bytes);
    fields_number(p, "try", r->number);
    fields_number(p, "seed", (int64_t)t->seed);
    fields_text(p, "verdict", verdict_name(t->verdict));
    fields_text(p, "predicted", granted_name(t->predicted.granted));
    fields_text(p, "predicted_because", t->predicted.why);
    fields_text(p, "on_wire", granted_name(t->on_wire));
    fields_text(p, "answer", t->answer);
    fields_text(p, "by_info", granted_name(t->by_info));
    fields_number(p, "caught_up_us", t->caught_up_ms < 0 ? -1 : (int64_t)(t->caught_up_ms * 1000));
    fields_number(p, "bytes_again", (int64_t)t->bytes_again);
    fields_number(p, "forks", t->forks);
    fields_number(p, "peak_memory_bytes", (int64_t)t->track.peak_bytes);
    fields_number(p, "worst_delay_us", t->track.worst_delay_us);
    fields_number(p, "writes_acknowledged", (int64_t)t->writes_acknowledged);
    fields_number(p, "writes_lost", t->writes_lost);
    fields_number(p, "data_equal", t->data_equal);
    fields_text(p, "sentence", t->sentence);
}

void report_json(const struct results *r, FILE *out)
{
    for (int i = 0; i < r->count; i++) {
        struct fields p = {.out = out, .form = FIELDS_JSON};
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
    struct fields p = {.out = out, .form = FIELDS_CSV_HEAD};
    put_row(&p, &head);
    fputc('\n', out);
    for (int i = 0; i < r->count; i++) {
        p.form = FIELDS_CSV;
        put_row(&p, r->list[i]);
        fputc('\n', out);
    }
}
