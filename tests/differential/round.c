/* One round of generated commands; a failure is shrunk and printed. */
#include "tests/differential/round.h"

#include "tests/differential/shrink.h"

#define SHRINK_BOUND_MS 60000
#define AUDITOR         'z'
#define SHOWN_STEPS     25
#define WITHOUT_GROUPS  2

void round_append_audit(struct script *s, bool groups)
{
    static const char *const looks[] = {
        "z> DEBUG DIGEST",
        "unordered| z> KEYS *",
        "near| z> XINFO STREAM x1 FULL COUNT 0",
        "near| z> XINFO STREAM x2 FULL COUNT 0",
        "near| z> XINFO STREAM x3 FULL COUNT 0",
    };
    size_t count = groups ? sizeof looks / sizeof *looks : WITHOUT_GROUPS;
    for (size_t i = 0; i < count; i++) {
        struct step step;
        step_parse(looks[i], &step);
        script_append(s, step);
    }
}

struct script round_generate(struct generator *g, uint64_t seed, int number, bool audited)
{
    struct script s = {0};
    g->dice.state = seed ^ (0xd1342543de82ef95 * (uint64_t)(number + 1));
    generator_begin(g, &s);
    for (int part = 0; part < ROUND_PARTS; part++) {
        for (int i = 0; i < ROUND_PART_PRODUCTIONS; i++) generator_step(g, &s);
        if (part + 1 == ROUND_PARTS) generator_end(g, &s);
        if (audited) round_append_audit(&s, true);
    }
    return s;
}

int round_commands(const struct script *s)
{
    int commands = 0;
    for (int i = 0; i < s->count; i++) commands += s->at[i].kind != STEP_READ && s->at[i].client != AUDITOR;
    return commands;
}

void round_report(struct script s, const char *title, bool (*fails)(void *context, const struct script *s),
                  const char *(*why)(void *context), void *context)
{
    int from = 0;
    if (fails(context, &s)) {
        shrink(&s, fails, context, SHRINK_BOUND_MS);
        fails(context, &s);
        printf("\n== %s\n", title);
    } else {
        from = s.count > SHOWN_STEPS ? s.count - SHOWN_STEPS : 0;
        printf("\n# It does not fail again when it is repeated; its last steps:\n== %s\n", title);
    }
    for (int i = from; i < s.count; i++) {
        step_print(stdout, &s.at[i]);
        putchar('\n');
    }
    fputs(why(context), stdout);
    fflush(stdout);
    script_free(&s);
}
