/* Users in the configuration: `user` lines, `aclfile`, `requirepass`. Server process.
 *
 * A `user` line is checked where it stands, so that an error names the line, but for the commands and categories it
 * names. The users are made once everything is read: first the default user gets `requirepass`, then the lines, or the
 * ACL file, say what holds. Both together are refused: nobody could tell which one counts. */
#include "server/core/config/config_parts.h"

#include "server/base/alloc.h"
#include "server/base/log.h"

#include <stdio.h>

/* --- reading --- */

static bool is_known(const struct config *c, struct bytes name)
{
    for (uint32_t i = 0; i < c->user_line_count; i++)
        if (bytes_equal(c->user_lines[i].word[0], name)) return true;
    return false;
}

static bool refuse(struct bytes name, const char *why, char message[CONFIG_MESSAGE_MAX])
{
    snprintf(message, CONFIG_MESSAGE_MAX, "Error in user declaration '%.*s': %s", name.len < 64 ? (int)name.len : 64,
             (const char *)name.ptr, why);
    return false;
}

/* What is wrong with the rules whatever commands there are; NULL: nothing. */
static const char *fault_of(const struct config *c, const struct acl_rules *rules)
{
    const char *fault = NULL;
    struct user *scratch = user_new(BYTES(""), false);
    users_reset(c->users, scratch);
    for (uint32_t i = 0; i < rules->count && !fault; i++) {
        enum acl_error error = users_apply(c->users, scratch, rules->rule[i]);
        if (error && error != ACL_UNKNOWN_COMMAND) fault = acl_error_text(error);
    }
    user_free(scratch);
    return fault;
}

static void keep(struct config *c, struct bytes name, const struct acl_rules *rules)
{
    c->user_lines = mem_realloc(c->user_lines, (c->user_line_count + 1) * sizeof *c->user_lines);
    struct config_user *line = &c->user_lines[c->user_line_count++];
    line->count = rules->count + 1;
    line->word = mem_alloc(line->count * sizeof *line->word);
    for (uint32_t i = 0; i < line->count; i++) {
        struct bytes from = i ? rules->rule[i - 1] : name;
        line->word[i] = bytes_make(bytes_to_text(from), from.len);
    }
}

bool config_keep_user_line(struct config *c, uint32_t argc, const struct bytes *argv, char message[CONFIG_MESSAGE_MAX])
{
    struct acl_rules rules;
    uint32_t culprit;
    const char *fault = NULL;
    if (is_known(c, argv[0])) fault = "Duplicate user found. A user can only be defined once in config files";
    if (acl_rules_join(&rules, argc - 1, argv + 1, &culprit)) fault = "Unmatched parenthesis in selector definition.";
    if (!fault) fault = fault_of(c, &rules);
    if (!fault) keep(c, argv[0], &rules);
    acl_rules_free(&rules);
    return fault ? refuse(argv[0], fault, message) : true;
}

/* --- making users --- */

static int make_user(struct config *c, const struct config_user *line)
{
    struct bytes name = line->word[0];
    if (!user_name_is_valid(name)) {
        log_warning("Spaces not allowed in ACL usernames");
        return -1;
    }
    struct user *u = user_new(name, false);
    users_reset(c->users, u);
    for (uint32_t i = 1; i < line->count; i++) {
        enum acl_error error = users_apply(c->users, u, line->word[i]);
        if (!error) continue;
        log_warning("Error loading ACL rule '%.*s' for the user named '%.*s': %s", (int)line->word[i].len,
                    (const char *)line->word[i].ptr, (int)name.len, (const char *)name.ptr, acl_error_text(error));
        user_free(u);
        return -1;
    }
    if (!u->enabled)
        log_notice("The user '%.*s' is disabled (there is no 'on' modifier in the user description). Make sure this is "
                   "not a configuration error.",
                   (int)name.len, (const char *)name.ptr);
    users_put(c->users, u);
    return 0;
}

static void forget_lines(struct config *c)
{
    for (uint32_t i = 0; i < c->user_line_count; i++) {
        for (uint32_t w = 0; w < c->user_lines[i].count; w++) {
            explicit_bzero((void *)c->user_lines[i].word[w].ptr, c->user_lines[i].word[w].len); /* passwords */
            mem_free((void *)c->user_lines[i].word[w].ptr);
        }
        mem_free(c->user_lines[i].word);
    }
    mem_free(c->user_lines);
    c->user_lines = NULL;
    c->user_line_count = 0;
}

static int load_lines(struct config *c)
{
    int status = 0;
    for (uint32_t i = 0; i < c->user_line_count && !status; i++) status = make_user(c, &c->user_lines[i]);
    if (status) log_warning("Critical error while loading ACLs. Exiting.");
    return status;
}

static int load_file(struct config *c)
{
    struct acl_text errors = {0};
    int status = users_load_file(c->users, c->settings->acl.file, NULL, NULL, &errors);
    if (status)
        log_warning("Aborting Redis startup because of ACL errors: %.*s", (int)errors.len, (const char *)errors.ptr);
    acl_text_free(&errors);
    return status;
}

int config_load_users(struct config *c)
{
    bool has_file = *c->settings->acl.file;
    user_set_password(c->users->default_user, c->settings->net.requirepass);
    if (has_file && c->user_line_count) {
        log_warning("Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is "
                    "invalid. This setup is very likely to lead to configuration errors and security holes, please "
                    "define either an ACL file or declare users directly in your redis.conf, but not both.");
        return -1;
    }
    int status = has_file ? load_file(c) : load_lines(c);
    forget_lines(c);
    return status;
}

/* --- writing --- */

static bool has_quote(struct bytes word)
{
    return memchr(word.ptr, '"', word.len) || memchr(word.ptr, '\'', word.len);
}

/* As Redis writes it, but that a word with a quote in it can be read again. */
static void add_line(struct config_text *out, struct bytes line)
{
    while (line.len) {
        struct bytes word = bytes_take_word(&line);
        if (has_quote(word))
            config_text_quoted(out, word);
        else
            config_text_add(out, word);
        config_text_add(out, line.len ? BYTES(" ") : BYTES("\n"));
    }
}

void config_user_lines(const struct config *c, struct config_text *out)
{
    if (*c->settings->acl.file) return;
    static const size_t word = sizeof "user " - 1;
    struct acl_text line = {0};
    struct user **sorted = users_sorted(c->users);
    for (size_t i = 0; i < c->users->by_name.count; i++) {
        acl_text_clear(&line);
        user_describe(sorted[i], &line);
        add_line(out, bytes_make(line.ptr + word, line.len - word));
    }
    mem_free(sorted);
    acl_text_free(&line);
}
