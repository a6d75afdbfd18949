# shellcheck shell=bash
# The parts of the story that scenarios share: a service that can be mended,
# a real Alertmanager, writ, and the people. Sourced after common.sh.

WRIT_STARTS=0

# Starts the service that can be mended; sets PATIENT_PID and PATIENT (its URL).
patient_up() {
    "$WRIT" patient --listen 127.0.0.1:0 >"$WORK/patient.out" 2>>"$WORK/patient.log" &
    PATIENT_PID=$!
    remember "$PATIENT_PID"
    until_true 10 "the patient listens" grep -q '^http://' "$WORK/patient.out"
    PATIENT=$(head -n 1 "$WORK/patient.out")
    note "patient: $PATIENT (pid $PATIENT_PID)"
}

# What the patient's own record says of a service.
patient_says() {
    fetch "$PATIENT/services/$1"
}

# How often each idempotency key was asked to mitigate and took effect, and
# whether the service is healthy now.
patient_record() {
    patient_says "$1" | tee -a "$LOG" | python3 -c '
import collections, json, sys
state = json.load(sys.stdin)["state"]
asked = [a for a in state["asked"] if a["what"] == "mitigate"]
effects = collections.Counter(a["key"] for a in asked if a["effect"])
keyed = all(a["key"] for a in asked)
print("%d mitigation, %d effect per key, %s, %s" % (
    sum(effects.values()), max(effects.values(), default=0),
    "every request has a key" if keyed else "A REQUEST WITHOUT A KEY",
    "healthy" if state["healthy"] else "NOT HEALTHY"))
others = sorted({a["what"] for a in state["asked"]} - {"mitigate"})
if others:
    print("but it was also asked: " + ", ".join(others))'
}

# Copies the pack and lets it reach this scenario's patient.
pack_for_patient() {
    local root
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    cp -r "$root/packs/incident" "$WORK/pack"
    local file
    for file in validators.yaml residency.yaml; do
        sed -i "s/127\.0\.0\.1:18099/${PATIENT#http://}/" "$WORK/pack/$file"
        grep -q "${PATIENT#http://}" "$WORK/pack/$file" ||
            fail "the pack's $file does not name the demonstration's service any more"
    done
    WRIT_OPTIONS=(--pack "$WORK/pack" --allow-host "${PATIENT#http://}" --allow-private)
}

# Starts writ on $WORK/data and the port it had before, and waits until it
# serves; sets WRIT_PID, TENANT and, at the first start, ADMIN, the admin's
# token. The token is exported.
writ_up() {
    writ_start
    writ_wait
}

# Starts writ with WRIT_OPTIONS.
writ_start() {
    WRIT_PORT=${WRIT_PORT:-$(free_port)}
    export WRIT_SERVER=http://127.0.0.1:$WRIT_PORT
    WRIT_STARTS=$((WRIT_STARTS + 1))
    WRIT_OUT=$WORK/up.$WRIT_STARTS.json
    WRIT_LOG=info "$WRIT" --json up --data "$WORK/data" --listen "127.0.0.1:$WRIT_PORT" \
        "${WRIT_OPTIONS[@]}" \
        >"$WRIT_OUT" 2>>"$WORK/writ.log" &
    WRIT_PID=$!
    remember "$WRIT_PID"
    note "writ: start $WRIT_STARTS, $WRIT_SERVER (pid $WRIT_PID)"
}

writ_wait() {
    until_true 20 "writ serves (start $WRIT_STARTS)" writ_serves "$WRIT_OUT"
    if [[ -z ${ADMIN:-} ]]; then
        ADMIN=$(at token <"$WRIT_OUT")
        TENANT=$(at tenant <"$WRIT_OUT")
        export WRIT_TOKEN=$ADMIN
        [[ $ADMIN == writ_* ]] || fail "the first start printed no admin token"
    fi
}

writ_serves() {
    kill -0 "$WRIT_PID" 2>/dev/null || fail "writ ended instead of serving"
    [[ -s $1 ]]
}

