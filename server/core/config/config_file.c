/* The configuration as text: a file with its includes, standard input, and the command line's options as further lines.
 *
 * All three become one text, read line by line in that order, so that later ones win and a line number in an error
 * counts as Redis counts. Errors go to stderr in Redis's words: there is no log yet. Server process, at start only. */
#include "server/core/config/config_parts.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/core/command/command_table.h"
#include "server/core/version.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 16

static struct bytes trimmed(struct bytes line)
{
    while (line.len && isspace(line.ptr[0])) line = bytes_make(line.ptr + 1, line.len - 1);
    while (line.len && isspace(line.ptr[line.len - 1])) line.len--;
    return line;
}

/* --- one line --- */

/* False: the error was printed. */
static bool read_lines(struct config *c, struct bytes text, int depth);

static bool include_file(struct config *c, const char *path, int depth)
{
    uint8_t *data;
    size_t len;
    if (file_read_whole(path, &data, &len)) {
        log_warning("Fatal error, can't open config file '%s': %s", path, strerror(errno));
        return false;
    }
    bool good = read_lines(c, bytes_make(data, len), depth);
    mem_free(data);
    return good;
}

/* A pattern that matches nothing includes nothing; a plain name must exist. */
static bool include(struct config *c, struct bytes name, int depth)
{
    char *pattern = bytes_to_text(name);
    glob_t found = {0};
    bool good = true;
    if (!strpbrk(pattern, "*?["))
        good = include_file(c, pattern, depth);
    else if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && good; i++) good = include_file(c, found.gl_pathv[i], depth);
    globfree(&found);
    mem_free(pattern);
    return good;
}

enum line_result { LINE_FINE, LINE_BAD, LINE_STOP }; /* BAD: message says why; STOP: all was said */

static enum line_result bad(char message[CONFIG_MESSAGE_MAX], const char *text)
{
    snprintf(message, CONFIG_MESSAGE_MAX, "%s", text);
    return LINE_BAD;
}

static enum line_result rename_command(struct config *c, struct bytes from, struct bytes to, char *message)
{
    CHECK(c->commands);
    switch (command_table_rename(c->commands, from, to)) {
    case COMMAND_RENAMED: return LINE_FINE;
    case COMMAND_RENAME_UNKNOWN: return bad(message, "No such command in rename-command");
    case COMMAND_RENAME_TAKEN: return bad(message, "Target command name already exists");
    }
    return LINE_BAD;
}

/* What Redis once honoured, or still did in 6.2, and what nobody misses since. */
static bool is_retired(struct bytes name)
{
    static const char *const names[] = {"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands",
                                        "gopher-enabled"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (bytes_equal_nocase(name, names[i])) return true;
    }
    return false;
}

/* Lines that are no directives with a value. LINE_BAD without a message: not one of these either. */
static enum line_result read_statement(struct config *c, const struct words *w, int depth, char *message)
{
    struct bytes name = w->word[0];
    *message = 0;
    if (bytes_equal_nocase(name, "include") && w->count == 2) {
        if (depth == INCLUDE_DEPTH_MAX) return bad(message, "Too many nested include directives");
        return include(c, w->word[1], depth + 1) ? LINE_FINE : LINE_STOP;
    }
    if (bytes_equal_nocase(name, "loadmodule") && w->count >= 2) {
        log_warning("Can't load module from %.*s: server aborting", (int)w->word[1].len, (const char *)w->word[1].ptr);
        return LINE_STOP;
    }
    if (bytes_equal_nocase(name, "user") && w->count >= 2) {
        return config_keep_user_line(c, w->count - 1, w->word + 1, message) ? LINE_FINE : LINE_BAD;
    }
    if (bytes_equal_nocase(name, "rename-command") && w->count == 3)
        return rename_command(c, w->word[1], w->word[2], message);
    if (c->statements && bytes_equal_nocase(name, c->statements->name))
        return c->statements->read(c->statements->arg, w->count - 1, w->word + 1, message) ? LINE_FINE : LINE_BAD;
    if (bytes_equal_nocase(name, "sentinel")) return bad(message, "sentinel directive while not in sentinel mode");
    return is_retired(name) && w->count == 2 ? LINE_FINE : LINE_BAD;
}

static enum line_result read_words(struct config *c, const struct words *w, int depth, char *message)
{
    const struct directive *d = directive_find(w->word[0]);
    if (!d) {
        enum line_result result = read_statement(c, w, depth, message);
        if (result != LINE_BAD || *message) return result;
        return bad(message, "Bad directive or wrong number of arguments");
    }
    if (!directive_parse(c, d, w->count - 1, w->word + 1, message)) return LINE_BAD;
    c->given[directive_row(c, d)] = true;
    return LINE_FINE;
}

static enum line_result read_line(struct config *c, struct bytes line, int depth, char *message)
{
    if (!line.len || line.ptr[0] == '#') return LINE_FINE;
    struct words words;
    if (!words_split(line, &words)) return bad(message, "Unbalanced quotes in configuration line");
    enum line_result result = words.count ? read_words(c, &words, depth, message) : LINE_FINE;
    words_free(&words);
    return result;
}

/* --- all lines --- */

static void print_fatal(unsigned number, struct bytes line, const char *message)
{
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\n", REDIS_VERSION);
    if (number) {
        fprintf(stderr, "Reading the configuration file, at line %u\n", number);
        fprintf(stderr, ">>> '%.*s'\n", (int)line.len, (const char *)line.ptr);
    }
    fprintf(stderr, "%s\n", message);
}

