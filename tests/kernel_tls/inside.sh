# What tests/kernel_tls/machine.sh runs inside its machine. The kernel's own counters have the last word: it did encrypt
# and decrypt, and no record was wrong.
export SLIPSTREAM_SERVER=$BUILD/redis-server SLIPSTREAM_PEERS=$PEERS
failed=0

for unit in test_kernel_tls test_tls_keys test_net_tls_detach; do
    echo "== unit: $unit"
    $BUILD/tests/unit/$unit --jobs "$JOBS" || failed=1
done
for engine in $ENGINES; do
    echo "== integration, event loop: $engine"
    threads=
    [ "${engine%+threads}" = "$engine" ] || threads=4:always
    SLIPSTREAM_EVENT_LOOP=${engine%+threads} SLIPSTREAM_IO_THREADS=$threads \
        $BUILD/tests/integration --jobs "$JOBS" --filter "${TEST:-@(tls|kernel_tls)/*}" || failed=1
done
cat /proc/net/tls_stat
[ "$(sed -n 's/^TlsTxSw[^0-9]*//p' /proc/net/tls_stat)" -gt 0 ] || failed=1
[ "$(sed -n 's/^TlsRxSw[^0-9]*//p' /proc/net/tls_stat)" -gt 0 ] || failed=1
[ "$(sed -n 's/^TlsDecryptError[^0-9]*//p' /proc/net/tls_stat)" = 0 ] || failed=1
exit $failed
