/* See stored_rows.h. The file is somebody else's: a line that has not what a row has is an error, never a guess. */
#include "bench/program/stored_rows.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int server_of(struct rows *r, const char *name, const char *version)
{
    for (int i = 0; i < r->server_count; i++)
        if (strcmp(r->servers[i].name, name) == 0) return i;
    if (r->server_count == REPORT_SERVERS_MAX) return -1;
    snprintf(r->servers[r->server_count].name, sizeof r->servers->name, "%s", name);
    snprintf(r->servers[r->server_count].version, sizeof r->servers->version, "%s", version);
    return r->server_count++;
}

static int better_of(const char *word, enum row_better *better)
{
    static const char *const words[] = {"less", "more", "neither"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        *better = (enum row_better)i;
        return 0;
    }
    return -1;
}

static int take_row(struct rows *r, json_t *line)
{
    const char *part, *name, *unit, *word, *server, *version;
    json_t *values, *value;
    size_t i;
    enum row_better better;
    if (json_unpack(line, "{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "part", &part, "name", &name, "unit", &unit, "better",
                    &word, "server", &server, "version", &version, "values", &values) != 0)
        return -1;
    int number = server_of(r, server, version);
    if (number < 0 || better_of(word, &better) != 0 || !json_is_array(values)) return -1;
    json_array_foreach(values, i, value)
    {
        if (!json_is_number(value)) return -1;
        rows_add(r, number, part, name, unit, better, json_number_value(value));
    }
    return 0;
}

static int take_line(struct rows *r, const char *text, size_t len)
{
    json_t *line = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    bool is_curve = json_is_string(json_object_get(line, "curves"));
    int status = line && (is_curve || take_row(r, line) == 0) ? 0 : -1;
    json_decref(line);
    return status;
}

int stored_rows_read(struct rows *r, const char *path, char error[256])
{
    char *line = NULL;
    size_t room = 0;
    int number = 0, status = 0;
    FILE *file = fopen(path, "r");
    snprintf(error, 256, "%.200s: %s", path, strerror(errno));
    if (!file) return -1;
    for (ssize_t len; status == 0 && (len = getline(&line, &room, file)) > 0;) {
        number++;
        status = take_line(r, line, (size_t)len);
    }
    fclose(file);
    free(line);
    if (status == 0 && r->count) return 0;
    snprintf(error, 256, "%.200s, line %d: this is no row of a report", path, number);
    return -1;
}
