# Shared by start and stop; sourced.

cache=${TRIBUTARY_ES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary-elasticsearch}

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Process id of the node on a data folder, or nothing. A stale pid file never leads to somebody else's process.
node_pid() {
    local pid
    pid=$(cat "$1/elasticsearch.pid" 2>/dev/null) || return 0
    [[ $pid =~ ^[0-9]+$ ]] || return 0
    if tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "-Djava.io.tmpdir=$1/tmp"; then
        echo "$pid"
    fi
}
