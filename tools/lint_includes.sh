#!/bin/sh
# Checks every #include "..." of the server's sources against the direction in which parts may know each other:
#
#   base <- resp, net, data, shm, acl <- keyspace <- rdb <- repl, aof <- core <- commands, script, sentinel <- main.c
#
# A part includes itself and what stands in an earlier column. repl/link/ is a process of its own and knows base, net,
# resp and shm alone, beside itself, the message types it shares with its handle, and the words of repl/wire.h. Names
# are given from the repository's root.
#
# The folders of core/ have an order of their own (tools/lint_calls.py checks it for calls):
#
#   os <- command <- observe <- session <- tracking <- dataset <- run <- clients <- config <- info <- process
set -eu

find server rdb shm repl -name '*.[ch]' | sort | xargs awk '
function part(path, pieces) {
    split(path, pieces, "/")
    if (path ~ /^repl\/link\//) return "link"
    if (pieces[1] != "server") return pieces[1]
    return pieces[2] == "main.c" ? "main" : pieces[2]
}
function core_folder(path, pieces) {
    return split(path, pieces, "/") == 4 && pieces[2] == "core" ? pieces[3] : ""
}
BEGIN {
    count = split("os command observe session tracking dataset run clients config info process", order, " ")
    for (i = 1; i <= count; i++) place[order[i]] = i
    column["base"] = 1
    column["resp"] = column["net"] = column["data"] = column["shm"] = column["acl"] = 2
    column["keyspace"] = 3
    column["rdb"] = 4
    column["repl"] = column["aof"] = 5
    column["core"] = 6
    column["commands"] = column["script"] = column["sentinel"] = 7
    column["main"] = 8
}
function complain(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, $0, why
    bad = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0
    sub(/^[^"]*"/, "", target)
    sub(/".*/, "", target)
    from = part(FILENAME)
    to = part(target)
    if (system("test -f " target) != 0) { complain("no such file, seen from the repository root"); next }
    if (!(to in column) && to != "link") { complain("not a part of the server"); next }
    if (core_folder(FILENAME) && core_folder(target) && place[core_folder(target)] > place[core_folder(FILENAME)])
        complain(core_folder(FILENAME) " may not know " core_folder(target))
    if (from == to) next
    if (from == "link") {
        if (to !~ /^(base|net|resp|shm)$/ && target != "repl/link_handle.h" && target != "repl/wire.h")
            complain("the link process knows base, net, resp and shm alone")
        next
    }
    if (to == "link") {
        if (from != "repl" && from != "main") complain("only repl and main.c know the link process")
        next
    }
    if (column[to] >= column[from]) complain(from " may not know " to)
}
END { exit bad }
'
