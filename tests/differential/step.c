/* Steps as text, in both directions. */
#include "tests/differential/step.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_spaces(const char *s)
{
    while (isspace((unsigned char)*s)) s++;
    return s;
}

static const char *read_client(const char *s, struct step *out)
{
    static const struct {
        const char *sign;
        enum step_kind kind;
    } signs[] = {{">>", STEP_SEND}, {">", STEP_COMMAND}, {"<!", STEP_SILENT}, {"<", STEP_READ}};
    if (!islower((unsigned char)s[0])) return s;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t len = strlen(signs[i].sign);
        if (strncmp(s + 1, signs[i].sign, len) != 0) continue;
        out->client = s[0];
        out->kind = signs[i].kind;
        return s + 1 + len;
    }
    return s;
}

static const char *read_variable(const char *s, struct step *out)
{
    size_t len = 1;
    if (s[0] != '$') return s;
    while (isalnum((unsigned char)s[len]) || s[len] == '_') len++;
    const char *equals = skip_spaces(s + len);
    if (len == 1 || *equals != '=') return s;
    free(out->variable);
    out->variable = strndup(s + 1, len - 1);
    return equals + 1;
}

static const char *read_mode(const char *s, struct step *out)
{
    size_t len = strcspn(s, "| ");
    return s[len] == '|' && mode_named(s, len, &out->mode) ? s + len + 1 : s;
}

const char *step_parse_head(const char *line, struct step *out)
{
    *out = (struct step){.kind = STEP_COMMAND, .client = 'a'};
    const char *s = skip_spaces(line), *before;
    do {
        before = s;
        s = skip_spaces(read_client(s, out));
        s = skip_spaces(read_variable(s, out));
        s = skip_spaces(read_mode(s, out));
    } while (s != before);
    if (out->variable && out->mode == MODE_EXACT) out->mode = MODE_SHAPE;
    return s;
}

const char *step_parse(const char *line, struct step *out)
{
    const char *command = step_parse_head(line, out), *wrong = NULL;
    bool has_command = out->kind == STEP_COMMAND || out->kind == STEP_SEND;
    if (!words_split(command, &out->words))
        wrong = "quotes do not match";
    else if (has_command != (out->words.count > 0))
        wrong = has_command ? "a command is missing" : "nothing may follow";
    else if (out->variable && out->kind != STEP_COMMAND)
        wrong = "only an awaited reply can be a variable";
    if (wrong) {
        free(out->variable);
        words_free(&out->words);
    }
    return wrong;
}

void step_print(FILE *out, const struct step *s)
{
    static const char *const signs[] = {
        [STEP_COMMAND] = "> ", [STEP_SEND] = ">> ", [STEP_READ] = "<", [STEP_SILENT] = "<!"};
    bool shown_mode = s->mode != MODE_EXACT && !(s->variable && s->mode == MODE_SHAPE);
    bool shown_client = s->client != 'a' || s->kind != STEP_COMMAND;
    if (shown_mode) fprintf(out, "%s| ", mode_name(s->mode));
    if (shown_client) fprintf(out, "%c%s", s->client, signs[s->kind]);
    if (s->variable) fprintf(out, "$%s = ", s->variable);
    words_print(out, &s->words);
}

struct step *script_append(struct script *s, struct step step)
{
    s->at = realloc(s->at, (s->count + 1) * sizeof *s->at);
    s->at[s->count] = step;
    return &s->at[s->count++];
}

struct script script_without(const struct script *s, int from, int to)
{
    struct script copy = {0};
    for (int i = 0; i < s->count; i++) {
        if (i >= from && i < to) continue;
        struct step step = s->at[i];
        step.words = words_copy(&s->at[i].words);
        if (step.variable) step.variable = strdup(step.variable);
        script_append(&copy, step);
    }
    return copy;
}

void script_free(struct script *s)
{
    for (int i = 0; i < s->count; i++) {
        free(s->at[i].variable);
        words_free(&s->at[i].words);
    }
    free(s->at);
    *s = (struct script){0};
}
