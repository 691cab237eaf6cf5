#!/bin/sh
# The image's entry point. `docker run IMAGE --port 7000` and `docker run IMAGE /etc/redis.conf` mean redis-server with
# these arguments; a server that starts as root makes /data its user's and goes on as that user, as far as its
# capabilities allow.
set -e

# capable NUMBER...: does this process hold all these capabilities?
capable()
{
    held=$((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)))
    for number in "$@"; do
        [ $((held >> number & 1)) = 1 ] || return 1
    done
}
CAP_CHOWN=0 CAP_SETGID=6 CAP_SETUID=7

case ${1-} in
-* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ] && capable $CAP_SETGID $CAP_SETUID; then
    # A read-only mount below /data keeps its owner, which is the server's to complain about where it matters.
    ! capable $CAP_CHOWN || find . ! -user redis -exec chown redis '{}' + || true
    exec gosu redis "$0" "$@"
fi

# The dataset is nobody else's to read, unless somebody chose another umask.
[ "$(umask)" != 0022 ] || umask 0077

exec "$@"
