#!/usr/bin/env bash
# Clients that others wrote read the log: writ serves it as C2SP tlog-tiles do,
# a witness cosigns it, and a program of Tessera's client and transparency-dev's
# proofs, without a line of writ, verifies the signature, the cosignature, every
# entry and the growth. With another key it refuses.
#
# By hand: WRIT=target/debug/writ bash scenarios/foreign-clients.sh
# Everything it leaves stands in $WORK; ids and digests stand in $WORK/log.
# Needs: python3, go.
set -Eeuo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scenarios/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scenarios/lib/story.sh
source "$here/lib/story.sh"
needs python3 go

# Makes as many principals: the log gets longer than one tile.
crowd() {
    python3 -c 'import json, os, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
headers = {"Authorization": "Bearer " + os.environ["WRIT_TOKEN"], "Content-Type": "application/json"}
url = os.environ["WRIT_SERVER"] + "/v1/principals"
for n in range(int(sys.argv[1])):
    body = json.dumps({"kind": "service", "name": "crowd-%d" % n, "roles": ["viewer"]}).encode()
    opener.open(urllib.request.Request(url, body, headers), timeout=5).read()' "$1"
}

witness_up() {
    "$WRIT" --json witness --data "$WORK/witness" --listen 127.0.0.1:0 --log-key "$KEY" \
        >"$WORK/witness.json" 2>>"$WORK/witness.log" &
    remember $!
    until_true 10 "the witness listens" grep -q '"url"' "$WORK/witness.json"
    WITNESS_URL=$(at url <"$WORK/witness.json")
    WITNESS_KEY=$(at key <"$WORK/witness.json")
}

# A key of this log's name that did not sign it, in the form of signed notes.
another_key() {
    python3 -c 'import base64, hashlib, sys
key = b"\x01" + bytes(range(32))
hash = hashlib.sha256(sys.argv[1].encode() + b"\n" + key).hexdigest()[:8]
print("%s+%s+%s" % (sys.argv[1], hash, base64.b64encode(key).decode()))' "$ORIGIN"
}

cosigned() {
    "$WRIT" ledger checkpoint | grep -q "^— ${WITNESS_KEY%%+*} "
}

go build -C "$here/lib/tiles" -o "$WORK/tiles" . 2>>"$LOG"
WRIT_OPTIONS=()
writ_up
crowd 300
"$WRIT" ledger checkpoint --sign >>"$LOG"
KEY=$("$WRIT" ledger key export)
ORIGIN=${KEY%%+*}
say "writ is up, and has signed a log of more than one tile"
witness_up
writ_down
WRIT_OPTIONS=(--witness "$WITNESS_URL=$WITNESS_KEY")
writ_up
"$WRIT" ledger checkpoint --sign >>"$LOG"
until_true 20 "the witness has cosigned" cosigned
say "a witness has cosigned it"

read_by_others() {
    "$WORK/tiles" "$WRIT_SERVER/v1/tlog/$TENANT/" "$1" "$ORIGIN" "$WITNESS_KEY"
}
say "the clients of others:"
read_by_others "$KEY" 2>>"$WORK/tiles.log" | sed 's/^/    /'
size=$(sed -n 's/^entries: //p' "$WORK/tiles.log")
[[ $size -gt 256 ]] || fail "the log has only $size entries"
say "with another key of the same name:"
refused 3 read_by_others "$(another_key)"
