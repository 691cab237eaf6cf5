/* What client libraries' own test suites ask of a server, and no other test here does. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/server.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(client_suites, .fini = server_finish_all, .timeout = 120);

#define NO_DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void read_line(int fd, char *line, size_t size)
{
    size_t len = 0;
    while (len < size - 1 && recv(fd, line + len, 1, 0) == 1 && line[len++] != '\n') continue;
    line[len] = 0;
}

static void expect_monitored(int fd, const char *request)
{
    char line[512];
    read_line(fd, line, sizeof line);
    const char *shown = strchr(line, '"');
    cr_assert(shown && strncmp(shown, request, strlen(request)) == 0, "%s, not %s", line, request);
}

static void watch_failing_scripts(enum server_kind kind)
{
    struct server *s = server_start(kind, "%s", "");
    int fd = raw_connect(s);
    raw_send_text(fd, "MONITOR\r\n");
    raw_expect(fd, "+OK\r\n");
    expect_error(s, "NOSCRIPT", "EVALSHA " NO_DIGEST " 0");
    expect_error(s, "NOSCRIPT", "EVALSHA_RO " NO_DIGEST " 0");
    expect_error(s, "ERR value", "EVALSHA " NO_DIGEST " x");
    expect_error(s, "ERR Error compiling", "EVAL return( 0");
    expect_error(s, "ERR Number of keys", "EVAL_RO return(1) 5");
    expect_error(s, "ERR Function not found", "FCALL nope 0");
    expect_error(s, "ERR Function not found", "FCALL_RO nope x");
    expect_monitored(fd, "\"EVALSHA\" \"" NO_DIGEST "\" \"0\"\r\n");
    expect_monitored(fd, "\"EVALSHA_RO\" \"" NO_DIGEST "\" \"0\"\r\n");
    expect_monitored(fd, "\"EVALSHA\" \"" NO_DIGEST "\" \"x\"\r\n");
    expect_monitored(fd, "\"EVAL\" \"return(\" \"0\"\r\n");
    expect_monitored(fd, "\"EVAL_RO\" \"return(1)\" \"5\"\r\n");
    expect_monitored(fd, "\"FCALL\" \"nope\" \"0\"\r\n");
    expect_monitored(fd, "\"FCALL_RO\" \"nope\" \"x\"\r\n");
    expect_ok(s, "MULTI");
    freeReplyObject(command(s, "EVALSHA " NO_DIGEST " 0"));
    freeReplyObject(command(s, "EXEC"));
    expect_monitored(fd, "\"MULTI\"\r\n");
    expect_monitored(fd, "\"EVALSHA\"");
    expect_monitored(fd, "\"EXEC\"\r\n");
    close(fd);
}

Test(client_suites, monitors_see_scripts_that_are_not_there)
{
    watch_failing_scripts(OURS);
    watch_failing_scripts(DEBIAN);
}

static void load_what_is_not_there(enum server_kind kind)
{
    struct server *s = server_start(kind, "%s", "enable-module-command local");
    expect_error(s, "ERR Error loading the extension. Please check the server logs.", "MODULE LOAD /nowhere.so");
    expect_error(s, "ERR Error loading the extension. Please check the server logs.",
                 "MODULE LOADEX /nowhere.so ARGS a");
    expect_error(s, "ERR Error unloading module: no such module with that name", "MODULE UNLOAD nosuch");
}

Test(client_suites, modules_fail_to_load_where_they_are_allowed)
{
    load_what_is_not_there(OURS);
    load_what_is_not_there(DEBIAN);
    struct server *s = server_start(OURS, "%s", "");
    expect_error(s, "ERR MODULE command not allowed", "MODULE LOAD /nowhere.so");
    expect_error(s, "ERR MODULE command not allowed", "MODULE UNLOAD nosuch");
}
