#!/bin/sh
# No directive is accepted in silence. Each row of the table of directives has an effect (some part reads its field), or
# the README names it as one without, or it is refused where its loss would hurt. And none that has an effect is said to
# have none. Read by `make lint`.
#
# The README may name a family by a pattern: `cluster-*`.
set -u

verdict=0
table=$(grep -rl '^const struct directive config_directives\[\] = {' server)
grammars=$(grep -rlE '^const struct .* bind_grammar = ' server)
refusals=$(grep -rl '^} missing\[\] = {' server)
readers=$(find server rdb repl shm -name '*.[ch]' ! -name settings.h | grep -vFx -e "$table" -e "$grammars")
said=$(grep -o '`[a-z_0-9*-]*`' README.md | tr -d '`' | grep '^[a-z]' | sort -u)
# KIND("name",...), one a line and without blanks; where the row is written out, with the FIELD(...) behind it.
rows=$(sed -n '/^const struct directive config_directives\[\]/,/^};/p' "$table" | sed 1d | tr '\n' ' ' |
    grep -oE '[A-Z_0-9]+\("[a-z_0-9-]+",[^()]*\)(, FIELD\([^()]*\))?' | tr -d ' ')

is_said()
{
    for pattern in $said; do
        case "$1" in $pattern) return 0 ;; esac
    done
    return 1
}

# The field of a row; nothing where it has none.
field_of()
{
    printf '%s' "$1" | sed 's/"[^"]*"//g' | grep -oE '[a-z]+\.[a-z_0-9]+' | tail -n 1
}

is_read()
{
    [ -n "$1" ] && grep -qE "(->|\.)${1#*.}\b" $readers
}

set -f
[ -n "$rows" ] || { echo "tools/lint_directives.sh: no rows of directives found"; exit 1; }
for row in $rows; do
    name=$(printf '%s' "$row" | cut -d '"' -f 2)
    field=$(field_of "$row")
    case "$row" in
    *_0\(* | *DIR_NO_EFFECT*)
        if is_read "$field"; then
            echo "$table: '$name' is said to have no effect, and somebody reads $field"
            verdict=1
        fi
        is_said "$name" || grep -q "{\"$name\"," "$refusals" && continue
        echo "$table: '$name' has no effect, and neither does the README say so nor is it refused"
        verdict=1
        ;;
    *)
        is_read "$field" && continue
        echo "$table: nobody reads the field of '$name', ${field:-none}"
        verdict=1
        ;;
    esac
done
exit "$verdict"
