#!/usr/bin/env bash
# From an alert of a real Alertmanager to a healed service and a closed
# incident, then proof that nothing was changed afterwards, and that a change
# would have been seen.
#
# By hand: WRIT=target/debug/writ bash scenarios/alert-to-healed.sh
# Everything it leaves stands in $WORK; ids and times stand in $WORK/log.
# Needs: prometheus-alertmanager, amtool, python3.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs prometheus-alertmanager amtool python3

patient_up
pack_for_patient
writ_up
alertmanager_up
say "writ, Alertmanager and the service to mend are up"

APPROVER=$(person "second person" approver)
[[ $APPROVER == writ_* ]] || fail "no token for the second person"

alerts_begin checkout
incident=$(listed 20 incidents --subject service/checkout)
until_true 20 "the incident is open" has_status "$incident" OPEN
say "two alerts about checkout: one incident, OPEN"

directive=$(waiting_for checkout)
"$WRIT" --json show "$directive" >"$WORK/directive.json"
digest=$(at state.digest <"$WORK/directive.json")
say "proposed: $(at state.contract.objective <"$WORK/directive.json")"
say "the patient's record before approval: $(patient_says checkout | at state.asked.#) requests"

say "approving something else than what waits is refused:"
WRIT_TOKEN=$APPROVER refused 1 "$WRIT" approve "$directive" --digest "${digest//[0-9]/0}"
say "approving without a digest is refused:"
WRIT_TOKEN=$APPROVER refused 2 "$WRIT" approve "$directive"

WRIT_TOKEN=$APPROVER "$WRIT" approve "$directive" --digest "$digest" --reason "seen by me" >>"$LOG"
until_true 20 "the directive is completed" has_status "$directive" complete
run=$(first runs)
say "a second person approved: the directive is complete, its run $("$WRIT" --json show "$run" | at status)"
say "the patient's record: $(patient_record checkout)"

alerts_end checkout
until_true 20 "the incident is resolved" has_status "$incident" RESOLVED
say "the alerts ended: the incident is RESOLVED"
"$WRIT" close "$incident" --note "shifted traffic; release to be fixed" >>"$LOG"
has_status "$incident" CLOSED || fail "the incident is not closed"
say "a person closed it: the incident is CLOSED"

say "why did the run happen? from the evidence to the last step:"
"$WRIT" --json why "$run" | tee -a "$LOG" | at 'items.*.kind' >"$WORK/why"
"$WRIT" why "$run" >>"$LOG"
# How Alertmanager groups two alerts differs from run to run, and with it how
# often each kind stands here: each is shown where it stands first.
awk '!seen[$0]++' "$WORK/why" | grep -xE 'evidence\.filed|signal\.accepted|detection\.matched|bundle\.sealed|incident\.opened|snapshot\.taken|directive\.proposed|approval\.requested|approval\.approved|directive\.started|run\.(created|started|step_started|completed)' |
    sed 's/^/    /'

proof() {
    printf '%s\n' "$1:"
    shift
    "$@" 2>&1 | tee -a "$LOG" | plain | sed 's/^/    /'
}
proof "verify, asked of the server" "$WRIT" ledger verify
proof "replay, asked of the server" "$WRIT" replay
proof "verify beside the running server" "$WRIT" ledger verify --data "$WORK/data"
proof "replay beside the running server" "$WRIT" replay --data "$WORK/data"
writ_down
proof "verify without a server" "$WRIT" ledger verify --data "$WORK/data"
proof "replay without a server" "$WRIT" replay --data "$WORK/data"

forged() {
    rm -rf "$WORK/forged"
    cp -r "$WORK/data" "$WORK/forged"
    python3 - "$WORK/forged/writ.db" "$1"
}
say "someone edits one letter of the approver's remark, in a copy of the file:"
entry=$(forged entry <<'PY'
import pathlib, sqlite3, sys
path = sys.argv[1]
database = sqlite3.connect(path)
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
rows = database.execute("SELECT lower(hex(id)), payload FROM entries JOIN kinds ON number = entries.kind WHERE kinds.kind = 'approval.approved'")
[(entry, payload)] = rows.fetchall()
database.close()
old = payload.encode()
new = old.replace(b'seen by me', b'seen by us')
file = pathlib.Path(path).read_bytes()
assert new != old and file.count(old) == 1, "the remark does not stand once in the file"
pathlib.Path(path).write_bytes(file.replace(old, new))
print("ent_" + entry)
PY
)
note "forged: $entry"
refused 3 "$WRIT" ledger verify --data "$WORK/forged"
tail -n 20 "$LOG" | grep -qF "$entry" || fail "verify does not name the entry $entry"
say "it named exactly the entry that was edited"

say "someone opens the incident again behind the ledger's back, in another copy:"
forged state <<'PY'
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
with database:
    changed = database.execute("UPDATE documents SET status = 'OPEN', body = replace(body, '\"CLOSED\"', '\"OPEN\"') WHERE kind = 'incident'")
    assert changed.rowcount == 1, changed.rowcount
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.close()
PY
refused 3 "$WRIT" replay --data "$WORK/forged"
