#!/bin/sh
# Formatting, lines too long, directions of includes and calls (of what is built), file heads, directives, cppcheck,
# names in Python: everything is checked, then the verdict.
set -u

verdict=0
sources=$(find server rdb shm repl bench tests -name '*.[ch]' | sort)
scripts=$(find server bench tests tools findings -name '*.sh' -o -name '*.py' | sort)

clang-format --dry-run -Werror --style=file $sources || verdict=1
# clang-format leaves comments and strings as they are, however long.
LC_ALL=C.UTF-8 grep -nE '^.{121}' $sources $scripts Makefile .ci/run Dockerfile docker-entrypoint.sh &&
    { echo "lint: these lines have more than 120 characters" && verdict=1; }
tools/lint_includes.sh || verdict=1
tools/lint_calls.py "${BUILD:-build}" || verdict=1
tools/lint_heads.sh || verdict=1
tools/lint_directives.sh || verdict=1
cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE -D__linux__ -D__x86_64__ -I. -j "$(nproc)" \
    --enable=warning,performance,portability --inline-suppr --suppressions-list=tools/cppcheck.suppress \
    --error-exitcode=1 server rdb shm repl bench tests/harness || verdict=1
pyflakes3 $(find tools bench tests k8s-yaml -name '*.py') || verdict=1

[ "$verdict" = 0 ] && echo "lint: clean"
exit "$verdict"
