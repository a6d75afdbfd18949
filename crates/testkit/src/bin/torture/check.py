"""The independent checker: reads a store with SQL of its own and compares it
with what a run of the torture harness was told. It shares nothing with writ:
another language, another SQLite (Python's) or psql, another SHA-256, another
JSON, its own chain, tree and fold of states, written from the documents.

Speaks lines: a request on standard input, the answer on standard output.
A request is {"store": PATH or URL, "report": FILE, "lines": N}; the answer is
{"faults": [...], "acks": N, "entries": N}.
"""

import hashlib
import json
import sqlite3
import subprocess
import sys

WIDTH = 256
ZERO = "0" * 64
FAULTS_MAX = 10


def canonical(value):
    # RFC 8785 for what occurs here: no float, no key beyond the basic plane.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha(data):
    return hashlib.sha256(data).digest()


def uuid_text(prefix, raw):
    return prefix + "_" + bytes(raw).hex()


def instant(micros):
    seconds, rest = divmod(micros, 1_000_000)
    days, second = divmod(seconds, 86_400)
    year, month, day = civil(days)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (
        year, month, day, second // 3600, second // 60 % 60, second % 60, rest)


def civil(days):
    """The date that is so many days after 1970-01-01."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day


class Sqlite:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row

    def logs(self):
        return self.db.execute("SELECT tenant, seq, hash FROM logs ORDER BY number")

    def entries(self):
        # A name counts only in its own log; an entry whose log is not there is
        # one of no tenant.
        return self.db.execute("""
            SELECT l.tenant, e.position & 0xffffffffff AS seq, e.id, s.name AS stream,
                e.stream_version, k.kind, k.category, e.at, a.name AS actor,
                lower(hex(e.trace_id)) AS trace_id, e.causation, u.name AS subject,
                iif(e.directive IS NULL, NULL, 'dir_' || lower(hex(e.directive))) AS directive,
                iif(e.snapshot IS NULL, NULL, 'snp_' || lower(hex(e.snapshot))) AS snapshot,
                e.payload, e.payload_hash, e.prev_hash, e.hash
            FROM entries e
            LEFT JOIN logs l ON l.number = e.position >> 40
            LEFT JOIN names s ON s.number = e.stream AND s.log = l.number
            LEFT JOIN names a ON a.number = e.actor AND a.log = l.number
            LEFT JOIN names u ON u.number = e.subject AND u.log = l.number
            LEFT JOIN kinds k ON k.number = e.kind
            ORDER BY e.position""")

    def documents(self):
        return self.db.execute("""
            SELECT l.tenant, s.name AS stream, d.kind, d.version, d.created_seq, d.updated_seq,
                d.status, u.name AS subject,
                iif(d.directive IS NULL, NULL, 'dir_' || lower(hex(d.directive))) AS directive,
                d.due_at, d.body
            FROM documents d
            LEFT JOIN logs l ON l.number = d.log
            LEFT JOIN names s ON s.number = d.stream AND s.log = d.log
            LEFT JOIN names u ON u.number = d.subject AND u.log = d.log""")

    def rows(self, table):
        return self.db.execute(
            "SELECT t.*, l.tenant FROM %s t LEFT JOIN logs l ON l.number = t.log" % table)

    def close(self):
        self.db.close()

    def engine(self):
        lines = [row[0] for row in self.db.execute("PRAGMA integrity_check")]
        return [] if lines == ["ok"] else lines


class Postgres:
    """Rows through psql, as JSON; bytes come as hex. What it keeps as a UUID
    is brought into the form that the documents name."""

    def __init__(self, url):
        self.url = url

    def query(self, sql):
        done = subprocess.run(
            ["psql", "--no-psqlrc", "--quiet", "--dbname", self.url, "--command",
             "COPY (SELECT row_to_json(t) FROM (%s) t) TO STDOUT" % sql],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        for line in done.stdout.split("\n"):
            if line:
                # COPY's text form doubles each backslash.
                row = json.loads(line.replace("\\\\", "\\"))
                yield {name: self.value(name, value) for name, value in row.items()}

    def value(self, name, value):
        if not isinstance(value, str):
            return value
        if value.startswith("\\x"):
            return bytes.fromhex(value[2:])
        if name in ("id", "causation"):
            return bytes.fromhex(value.replace("-", ""))
        if name == "trace_id":
            return value.replace("-", "")
        if name in ("tenant", "directive"):
            return ("ten_" if name == "tenant" else "dir_") + value.replace("-", "")
        return value

    def logs(self):
        return self.query("SELECT * FROM writ.logs ORDER BY tenant")

    def entries(self):
        return self.query("SELECT * FROM writ.entries ORDER BY tenant, seq")

    def documents(self):
        return self.query("SELECT * FROM writ.documents")

    def rows(self, table):
        return self.query("SELECT * FROM writ.%s" % table)

    def close(self):
        pass

    def engine(self):
        return []


class Checker:
    def __init__(self, store, lines):
        self.store = store
        self.lines = lines
        self.faults = []
        self.entries = {}   # tenant -> list of entry
        self.units = {}     # command number -> list of (tenant, entry)
        self.requests = {}  # (tenant, key) -> answer

    def fault(self, text, *args):
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(text % args)

    def run(self):
        for line in self.store.engine():
            self.fault("the engine says: %s", line)
        self.read_entries()
        self.check_documents()
        self.check_objects()
        self.check_tree()
        self.check_units()
        return self.check_report()

    # --- the chain

    def read_entries(self):
        logs = list(self.store.logs())
        for log in logs:
            self.entries[log["tenant"]] = []
        for row in self.store.entries():
            if row["tenant"] not in self.entries:
                self.fault("entry %s stands in no log", row["seq"])
                continue
            self.entry(row["tenant"], row)
        for log in logs:
            found = self.entries[log["tenant"]]
            head = found[-1]["hash"] if found else ZERO
            if log["seq"] != len(found) or bytes(log["hash"]).hex() != head:
                self.fault("the head of %s is at %s and not at %s",
                           log["tenant"], log["seq"], len(found))

    def entry(self, tenant, row):
        before = self.entries[tenant]
        seq = row["seq"]
        payload = json.loads(row["payload"])
        header = {
            "actor": row["actor"], "at": instant(row["at"]), "category": row["category"],
            "id": uuid_text("ent", row["id"]), "kind": row["kind"],
            "payload_hash": sha(row["payload"].encode()).hex(),
            "prev_hash": before[-1]["hash"] if before else ZERO,
            "seq": seq, "stream": row["stream"], "stream_version": row["stream_version"],
            "tenant": tenant, "trace_id": row["trace_id"],
        }
        if row["causation"] is not None:
            header["causation"] = uuid_text("ent", row["causation"])
        for name in ("subject", "directive", "snapshot"):
            if row[name] is not None:
                header[name] = row[name]
        digest = sha(b"writ.entry.v1\n" + canonical(header).encode())
        here = "entry %s of %s" % (seq, tenant)
        if seq != len(before) + 1:
            self.fault("%s follows entry %s", here, len(before))
        if canonical(payload) != row["payload"]:
            self.fault("%s: the payload is not canonical", here)
        if bytes(row["payload_hash"]).hex() != header["payload_hash"]:
            self.fault("%s: the payload does not have its hash", here)
        if bytes(row["prev_hash"]).hex() != header["prev_hash"]:
            self.fault("%s does not follow the one before", here)
        if bytes(row["hash"]) != digest:
            self.fault("%s does not have its hash", here)
        entry = {
            "seq": seq, "id": header["id"], "hash": digest.hex(), "stream": row["stream"],
            "version": row["stream_version"], "kind": row["kind"], "payload": payload,
            "at": row["at"], "subject": row["subject"], "tenant": tenant,
            "causation": header.get("causation"), "directive": row["directive"],
        }
        before.append(entry)
        self.units.setdefault(int(row["trace_id"], 16) - 1, []).append(entry)

    # --- the states

    def check_documents(self):
        expected = {}
        for tenant, entries in self.entries.items():
            for entry in entries:
                self.fold(expected, tenant, entry)
        for row in self.store.documents():
            state = expected.pop((row["tenant"], row["stream"]), None)
            if state is None:
                self.fault("the state of %s was made by no entry", row["stream"])
                continue
            found = {name: row[name] for name in state}
            if found != state:
                self.fault("the state of %s is %s and not %s", row["stream"], found, state)
        for tenant, stream in expected:
            self.fault("the state of %s of %s is not there", stream, tenant)

    def fold(self, states, tenant, entry):
        at = (tenant, entry["stream"])
        state = states.get(at)
        body = json.loads(state["body"]) if state else None
        kind = entry["stream"].split("/")[0]
        if (state["version"] if state else 0) + 1 != entry["version"]:
            self.fault("entry %s: the version of %s jumps", entry["seq"], entry["stream"])
        body, status, due = FOLDS[kind](self, body, entry)
        states[at] = {
            "kind": kind, "version": entry["version"],
            "created_seq": state["created_seq"] if state else entry["seq"],
            "updated_seq": entry["seq"], "status": status, "subject": entry["subject"],
            "directive": entry["directive"], "due_at": due, "body": canonical(body),
        }

    def account(self, body, entry):
        body = body or {"balance": 0, "moves": 0}
        by = entry["payload"]["by"]
        balance = body["balance"] + (by if entry["kind"] == "account.deposited" else -by)
        if balance < 0:
            self.fault("entry %s: the balance of %s is below zero", entry["seq"], entry["stream"])
        body = {"name": "\u00e9 \"quoted\"", "balance": balance, "moves": body["moves"] + 1,
                "last": entry["id"], "at": instant(entry["at"])}
        return body, "funded" if balance else "empty", entry["at"] if balance % 7 == 0 else None

    def note(self, body, entry):
        bodies = body["bodies"] if body else 0
        return {"bodies": bodies + 1, "last": entry["payload"]["body"]}, "kept", None

    def request(self, body, entry):
        if body is not None:
            self.fault("entry %s: %s is answered twice", entry["seq"], entry["stream"])
        payload = entry["payload"]
        self.requests[(entry["tenant"], entry["stream"])] = payload["answer"]
        return {"request": payload["request"], "answer": payload["answer"],
                "at": instant(entry["at"]), "entry": entry["id"]}, "answered", None

    def check_objects(self):
        kept = {(e["tenant"], e["payload"]["body"])
                for entries in self.entries.values() for e in entries if e["kind"] == "note.kept"}
        for row in self.store.rows("objects"):
            digest = bytes(row["digest"]).hex()
            if sha(bytes(row["bytes"])).hex() != digest:
                self.fault("the object %s does not have its digest", digest)
            at = (row["tenant"], digest)
            if at not in kept:
                self.fault("the object %s was kept by no entry", digest)
            kept.discard(at)
        for tenant, digest in kept:
            self.fault("the object %s of %s is not there", digest, tenant)

    # --- the tree

    def check_tree(self):
        tiles, spans = {}, {}
        for tenant, entries in self.entries.items():
            grow(tenant, entries, tiles, spans)
        for row in self.store.rows("tiles"):
            at = (row["tenant"], row["level"], row["number"])
            if tiles.pop(at, None) != bytes(row["hashes"]):
                self.fault("tile %s is not that of the entries", at)
        for at in tiles:
            self.fault("tile %s is not there", at)
        for row in self.store.rows("spans"):
            at = (row["tenant"], row["level"], row["number"])
            if spans.pop(at, None) != (row["at_min"], row["at_max"]):
                self.fault("span %s is not that of the entries", at)
        for at in spans:
            self.fault("span %s is not there", at)

    # --- what was intended, and what was acknowledged

    def check_units(self):
        intents = {}
        for at, line in enumerate(self.lines):
            if line["say"] == "intent":
                intents[line["n"]] = line
        for n, unit in self.units.items():
            intent = intents.get(n)
            if intent is None:
                self.fault("command %s was never sent, and is there", n)
                continue
            seqs = [entry["seq"] for entry in unit]
            if seqs != list(range(seqs[0], seqs[0] + len(seqs))):
                self.fault("command %s is scattered over %s", n, seqs)
            if {entry["tenant"] for entry in unit} != {intent["tenant"]}:
                self.fault("command %s stands in another's log", n)
            steps = [{"stream": e["stream"], "kind": e["kind"], "payload": e["payload"]}
                     for e in unit if e["kind"] != "request.answered"]
            if steps != intent["steps"]:
                self.fault("command %s is not there as it was sent: %s", n, steps)
            keys = [e["stream"] for e in unit if e["kind"] == "request.answered"]
            if keys != ([stream_of(intent)] if intent["key"] else []):
                self.fault("command %s: its key is recorded as %s", n, keys)
            if intent["refuses"]:
                self.fault("command %s was to be refused, and is there", n)
            causes = {entry["causation"] for entry in unit[1:]}
            if unit[0]["causation"] or causes - {unit[0]["id"]}:
                self.fault("command %s has another cause", n)
        self.intents = intents

    def check_report(self):
        acks = 0
        acked, ends, answers = set(), {}, {}
        floor = {}
        for line in self.lines:
            say = line["say"]
            if say == "intent":
                floor[line["n"]] = ends.get(line["tenant"], 0)
            elif say == "lie":
                acks += 1
                if line["n"] not in self.units and not self.intents[line["n"]]["refuses"]:
                    self.fault("command %s was acknowledged, and is lost", line["n"])
            elif say == "ack":
                acks += 1
                acked.add(line["n"])
                self.ack(line, floor, ends, answers)
            elif say == "refused":
                # A fault of storage says nothing of what became of it.
                known = line["code"] in ("unavailable", "limit_exceeded")
                if not known and line["n"] in self.units:
                    self.fault("command %s was refused (%s), and is there",
                               line["n"], line["message"])
                if line["code"] not in ("unavailable", "limit_exceeded", "blocked"):
                    self.fault("command %s was refused: %s", line["n"], line["message"])
            elif say == "other":
                # Storage that does not answer says nothing of the key.
                known = line["code"] != "unavailable"
                if known and line["n"] in acked and line["code"] != "conflict":
                    self.fault("another request under the key of %s gives %s",
                               line["n"], line["code"])
            elif say == "read":
                entries = self.entries.get(line["tenant"], [])
                seq = line["seq"]
                if len(entries) < seq or entries[seq - 1]["hash"] != line["hash"]:
                    self.fault("entry %s of %s was read, and is not there",
                               seq, line["tenant"])
        return acks

    def ack(self, line, floor, ends, answers):
        n, answer = line["n"], line["answer"]
        intent = self.intents[n]
        unit = self.units.get(n)
        if unit is None:
            self.fault("command %s was acknowledged, and is lost", n)
            return
        steps = [entry["id"] for entry in unit if entry["kind"] != "request.answered"]
        if answer["entries"] != steps:
            self.fault("command %s was acknowledged with other entries", n)
        seqs = [unit[0]["seq"], unit[-1]["seq"]]
        if line["seqs"] is not None:
            if line["seqs"] != seqs:
                self.fault("command %s stands at %s and was acknowledged at %s",
                           n, seqs, line["seqs"])
            if n in answers:
                self.fault("command %s was done twice", n)
        elif not intent["key"]:
            self.fault("command %s wrote nothing", n)
        if answers.setdefault(n, answer) != answer:
            self.fault("command %s was answered in two ways", n)
        if intent["key"] and self.requests.get((intent["tenant"], stream_of(intent))) != answer:
            self.fault("command %s: the recorded answer is another", n)
        # What was sent after an acknowledgement stands behind what it was for.
        if unit[0]["seq"] <= floor[n]:
            self.fault("command %s stands before what was acknowledged before it", n)
        ends[intent["tenant"]] = max(ends.get(intent["tenant"], 0), seqs[1])


FOLDS = {"account": Checker.account, "note": Checker.note, "request": Checker.request}


def stream_of(intent):
    return "request/torture/%s" % intent["key"]


def grow(tenant, entries, tiles, spans):
    """The tiles and spans of these entries, by RFC 6962."""
    hashes = [sha(b"\0" + bytes.fromhex(entry["hash"])) for entry in entries]
    times = [(entry["at"], entry["at"]) for entry in entries]
    level = 0
    while hashes:
        above, later = [], []
        for number, first in enumerate(range(0, len(hashes), WIDTH)):
            part = hashes[first:first + WIDTH]
            if len(part) == WIDTH or level > 0:
                tiles[(tenant, level, number)] = b"".join(part)
            if len(part) == WIDTH:
                above.append(perfect(part))
                if level < 2 and times:
                    part = times[first:first + WIDTH]
                    span = (min(t[0] for t in part), max(t[1] for t in part))
                    spans[(tenant, level, number)] = span
                    later.append(span)
        hashes, times, level = above, later, level + 1


def perfect(hashes):
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2])
        hashes = [sha(b"\1" + left + right) for left, right in pairs]
    return hashes[0]


def lines_of(path, count, kept={}):
    """The first lines of a report; a last one that was cut short is left out."""
    if kept.get("path") != path or len(kept["lines"]) < count:
        with open(path, "rb") as file:
            whole = file.read().split(b"\n")[:-1]
        kept.update(path=path, lines=[json.loads(line) for line in whole])
    return kept["lines"][:count]


def main():
    for request in sys.stdin:
        request = json.loads(request)
        name = request["store"]
        try:
            store = Postgres(name) if "=" in name or "://" in name else Sqlite(name)
            checker = Checker(store, lines_of(request["report"], request["lines"]))
            acks = checker.run()
            store.close()
            entries = sum(len(entries) for entries in checker.entries.values())
            answer = {"faults": checker.faults, "acks": acks, "entries": entries}
        except Exception as error:  # whatever it is, it is a fault of the store
            answer = {"faults": ["%s: %s" % (type(error).__name__, error)],
                      "acks": 0, "entries": 0}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
