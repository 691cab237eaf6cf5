#!/usr/bin/env bash
# Runs each fuzz target for a while, one after the other, and says what came of it. What they find interesting is kept
# beside the programs and is where the next run goes on from; an input that does harm stays in findings/.
# From `make fuzz`, which sets BUILD and SECONDS_EACH. With TALLY=FILE the sums are added to that file, too.
set -uo pipefail

# An input takes milliseconds and asks for a few times its size: beyond these limits it has found something.
limits="-max_len=4096 -timeout=10 -malloc_limit_mb=64 -rss_limit_mb=1024"
findings=$BUILD/findings
passed=0 failed=0

mkdir -p "$findings"
for target in restore rdb_file aof_scan aof_manifest acl_file function_restore script_values; do
    log=$BUILD/fuzz_$target.log
    mkdir -p "$BUILD/corpus/$target"
    echo "== fuzz: $target, $SECONDS_EACH s"
    if "$BUILD/tests/fuzz/fuzz_$target" $limits -max_total_time="$SECONDS_EACH" -print_final_stats=1 \
        -artifact_prefix="$findings/$target-" "$BUILD/corpus/$target" "$BUILD/seeds/$target" >"$log" 2>&1; then
        passed=$((passed + 1))
        grep -o 'cov: .*corp: [^ ]*' "$log" | tail -n 1
        grep 'number_of_executed_units\|peak_rss' "$log"
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
        echo "To see it again: $BUILD/tests/fuzz/fuzz_$target with the file named above"
    fi
done

[ -z "${TALLY:-}" ] || echo "$passed $failed" >>"$TALLY"
echo "fuzz: $passed targets passed, $failed failed"
[ "$failed" = 0 ]
