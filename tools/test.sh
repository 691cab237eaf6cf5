#!/usr/bin/env bash
# Runs every unit test, the simulator, the differential test, then the integration tests once per event loop, and adds
# up the results. From `make test`, which sets BUILD, UNIT (the programs), PEERS, JOBS, ENGINES, TEST, COMMANDS and
# WORLDS. An engine's name with +threads behind it stands for that engine and I/O threads that work without load, too.
# SERVER is another build's server for BUILD's tests. With TALLY=FILE the sums are added to that file too, and what
# failed to FILE.failures: whoever sees only an output's end still learns which. BOUND_S is how long the
# integration tests may take.
set -uo pipefail

# What is random depends on the commit alone: a run of the same commit meets the same inputs.
if [ -z "${SLIPSTREAM_SEED:-}" ] && commit=$(git rev-parse --short=12 HEAD 2>/dev/null); then
    export SLIPSTREAM_SEED=$((16#$commit))
fi

export SLIPSTREAM_SERVER=${SERVER:-$BUILD/redis-server} SLIPSTREAM_PEERS=$PEERS
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_leaks=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:abort_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:die_after_fork=0:report_signal_unsafe=0}
bound_s=240
passed=0 failed=0 output=$(mktemp) failures=$(mktemp)
trap 'rm -f "$output" "$failures"' EXIT

# Criterion's own parent process has been seen, once, to wait for ever for a test that had ended (with the address
# sanitizer). A program that exceeds its bound is therefore started once more; a test that hangs does so again, and
# fails. A test that fails is never repeated.
bounded()
{
    timeout --kill-after=10 "$bound_s" "$@" 2>&1 | tee "$output" | grep -v '^\[====\] Running'
    return "${PIPESTATUS[0]}"
}

# run TITLE PROGRAM [argument...]: a program without Criterion's summary at its end counts as one failure.
run()
{
    local title=$1 summary status
    shift
    bounded "$@"
    status=$?
    if [ "$status" = 124 ]; then
        echo "$title: not done after $bound_s s, once more"
        bounded "$@"
        status=$?
    fi
    grep -E -A 12 '^(\[FAIL\]|\[----\]|\[CRASH\]|== seed|not ok|# ours|# theirs)' "$output" |
        head -n 60 | sed "s|^|$title: |" >>"$failures"
    summary=$(sed -n 's/.*Synthesis: Tested: \([0-9]*\) | Passing: \([0-9]*\) .*/\1 \2/p' "$output" | tail -n 1)
    if [ -z "$summary" ]; then
        echo "$title: ended early with status $status" | tee -a "$failures"
        failed=$((failed + 1))
        return
    fi
    set -- $summary
    passed=$((passed + $2)) failed=$((failed + $1 - $2))
}

if [ -z "${TEST:-}" ]; then
    for program in $UNIT; do
        echo "== unit: $(basename "$program")"
        run "$program" "$program" --jobs "$JOBS"
    done
    bound_s=900
    echo "== simulation"
    run simulation "$BUILD/tests/simulation" --suite "$WORLDS" --jobs "$JOBS"
    echo "== differential"
    run differential "$BUILD/tests/differential" --commands "$COMMANDS"
fi
bound_s=${BOUND_S:-900}
for engine in $ENGINES; do
    echo "== integration, event loop: $engine"
    threads=${SLIPSTREAM_IO_THREADS:-}
    [ "${engine%+threads}" = "$engine" ] || threads=4:always
    SLIPSTREAM_EVENT_LOOP=${engine%+threads} SLIPSTREAM_IO_THREADS=$threads \
        run "integration on $engine" "$BUILD/tests/integration" --jobs "$JOBS" ${TEST:+--filter "$TEST"}
done

[ "$failed" = 0 ] || { echo "== what failed" && cat "$failures"; }
[ -z "${TALLY:-}" ] || { echo "$passed $failed" >>"$TALLY"; [ "$failed" = 0 ] || cat "$failures" >>"$TALLY.failures"; }
echo "${SERVER:-$BUILD}: $passed tests passed, $failed failed"
[ "$failed" = 0 ]
