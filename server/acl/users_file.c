/* The ACL file: users as lines, read all or nothing, and written. Server process.
 *
 * A line is "user NAME rule..."; words are parted by single blanks, and there are neither quotes nor comments. Empty
 * lines say nothing. */
#include "server/acl/users.h"

#include "server/base/alloc.h"
#include "server/base/file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

struct loading {
    const struct users *users;
    const char *path;
    struct map found; /* struct user by name */
    struct acl_text *errors;
};

static struct bytes trimmed(struct bytes line)
{
    while (line.len && isspace(line.ptr[0])) line = bytes_make(line.ptr + 1, line.len - 1);
    while (line.len && isspace(line.ptr[line.len - 1])) line.len--;
    return line;
}

/* The words of a line; mem_free(*out). */
static uint32_t split(struct bytes line, struct bytes **out)
{
    uint32_t count = 1;
    for (size_t i = 0; i < line.len; i++) count += line.ptr[i] == ' ';
    *out = mem_alloc(count * sizeof **out);
    for (uint32_t i = 0; i < count; i++) (*out)[i] = bytes_take_word(&line);
    return count;
}

/* As Redis reports it: every rule that names an unknown command, and of all other faults the line's first. */
static void apply_rules(struct loading *l, struct user *u, unsigned number, uint32_t count, const struct bytes *word)
{
    struct acl_rules rules;
    uint32_t culprit;
    bool said = acl_rules_join(&rules, count, word, &culprit) != 0;
    if (said) acl_text_addf(l->errors, "%s:%u: Unmatched parenthesis in selector definition. ", l->path, number);
    for (uint32_t i = 0; i < rules.count; i++) {
        enum acl_error error = users_apply(l->users, u, rules.rule[i]);
        if (error == ACL_UNKNOWN_COMMAND)
            acl_text_addf(l->errors, "%s:%u: Error in applying operation '%.*s': %s. ", l->path, number,
                          (int)rules.rule[i].len, (const char *)rules.rule[i].ptr, acl_error_text(error));
        else if (error && !said)
            acl_text_addf(l->errors, "%s:%u: %s. ", l->path, number, acl_error_text(error));
        said |= error && error != ACL_UNKNOWN_COMMAND;
    }
    acl_rules_free(&rules);
}

static void read_line(struct loading *l, unsigned number, struct bytes line)
{
    struct bytes *word;
    uint32_t count = split(line, &word);
    if (count < 2 || !bytes_equal_text(word[0], "user")) {
        acl_text_addf(l->errors, "%s:%u should start with user keyword followed by the username. ", l->path, number);
    } else if (!user_name_is_valid(word[1])) {
        acl_text_addf(l->errors, "'%s:%u: username '%.*s' contains invalid characters. ", l->path, number,
                      (int)word[1].len, (const char *)word[1].ptr);
    } else if (map_get(&l->found, word[1])) {
        acl_text_addf(l->errors, "WARNING: Duplicate user '%.*s' found on line %u. ", (int)word[1].len,
                      (const char *)word[1].ptr, number);
    } else {
        struct user *u = user_new(word[1], false);
        users_reset(l->users, u);
        *map_slot(&l->found, word[1]) = u;
        apply_rules(l, u, number, count - 2, word + 2);
    }
    mem_free(word);
}

/* Who is not in the file goes; but the user "default", who becomes as he was at the very beginning. */
static void replace_all(struct users *users, struct map *found, void (*gone)(void *arg, struct user *u), void *arg)
{
    struct user **old = users_sorted(users);
    size_t old_count = users->by_name.count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] == users->default_user) continue;
        if (gone) gone(arg, old[i]);
        users_remove(users, old[i]);
    }
    mem_free(old);
    if (!map_get(found, users->default_user->name)) {
        struct users *fresh = users_new(users->vocabulary, users->settings);
        user_swap(users->default_user, fresh->default_user);
        user_free(fresh->default_user);
        map_clear(&fresh->by_name);
        mem_free(fresh);
    }
    for (struct map_entry *e = map_next(found, NULL); e; e = map_next(found, e)) users_put(users, e->value);
}

int users_load_text(struct users *users, const char *path, struct bytes text, void (*gone)(void *arg, struct user *u),
                    void *arg, struct acl_text *errors)
{
    struct loading l = {.users = users, .path = path, .errors = errors};
    for (unsigned number = 1; text.len; number++) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, whole = end ? len + 1 : len;
        struct bytes line = trimmed(bytes_make(text.ptr, len));
        if (line.len) read_line(&l, number, line);
        text = bytes_make(text.ptr + whole, text.len - whole);
    }
    bool good = !errors->len;
    if (good)
        replace_all(users, &l.found, gone, arg);
    else
        acl_text_add(errors, BYTES("WARNING: ACL errors detected, no change to the previously active ACL rules was "
                                   "performed"));
    for (struct map_entry *e = map_next(&l.found, NULL); e && !good; e = map_next(&l.found, e)) user_free(e->value);
    map_clear(&l.found);
    return good ? 0 : -1;
}

int users_load_file(struct users *users, const char *path, void (*gone)(void *arg, struct user *u), void *arg,
                    struct acl_text *errors)
{
    uint8_t *data;
    size_t len;
    if (file_read_whole(path, &data, &len)) {
        acl_text_addf(errors, "Error loading ACLs, opening file '%s': %s", path, strerror(errno));
        return -1;
    }
    int status = users_load_text(users, path, bytes_make(data, len), gone, arg, errors);
    mem_free(data);
    return status;
}

int users_save_file(const struct users *users, const char *path)
{
    struct acl_text text = {0}, line = {0};
    struct user **sorted = users_sorted(users);
    for (size_t i = 0; i < users->by_name.count; i++) {
        acl_text_clear(&line);
        user_describe(sorted[i], &line);
        acl_text_add(&text, acl_text_bytes(&line));
        acl_text_add(&text, BYTES("\n"));
    }
    int status = file_replace(path, text.ptr, text.len, 0644), why = errno;
    mem_free(sorted);
    acl_text_free(&text);
    acl_text_free(&line);
    errno = why;
    return status;
}
