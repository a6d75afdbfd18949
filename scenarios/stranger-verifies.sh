#!/usr/bin/env bash
# A stranger verifies a log: writ writes it and signs a checkpoint, the log's
# public key and a bundle are exported, and then nothing of writ is left but
# these two files. writ's own verifier and the one in Python, which shares no
# line with it, accept the bundle; when one byte of it was edited, both refuse
# it and name the line.
#
# By hand: WRIT=target/debug/writ bash scenarios/stranger-verifies.sh
# Everything it leaves stands in $WORK; ids and digests stand in $WORK/log.
# Needs: python3.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs python3

# Text without the length of the log, which is not part of the story.
sized() {
    plain | sed -E -e 's/ 1 to [0-9]+/ 1 to N/' -e 's/ [0-9]+ in all/ N in all/' -e 's#\broot [A-Za-z0-9+/=]+#root HASH#'
}

python_verifies() {
    python3 "$here/../docs/ledger-format/verify.py" bundle --key "$KEY" "$1"
}

writ_verifies() {
    # Without a server and without a token: a stranger has neither.
    env -u WRIT_SERVER -u WRIT_TOKEN "$WRIT" ledger verify --bundle "$1" --key "$KEY"
}

# Both accept it: `accepted FILE`.
accepted() {
    say "writ, with the key alone:"
    writ_verifies "$1" | tee -a "$LOG" | sized | sed 's/^/    /'
    say "the verifier in Python:"
    python_verifies "$1" | tee -a "$LOG" | sized | sed 's/^/    /'
}

# Edits the second digit of the year in the line of this number:
# `edited FROM TO LINE`.
edited() {
    sed -E "$3"'s/"at":"20/"at":"21/' "$1" >"$2"
    [[ $(cmp -l "$1" "$2" | wc -l) == 1 ]] || fail "not one byte of line $3 was edited"
}

WRIT_OPTIONS=()
writ_up
for role in approver viewer operator; do
    person "a new $role" "$role" >>"$LOG"
done
say "writ is up, and people came"
say "a bundle before anything was signed:"
refused 1 "$WRIT" ledger export "$WORK/early.bundle"
test -z "$(find "$WORK" -name "early.bundle*")" || fail "a bundle was left that is none"

"$WRIT" ledger checkpoint --sign >>"$LOG"
KEY=$("$WRIT" ledger key export)
note "key: $KEY"
"$WRIT" ledger export "$WORK/log.bundle" | plain
say "exporting it over the same file:"
refused 1 "$WRIT" ledger export "$WORK/log.bundle"
"$WRIT" ledger export --from 3 --to 5 "$WORK/part.bundle" | plain
writ_down
"$WRIT" ledger export --data "$WORK/data" "$WORK/offline.bundle" | plain
cmp "$WORK/log.bundle" "$WORK/offline.bundle" || fail "the server and the data directory give two bundles"
say "writ is down: the data directory gives the same bundle, byte for byte"
mv "$WORK/data" "$WORK/gone"

accepted "$WORK/log.bundle"
say "entries 3 to 5 of it:"
writ_verifies "$WORK/part.bundle" | tee -a "$LOG" | sized | sed 's/^/    /'
python_verifies "$WORK/part.bundle" | tee -a "$LOG" | sized | sed 's/^/    /'

edited "$WORK/log.bundle" "$WORK/edited.bundle" 5
say "one byte of line 5 was edited; writ:"
refused 3 writ_verifies "$WORK/edited.bundle"
say "the verifier in Python:"
refused 3 python_verifies "$WORK/edited.bundle"