# Asks writ to end, as a person would, and sees that it does so without fault.
writ_down() {
    local code=0 pid=$WRIT_PID
    kill -s TERM "$pid"
    wait "$pid" || code=$?
    [[ $code == 0 ]] || fail "writ ended with $code when it was asked to end"
    end TERM "$pid"
}

# Kills writ without a word and starts it again on the same data.
writ_killed_and_up() {
    note "kill -9 $WRIT_PID"
    end KILL "$WRIT_PID"
    writ_up
}

# Starts a real Alertmanager that tells writ; sets ALERTMANAGER.
alertmanager_up() {
    local port
    port=$(free_port)
    ALERTMANAGER=http://127.0.0.1:$port
    cat >"$WORK/alertmanager.yml" <<YAML
route:
  receiver: writ
  group_by: [service]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 10s
receivers:
  - name: writ
    webhook_configs:
      - url: http://127.0.0.1:$WRIT_PORT/v1/ingest/$TENANT/alertmanager
        send_resolved: true
        http_config:
          authorization: { credentials_file: $WORK/data/secrets/alertmanager }
YAML
    mkdir -p "$WORK/alertmanager"
    prometheus-alertmanager --config.file="$WORK/alertmanager.yml" \
        --storage.path="$WORK/alertmanager" --cluster.listen-address= \
        --web.listen-address="127.0.0.1:$port" --log.level=debug \
        >>"$WORK/alertmanager.log" 2>&1 &
    remember $!
    until_true 15 "Alertmanager is ready" fetch "$ALERTMANAGER/-/ready"
    note "Alertmanager: $ALERTMANAGER (pid $!)"
}

# Two alerts about a service begin: `alerts_begin SERVICE`.
alerts_begin() {
    amtool --alertmanager.url="$ALERTMANAGER" alert add ErrorRateHigh \
        service="$1" severity=critical --annotation=value=0.31 \
        --annotation=summary="31 % of requests to $1 fail" \
        --annotation=mitigation_url="$PATIENT/services/$1/mitigation" >>"$LOG" 2>&1
    amtool --alertmanager.url="$ALERTMANAGER" alert add LatencyHigh \
        service="$1" severity=critical --annotation=value=2400 \
        --annotation=summary="p99 of $1 is 2.4 s" \
        --annotation=mitigation_url="$PATIENT/services/$1/mitigation" >>"$LOG" 2>&1
}

# The same alerts end now: `alerts_end SERVICE`.
alerts_end() {
    local alert now
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    for alert in ErrorRateHigh LatencyHigh; do
        amtool --alertmanager.url="$ALERTMANAGER" alert add "$alert" \
            service="$1" severity=critical --end="$now" \
            --annotation=mitigation_url="$PATIENT/services/$1/mitigation" >>"$LOG" 2>&1
    done
}

# The id and the status of the first thing listed: `first NOUN FILTER…`.
first() {
    "$WRIT" --json list "$@" | at items.0.id
}

# Whether a thing has a status: `has_status ID STATUS`.
has_status() {
    [[ $("$WRIT" --json show "$1" | tee -a "$LOG" | at status) == "$2" ]]
}

# Waits for something to be listed and prints its id: `listed SECONDS NOUN
# FILTER…`.
listed() {
    local seconds=$1
    shift
    until_true "$seconds" "one of: $*" some "$@"
    first "$@"
}

some() {
    [[ -n $(first "$@") ]]
}

# The approval that waits for a service: `waiting_for SERVICE` waits, and
# prints the directive's id.
waiting_for() {
    until_true 20 "a directive for $1 waits for approval" is_waiting "$1"
    directive_of "$1"
}

directive_of() {
    "$WRIT" --json list directives --subject "service/$1" | at items.0.id
}

is_waiting() {
    local directive
    directive=$(directive_of "$1")
    [[ -n $directive && -n $("$WRIT" --json list approvals --status pending |
        tee -a "$LOG" | grep -F "$directive") ]]
}

# A person who may approve: prints the token. `person NAME ROLE`.
person() {
    local id
    id=$("$WRIT" --json principal create "$1" --role "$2" | at id)
    "$WRIT" --json key issue "$id" --name scenario | at token
}
