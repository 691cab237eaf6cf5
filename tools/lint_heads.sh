#!/bin/sh
# Every .c file opens with a comment that says what it is for and which process runs it. Read by `make lint`.
#
# The comment stands in the file's first line and has, as words of a sentence, one of these:
#
#   Server process    the process that owns the data: its loop's thread, unless the head names a worker's
#   Link process      repl/link: the process that sends to replicas
#   Snapshot child    the forked child that writes one RDB
#   Journal process   the process that writes the append-only file
#   Sentinel process  redis-sentinel: the process that watches servers, and votes with others
#   Checker           redis-check-rdb and its like: processes of their own
#   Inspecting tool   redis-server --inspect-backlog: a process of its own
#   Any process       pure code, or what every process needs
#
# Several may stand together ("Server process and snapshot child").
set -u

verdict=0
words='(server|link|journal|sentinel|any) process|snapshot child|checker|inspecting tool'

for file in $(find server rdb shm repl -name '*.c' | sort); do
    head=$(awk 'NR == 1 && !/^\/\*/ { exit } { print } /\*\// { exit }' "$file" |
        sed 's/^ \*//' | tr '\n' ' ' | tr -s ' ')
    if [ -z "$head" ]; then
        echo "$file:1: no comment says what this file is for"
        verdict=1
    elif ! printf '%s' "$head" | grep -Eqi "$words"; then
        echo "$file:1: the head does not say which process runs this (the words stand in tools/lint_heads.sh)"
        verdict=1
    fi
done
exit "$verdict"
