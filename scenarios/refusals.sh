#!/usr/bin/env bash
# A newcomer's mistakes at the command line: each is refused with a sentence, a
# hint and an exit code that scripts can rely on (1 refused, 2 not understood,
# 3 integrity, 4 no server). Then the kill switch: what was approved does not
# start until a second person confirms the release.
#
# By hand: WRIT=target/debug/writ bash scenarios/refusals.sh
# Everything it leaves stands in $WORK; ids and times stand in $WORK/log.
# Needs: prometheus-alertmanager, amtool, python3.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs prometheus-alertmanager amtool python3

some_id=inc_$(printf '0%.0s' {1..63})1

say "an unknown command:"
refused 2 "$WRIT" aprove
say "no server:"
refused 4 "$WRIT" --server "http://127.0.0.1:$(free_port)" status
say "an address that is none:"
refused 2 "$WRIT" --server localhost:7420 status

patient_up
pack_for_patient
writ_up
alertmanager_up

say "no token:"
refused 1 env -u WRIT_TOKEN "$WRIT" status
say "a token that is none:"
WRIT_TOKEN=writ_guess refused 1 "$WRIT" status
say "a token with one digit changed:"
WRIT_TOKEN=${ADMIN%?}$([[ $ADMIN == *0 ]] && echo 1 || echo 0) refused 1 "$WRIT" status
say "what is no id:"
refused 2 "$WRIT" show checkout
say "the id of nothing:"
refused 1 "$WRIT" show "$some_id"
say "closing the incident that is none:"
refused 1 "$WRIT" close "$some_id"
say "a file that is missing:"
refused 1 "$WRIT" propose "$WORK/contract.json"
say "a file that is no contract:"
echo '{"objective": "mend it"}' >"$WORK/contract.json"
refused 1 "$WRIT" propose "$WORK/contract.json"
say "a file that is no JSON:"
echo 'mend it' >"$WORK/contract.json"
refused 1 "$WRIT" propose "$WORK/contract.json"
say "a directory that is no pack:"
mkdir "$WORK/empty"
refused 3 "$WRIT" pack check "$WORK/empty"
say "a data directory that is none:"
refused 1 "$WRIT" ledger verify --data "$WORK/empty"
say "a role that is none:"
refused 1 "$WRIT" principal create somebody --role boss
say "writ twice on one data directory:"
refused 1 "$WRIT" up --data "$WORK/data" --listen 127.0.0.1:0
say "a port that is in use:"
refused 1 "$WRIT" up --data "$WORK/other" --listen "127.0.0.1:$WRIT_PORT"
say "a pack that is missing:"
refused 1 "$WRIT" up --data "$WORK/other" --listen 127.0.0.1:0 --pack "$WORK/no-pack"
test ! -e "$WORK/other/writ.db" || fail "a start that failed founded a ledger, and its token was not shown"
say "neither founded a ledger: the admin's token is still to be shown"
say "a new token for a ledger that is none:"
refused 1 "$WRIT" admin-token --data "$WORK/empty"
say "a new token while writ runs:"
refused 1 "$WRIT" admin-token --data "$WORK/data"
say "a webhook with a wrong token: HTTP status $(post "$WRIT_SERVER/v1/ingest/$TENANT/alertmanager" wrong '{}')"

SECOND=$(person "second admin" admin)
APPROVER=$(person "an approver" approver)
VIEWER=$(person "a viewer" viewer)

alerts_begin checkout
directive=$(waiting_for checkout)
digest=$("$WRIT" --json show "$directive" | at state.digest)
say "a directive for checkout waits for approval"
say "a viewer may not approve:"
WRIT_TOKEN=$VIEWER refused 1 "$WRIT" approve "$directive" --digest "$digest"
say "a viewer may not engage the kill switch:"
WRIT_TOKEN=$VIEWER refused 1 "$WRIT" kill engage --reason "curious"

"$WRIT" kill engage --reason "drill with a real stop" >>"$LOG"
say "the kill switch is engaged"
WRIT_TOKEN=$APPROVER "$WRIT" approve "$directive" --digest "$digest" >>"$LOG"
say "approved all the same; three seconds later:"
sleep 3
say "    the directive is $("$WRIT" --json show "$directive" | at status)"
say "    the patient was asked $(patient_says checkout | at state.asked.#) times"

say "releasing what nobody asked to release:"
WRIT_TOKEN=$SECOND refused 1 "$WRIT" kill confirm
"$WRIT" kill release --reason "the drill is over" >>"$LOG"
say "the first person asked for release, and may not confirm it:"
refused 1 "$WRIT" kill confirm
sleep 1
say "    the patient was asked $(patient_says checkout | at state.asked.#) times"
WRIT_TOKEN=$SECOND "$WRIT" kill confirm >>"$LOG"
say "a second person confirmed"
until_true 20 "the directive is complete" has_status "$directive" complete
say "    the directive is complete"
say "    the patient's record: $(patient_record checkout)"
say "approving it again:"
WRIT_TOKEN=$APPROVER refused 1 "$WRIT" approve "$directive" --digest "$digest"
writ_down
say "after writ ended:"
refused 4 "$WRIT" status