static bool read_lines(struct config *c, struct bytes text, int depth)
{
    unsigned number = 0;
    while (text.len) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, whole = end ? len + 1 : len;
        struct bytes line = trimmed(bytes_make(text.ptr, len));
        char message[CONFIG_MESSAGE_MAX];
        number++;
        enum line_result result = read_line(c, line, depth, message);
        if (result == LINE_BAD) print_fatal(number, line, message);
        if (result != LINE_FINE) return false;
        text = bytes_make(text.ptr + whole, text.len - whole);
    }
    return true;
}

static bool read_stdin(struct config_text *all)
{
    char buffer[4096];
    ssize_t got;
    if (isatty(STDIN_FILENO)) log_notice("Reading config from stdin");
    while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) config_text_add(all, bytes_make(buffer, (size_t)got));
    return got == 0;
}

static bool read_file(struct config *c, const char *path, struct config_text *all)
{
    char here[PATH_MAX];
    struct config_text absolute = {0};
    if (*path != '/' && getcwd(here, sizeof here)) config_text_printf(&absolute, "%s/", here);
    config_text_printf(&absolute, "%s", path);
    c->file = absolute.ptr;
    uint8_t *data;
    size_t len;
    if (file_read_whole(path, &data, &len)) return false;
    config_text_add(all, bytes_make(data, len));
    mem_free(data);
    return true;
}

static bool refuse_whole(const char *name, const char *why)
{
    char message[CONFIG_MESSAGE_MAX];
    snprintf(message, sizeof message, "'%s': %s", name, why);
    print_fatal(0, BYTES(""), message);
    return false;
}

static bool check_log_file(const struct config *c)
{
    const char *logfile = c->settings->server.logfile;
    if (!logfile || !*logfile) return true;
    int fd = open(logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    char message[CONFIG_MESSAGE_MAX];
    snprintf(message, sizeof message, "Can't open the log file: %s", strerror(errno));
    print_fatal(0, BYTES(""), message);
    return false;
}

/* What no single line can know. */
static bool check_whole(const struct config *c)
{
    for (size_t i = 0; i < config_directive_count; i++) {
        const char *loss = config_missing_part(c, &config_directives[i], true);
        if (loss) return refuse_whole(config_directives[i].name, loss);
    }
    return check_log_file(c);
}

void config_want_stdin(struct config *c)
{
    c->wants_stdin = true;
}

int config_load(struct config *c, const char *path, struct bytes extra)
{
    struct config_text all = {0};
    bool good = !path || read_file(c, path, &all);
    if (!good) log_warning("Fatal error, can't open config file '%s': %s", c->file, strerror(errno));
    if (good && c->wants_stdin) {
        good = read_stdin(&all);
        if (!good) log_warning("Fatal error, can't read the configuration from stdin: %s", strerror(errno));
    }
    if (extra.len) config_text_add(&all, BYTES("\n"));
    config_text_add(&all, extra);
    c->reading = true;
    good = good && read_lines(c, config_text_bytes(&all), 0) && check_whole(c);
    c->reading = false;
    config_text_free(&all);
    return good ? 0 : -1;
}

/* --- the command line --- */

static bool has_blank(const char *text)
{
    return strpbrk(text, " \t") != NULL;
}

/* "--name" begins a line, except directly behind a name that still lacks its value ("--masterauth --secret"). `save`
 * and `sentinel` may stand alone. A whole line may come as one argument ("--port 7000"), and is complete then. */
void config_lines_from_arguments(int argc, char **argv, struct bytes *out)
{
    struct config_text lines = {0};
    bool lacks_value = false;
    for (int i = 0; i < argc; i++) {
        bool is_save = strcmp(argv[i], "--save") == 0;
        bool last = i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0;
        bool stands_alone = last && (is_save || strcmp(argv[i], "--sentinel") == 0);
        if (strncmp(argv[i], "--", 2) == 0 && !lacks_value) {
            config_text_printf(&lines, "%s%s%s", lines.len ? "\n" : "", argv[i] + 2, is_save && last ? " \"\"" : "");
            lacks_value = !has_blank(argv[i]) && !stands_alone;
        } else {
            config_text_add(&lines, BYTES(" "));
            config_text_quoted(&lines, bytes_from_text(argv[i]));
            lacks_value = false;
        }
    }
    if (lines.len) config_text_add(&lines, BYTES("\n"));
    *out = config_text_bytes(&lines);
    if (!lines.ptr) *out = bytes_make(mem_strdup(""), 0);
}

/* --- what was accepted in vain --- */

void config_say_no_effect(const struct directive *d)
{
    log_warning("Directive '%s' is accepted but has no effect here", d->name);
}

void config_warn_without_effect(const struct config *c)
{
    struct config_text harmless = {0};
    for (size_t i = 0; i < config_directive_count; i++) {
        const struct directive *d = &config_directives[i];
        if (!(d->flags & DIR_NO_EFFECT) || !c->given[i]) continue;
        if (directive_is_initial(c, d))
            config_text_printf(&harmless, "%s%s", harmless.len ? ", " : "", d->name);
        else
            config_say_no_effect(d);
    }
    if (harmless.len) log_notice("Directives that have no effect here and are at their default: %s", harmless.ptr);
    config_text_free(&harmless);
}
