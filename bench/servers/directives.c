/* See directives.h. What a server says of a directive that it does not know has been the same in every version of Redis
 * and Valkey: a line >>> 'NAME "VALUE"', and below it "Bad directive or wrong number of arguments". */
#include "bench/servers/directives.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD_BYTES 512

int directives_add(struct directives *d, const char *line)
{
    size_t name = strcspn(line, " ");
    if (d->count == DIRECTIVES_MAX || !name || !line[name] || strlen(line) >= WORD_BYTES) return -1;
    d->lines[d->count++] = line;
    return 0;
}

int directives_put(const struct directives *d, const char **argv, int argc, int argc_max, char words[][512])
{
    for (int i = 0; i < d->count; i++) {
        char copy[WORD_BYTES], *rest = copy;
        bool first = true;
        if (d->left_out[i]) continue;
        snprintf(copy, sizeof copy, "%s", d->lines[i]);
        for (char *word; (word = strsep(&rest, " ")) && argc < argc_max;) {
            if (!*word) continue;
            snprintf(words[argc], WORD_BYTES, "%s%.500s", first ? "--" : "", word);
            argv[argc] = words[argc];
            argc++;
            first = false;
        }
    }
    return argc;
}

static int number_of(const struct directives *d, const char *name, size_t len)
{
    for (int i = 0; i < d->count; i++)
        if (!d->left_out[i] && strcspn(d->lines[i], " ") == len && strncasecmp(d->lines[i], name, len) == 0) return i;
    return -1;
}

bool directives_learn(struct directives *d, const char *log)
{
    static const char mark[] = ">>> '";
    char line[WORD_BYTES];
    int named = -1;
    bool learnt = false;
    FILE *file = fopen(log, "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *name = line + strlen(mark);
        if (strncmp(line, mark, strlen(mark)) == 0) {
            named = number_of(d, name, strcspn(name, " '\""));
        } else if (named >= 0 && strncmp(line, "Bad directive", strlen("Bad directive")) == 0) {
            d->left_out[named] = learnt = true;
            named = -1;
        }
    }
    if (file) fclose(file);
    return learnt;
}

void directives_describe(const struct directives *d, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < d->count && len < size; i++) {
        if (!d->left_out[i]) continue;
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", len ? ", " : "without ",
                                (int)strcspn(d->lines[i], " "), d->lines[i]);
    }
}
