#!/usr/bin/env bash
# Session state with a real Redis in front: the state that was saved last is
# read, whatever Redis says: the truth, a lie, nothing at all.
#
# By hand: WRIT=target/debug/writ bash scenarios/sessions.sh
# Everything it leaves stands in $WORK; ids and times stand in $WORK/log.
# Needs: redis-server, redis-cli, python3.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs redis-server redis-cli python3

REDIS_PORT=$(free_port)

redis_answers() {
    [[ $(redis-cli -p "$REDIS_PORT" ping 2>/dev/null) == PONG ]]
}

redis_up() {
    redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --save '' --appendonly no \
        --dir "$WORK" >>"$WORK/redis.log" 2>&1 &
    REDIS_PID=$!
    remember "$REDIS_PID"
    until_true 10 "redis answers" redis_answers
}

# The state of a session, or the refusal.
state() {
    "$WRIT" session get "$1"
}

# What the cache answered so far: `counted hits`.
counted() {
    "$WRIT" --json session cache | at "counts.$1"
}

redis_is_asked_again() {
    state plan
    (($(counted hits) > 1))
}

redis_up
WRIT_OPTIONS=(--cache "redis://127.0.0.1:$REDIS_PORT")
writ_up

say "a session that was never saved:"
refused 1 state plan
say "a name that is none:"
refused 1 state 'two words'
say "a file that is missing:"
refused 1 "$WRIT" session save plan "$WORK/none.json"

echo '{"turn": 1, "files": ["a.rs"]}' | "$WRIT" session save plan - >>"$LOG"
say "saved, and read through Redis:"
state plan
[[ $(counted hits) == 1 ]] || fail "redis did not answer"

say "somebody writes lies into Redis:"
for key in $(redis-cli -p "$REDIS_PORT" --scan --pattern 'writ/session/*'); do
    redis-cli -p "$REDIS_PORT" set "$key" '{"turn":999}' >>"$LOG"
done
state plan
[[ $(counted poisoned) == 1 ]] || fail "the lie was not noticed"

say "Redis is gone:"
end KILL "$REDIS_PID"
state plan

say "saved again without Redis, which comes back empty:"
echo '{"turn": 2}' | "$WRIT" session save plan - >>"$LOG"
redis_up
state plan
until_true 15 "redis is asked again" redis_is_asked_again

say "Redis hangs:"
kill -s STOP "$REDIS_PID"
state plan
kill -s CONT "$REDIS_PID"

say "compared with its SHA-256:"
"$WRIT" --json session verify plan | at verification.finding

say "writ is killed and started again:"
writ_killed_and_up
state plan

say "deleted:"
"$WRIT" session delete plan --reason "the task is done" >>"$LOG"
refused 1 state plan

say "what the ledger knows:"
for stream in session/plan session_reading/plan; do
    "$WRIT" --json ledger entries --stream "$stream" | at 'items.*.kind' | uniq
done
"$WRIT" ledger verify >>"$LOG"
"$WRIT" replay >>"$LOG"
say "verified and replayed: intact and equal"
writ_down
