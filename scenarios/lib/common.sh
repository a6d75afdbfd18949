# shellcheck shell=bash
# What every scenario needs: where it works, how it waits, how it ends.
# Sourced, not run. `WRIT` is the binary, `WORK` an empty directory; both have
# defaults for a person at a terminal.
#
# Standard output is what the golden file holds, so nothing that differs from
# run to run may go there: ids, times, ports, digests. Those go to $WORK/log.

WRIT=${WRIT:-writ}
WORK=${WORK:-$(mktemp -d)}
LOG=$WORK/log
PIDS=()
# Failures are told here, also where a command's own output goes elsewhere.
exec 3>&2

# Settings of the person who runs this must not reach the scenario.
unset WRIT_SERVER WRIT_TOKEN WRIT_DATA WRIT_LISTEN WRIT_PACK WRIT_ALLOW_HOSTS WRIT_ALLOW_PRIVATE WRIT_LOG WRIT_CACHE
export LC_ALL=C.UTF-8 TZ=UTC NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

# A line of the story.
say() {
    printf '%s\n' "$*"
    note "$*"
}

# A line for whoever must find out what happened.
note() {
    printf '%s %s\n' "$(date +%H:%M:%S.%3N)" "$*" >>"$LOG"
}

# Ends the scenario, says why and where to look.
fail() {
    note "FAILED: $*"
    {
        printf 'FAILED: %s\n' "$*"
        [[ -z ${ON_FAILURE:-} ]] || printf '%s\n' "$ON_FAILURE"
        printf 'the last lines of %s:\n' "$LOG"
        tail -n 8 "$LOG"
        if [[ -s $WORK/writ.log ]]; then
            printf 'the last lines of %s:\n' "$WORK/writ.log"
            tail -n 8 "$WORK/writ.log"
        fi
    } >&3
    exit 1
}

# Remembers a process to be ended with the scenario.
remember() {
    PIDS+=("$1")
}

# Ends one process that this scenario started: `end SIGNAL PID`.
end() {
    local pid=$2 kept=() other
    kill -s "$1" "$pid" 2>/dev/null || true
    # A process that was stopped hears other signals only when it goes on.
    kill -s CONT "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    for other in "${PIDS[@]}"; do
        [[ $other == "$pid" ]] || kept+=("$other")
    done
    PIDS=("${kept[@]}")
}

end_all() {
    local code=$? pid
    trap - EXIT
    for pid in "${PIDS[@]}"; do
        kill -s TERM "$pid" 2>/dev/null || true
        kill -s CONT "$pid" 2>/dev/null || true
    done
    # A little patience, then no mercy: a scenario leaves nothing behind.
    for pid in "${PIDS[@]}"; do
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -s KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    exit "$code"
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'fail "line $LINENO of ${BASH_SOURCE[0]##*/}: \`$BASH_COMMAND\` ended with $?"' ERR

# Stops early when a program is missing.
needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null ||
            fail "\`$program\` is not installed; README.md says how to get what the tests need"
    done
}

# A port of 127.0.0.1 that was free a moment ago.
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# What a GET of this URL answers; fails unless it is 200.
fetch() {
    python3 -c 'import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode())' "$1" 2>>"$LOG"
}

# The HTTP status of a POST of JSON with a bearer token: `post URL TOKEN JSON`.
post() {
    python3 -c 'import sys, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
headers = {"Authorization": "Bearer " + sys.argv[2], "Content-Type": "application/json"}
request = urllib.request.Request(sys.argv[1], sys.argv[3].encode(), headers)
try:
    print(opener.open(request, timeout=5).status)
except urllib.error.HTTPError as refusal:
    print(refusal.code)' "$@"
}

# The member at a path of the JSON on standard input: `at items.0.id`. The
# member `#` is the length of a list, `*` maps over it. Nothing where there is
# no such member.
at() {
    python3 -c '
import json, sys
def walk(value, parts):
    for n, part in enumerate(parts):
        if value is None:
            return None
        if part == "#":
            value = len(value)
        elif part == "*":
            return [walk(v, parts[n + 1:]) for v in value]
        elif isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part)
    return value
try:
    found = walk(json.load(sys.stdin), sys.argv[1].split("."))
except json.JSONDecodeError:
    found = None
for line in found if isinstance(found, list) else [found]:
    print("" if line is None else line if isinstance(line, str) else json.dumps(line, sort_keys=True))
' "$1"
}

# Waits until a command succeeds: `until_true SECONDS WHAT COMMAND…`.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    note "waiting: $what"
    until "$@" >>"$LOG" 2>&1; do
        ((SECONDS < deadline)) || fail "waited in vain: $what"
        sleep 0.1
    done
}

# Runs a command that must be refused with this exit code, and shows what it
# said with ids, ports and places taken out: `refused CODE COMMAND…`.
refused() {
    local expected=$1 code=0 said
    shift
    said=$("$@" 2>&1 </dev/null) || code=$?
    note "exit code $code: $said"
    [[ $code == "$expected" ]] || fail "expected exit code $expected, not $code: $*: $said"
    printf '%s\n' "$said" | plain | sed 's/^/    /'
    say "    (exit code $code)"
}

# Text without what differs from run to run.
plain() {
    sed -E \
        -e '/^trace: /d' \
        -e "s#$WORK#WORK#g" \
        -e 's/\b([a-z]{3})_[0-9a-f]{32,}…?/\1_…/g' \
        -e 's/\b[0-9a-f]{40,}…?/HASH/g' \
        -e 's/ [0-9]+ entries/ N entries/' \
        -e 's/: entry [0-9]+/: entry N/' \
        -e 's/127\.0\.0\.1:[0-9]+/127.0.0.1:PORT/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g'
}
