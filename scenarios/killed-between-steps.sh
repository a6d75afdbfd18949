#!/usr/bin/env bash
# The way from an alert to a closed incident again, but writ is killed with
# SIGKILL between every two steps and started again on the same data; then ten
# kills at random while a second service is mended. In the end each service was
# mended exactly once by its own record, and the ledger is intact.
#
# By hand: WRIT=target/debug/writ bash scenarios/killed-between-steps.sh
# SEED=N repeats the random times of an earlier run; the seed stands in
# $WORK/log and in the message of a failure. Everything it leaves stands in
# $WORK.
# Needs: prometheus-alertmanager, amtool, python3.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs prometheus-alertmanager amtool python3

SEED=${SEED:-$((RANDOM % 30000 + 1))}
RANDOM=$SEED
ON_FAILURE="the random times came from SEED=$SEED"
note "SEED=$SEED"

# Sleeps up to this many milliseconds.
sleep_random() {
    local millis=$((RANDOM % ($1 + 1)))
    note "sleep $millis ms"
    sleep "$(printf '%d.%03d' $((millis / 1000)) $((millis % 1000)))"
}

# A request of the writ that lives stands unread before the patient, which holds
# its breath: the kernel has taken the connection and bytes for it.
has_request_waiting() {
    local port
    port=$(printf ':%04X' "${PATIENT##*:}")
    awk -v port="$port" 'index($2, port) && $4 == "01" && $5 !~ /:00000000$/ { found = 1 } END { exit !found }' /proc/net/tcp
}

was_mended() {
    [[ $(patient_says "$1" | at state.healthy) == true ]]
}

count() {
    "$WRIT" --json list "$@" | at items.#
}

patient_up
pack_for_patient
writ_up
alertmanager_up
APPROVER=$(person "second person" approver)
say "writ is up"
writ_killed_and_up
say "killed after the start, and started again: pack and people are there: $("$WRIT" --json list principals --status active | at items.#) principals"

alerts_begin checkout
listed 20 signals --subject service/checkout >>"$LOG"
writ_killed_and_up
incident=$(listed 20 incidents --subject service/checkout)
until_true 20 "the incident is open" has_status "$incident" OPEN
say "killed when the first alert had come: the incident is OPEN"

directive=$(waiting_for checkout)
digest=$("$WRIT" --json show "$directive" | at state.digest)
writ_killed_and_up
[[ $(waiting_for checkout) == "$directive" ]] || fail "another directive waits now"
say "killed while a directive waited: the same one waits, $(count directives --subject service/checkout) in all"

# The patient holds its breath, so that the run cannot end before the kills.
kill -s STOP "$PATIENT_PID"
WRIT_TOKEN=$APPROVER "$WRIT" approve "$directive" --digest "$digest" >>"$LOG"
writ_killed_and_up
until_true 20 "the request to the patient is on its way" has_request_waiting
say "killed right after the approval: the run goes on, and its request is on its way"
# writ stops before it can hear the answer, and dies when the patient has done
# what it was asked: nobody but the patient knows of it.
kill -s STOP "$WRIT_PID"
kill -s CONT "$PATIENT_PID"
until_true 10 "the patient has done it" was_mended checkout
writ_killed_and_up
until_true 30 "the directive is complete" has_status "$directive" complete
say "killed when it was done and before the answer was heard: the directive is complete, $(count runs) run"
say "    the patient's record: $(patient_record checkout)"
requests=$(patient_says checkout | at state.asked.#)
note "$requests requests reached the patient"
((requests > 1)) || fail "the request was not repeated, so this proves nothing"
say "    it was asked more than once, and did it once"

writ_killed_and_up
has_status "$directive" complete || fail "the directive is not complete any more"
say "killed after completion: the directive is complete"
alerts_end checkout
until_true 30 "the incident is resolved" has_status "$incident" RESOLVED
writ_killed_and_up
has_status "$incident" RESOLVED || fail "the incident is not resolved any more"
say "killed after the alerts ended: the incident is RESOLVED"
"$WRIT" close "$incident" --note "done" >>"$LOG"
writ_killed_and_up
has_status "$incident" CLOSED || fail "the incident is not closed any more"
say "killed after a person closed it: the incident is CLOSED"

# Ten kills at random. The patient stutters, so that requests take a while.
stutter() {
    while kill -s STOP "$PATIENT_PID" 2>/dev/null; do
        sleep 0.03
        kill -s CONT "$PATIENT_PID" 2>/dev/null || true
        sleep 0.03
    done
}
# Kills writ at a random time, perhaps before it serves, and starts it.
kill_soon() {
    sleep_random "$1"
    note "kill -9 $WRIT_PID"
    end KILL "$WRIT_PID"
    writ_start
}
note "kill -9 $WRIT_PID"
end KILL "$WRIT_PID"
alerts_begin search
sleep 1
writ_start
for _ in 1 2 3; do
    kill_soon 700
done
writ_wait
directive=$(waiting_for search)
say "dead when the alerts about search came, and killed three times then: Alertmanager told it again"
digest=$("$WRIT" --json show "$directive" | at state.digest)
stutter &
STUTTER_PID=$!
remember "$STUTTER_PID"
kills=3
while is_waiting search; do
    # The answer to the approval may be lost with the server: then it is asked
    # again, whether it was heard or not.
    WRIT_TOKEN=$APPROVER "$WRIT" approve "$directive" --digest "$digest" >>"$LOG" 2>&1 &
    approving=$!
    kill_soon 60
    kills=$((kills + 1))
    wait "$approving" || note "the approval was cut off"
    writ_wait
    if ((kills == 5)); then
        break
    fi
done
if is_waiting search; then
    WRIT_TOKEN=$APPROVER "$WRIT" approve "$directive" --digest "$digest" >>"$LOG"
fi
while ((kills < 10)); do
    kill_soon 400
    kills=$((kills + 1))
done
writ_wait
end TERM "$STUTTER_PID"
kill -s CONT "$PATIENT_PID"
until_true 30 "the directive for search is complete" has_status "$directive" complete
note "interrupted: $("$WRIT" --json ledger entries --kind run.step_retry_scheduled | at items.#) attempts of steps"
say "killed $kills times at random while search was mended: the directive is complete"
say "    the patient's record: $(patient_record search)"
say "    directives for search: $(count directives --subject service/search), runs in all: $(count runs)"
incident=$(first incidents --subject service/search)
alerts_end search
until_true 30 "the incident is resolved" has_status "$incident" RESOLVED
"$WRIT" close "$incident" >>"$LOG"
has_status "$incident" CLOSED || fail "the incident is not closed"
say "    its incident is CLOSED"
say "    incidents in all: $(count incidents), dead letters: $(count dead-letters)"
say "the patient's record of checkout: $(patient_record checkout)"

"$WRIT" ledger verify | tee -a "$LOG" | plain
"$WRIT" replay | tee -a "$LOG" | plain
writ_down
"$WRIT" ledger verify --data "$WORK/data" | tee -a "$LOG" | plain
"$WRIT" replay --data "$WORK/data" | tee -a "$LOG" | plain
