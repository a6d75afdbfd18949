#!/usr/bin/env python3
"""Verifies bundles of a writ ledger, what people signed when they decided, and
the test vectors beside this file.

Written from ../ledger-format.md and ../approvals.md alone; standard library
only.

    verify.py bundle --key KEY [--witness KEY] [--kept NOTE] [--json] FILE ...
    verify.py decisions --key PUBLIC_KEY ... [--json] FILE ...
    verify.py vectors [DIRECTORY]

`decisions` takes signed statements, approvals (`writ --json show apr_...`) and
bundles, and the public keys of the people, as these gave them; whether a bundle
is the log that was signed is for `bundle`. A FILE of `-` is standard input. Exit
codes: 0 all is well, 1 a file cannot be read or nothing is signed in it, 2 wrong
usage, 3 something does not verify.
"""

import base64
import binascii
import functools
import hashlib
import json
import os
import re
import sys

EXACT_MAX = 2**53 - 1
DEPTH_MAX = 64
LINE_BYTES_MAX = 16777216
PAYLOAD_BYTES_MAX = 262144
NOTE_BYTES_MAX = 1048576
SIGNATURES_MAX = 64
EXTENSIONS_MAX = 32


class Fault(Exception):
    """Something does not verify: a word of the document, and a sentence."""

    def __init__(self, word, what):
        super().__init__(what)
        self.word = word
        self.what = what


def sha256(*parts):
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def unbase64(text):
    """The bytes that this base64 spells; nothing when it is another spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


# --- canonical JSON ---------------------------------------------------------


def parse(text):
    """The value of a JSON text in which no member is named twice."""

    def members(pairs):
        value = dict(pairs)
        if len(value) != len(pairs):
            raise Fault("json", "a member is named twice")
        return value

    def constant(name):
        raise Fault("json", "%s is not JSON" % name)

    def integer(digits):
        # JSON's numbers are doubles; a long integer is rounded to one.
        value = float(digits)
        return int(value) if digits != "-0" and abs(value) <= EXACT_MAX else value

    try:
        return json.loads(text, object_pairs_hook=members, parse_constant=constant, parse_int=integer)
    except (ValueError, RecursionError) as error:
        raise Fault("json", "not JSON: %s" % error)


def number(value):
    """A number as ECMAScript writes it."""
    value = float(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise Fault("json", "a number beyond the range of a double")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return "%s%se%s%d" % (sign, head, "+" if point > 0 else "-", abs(point - 1))


def string(value):
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Fault("json", "a lone surrogate")
    return json.dumps(value, ensure_ascii=False)


def canonical(value, depth=0):
    """The canonical form of a value."""
    if isinstance(value, str):
        return string(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return number(value)
    if depth == DEPTH_MAX:
        raise Fault("json", "nested deeper than %d" % DEPTH_MAX)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth + 1) for item in value) + "]"
    for name in value:
        string(name)
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(string(n) + ":" + canonical(value[n], depth + 1) for n in names) + "}"


def parse_canonical(text):
    value = parse(text)
    if canonical(value) != text:
        raise Fault("canonical", "the line is not in canonical form")
    return value


# --- Ed25519, RFC 8032 ------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(p, q):
    """Adds points (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


ZERO = (0, 1, 1, 0)


def times(first, p, second, q):
    """The sum of `first` times p and `second` times q."""
    both, result = add(p, q), ZERO
    for bit in reversed(range(max(first.bit_length(), second.bit_length()))):
        result = add(result, result)
        one, other = first >> bit & 1, second >> bit & 1
        if one or other:
            result = add(result, both if one and other else p if one else q)
    return result


def compress(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@functools.lru_cache(maxsize=64)
def decompress(data):
    """The point that these 32 bytes stand for; nothing when they are none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_small(point):
    x, y, z, _ = times(8, point, 0, ZERO)
    return x % P == 0 and (y - z) % P == 0


@functools.lru_cache(maxsize=1024)
def ed25519(public, message, signature):
    """Whether the signature over the message is by the public key."""
    if len(signature) != 64:
        return False
    point, commitment = decompress(public), decompress(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or commitment is None or scalar >= ORDER:
        return False
    if is_small(point) or is_small(commitment):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(hashed, "little") % ORDER
    negated = (P - point[0], point[1], point[2], P - point[3])
    return compress(times(scalar, BASE, challenge, negated)) == signature[:32]


# --- signed notes and checkpoints -------------------------------------------

LOG, WITNESS = 1, 4
SPACES = "\x20\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def is_key_name(name):
    """Whether a key may be called this; controls include the other spaces."""
    fine = 0 < len(name.encode()) <= 255 and "+" not in name
    controls = any(c < " " or "\x7f" <= c <= "\x9f" for c in name)
    return fine and not controls and not any(c in SPACES for c in name)


class Key:
    """A verifier key."""

    def __init__(self, text):
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        data = unbase64(encoded)
        if not is_key_name(name) or not re.fullmatch("[0-9a-f]{8}", key_id) or not data:
            raise Fault("key", "`%s` is not a verifier key" % text)
        self.name, self.algorithm, self.public = name, data[0], data[1:]
        self.id = sha256(name.encode(), b"\n", data)[:4]
        point = decompress(self.public) if len(self.public) == 32 else None
        if self.algorithm not in (LOG, WITNESS) or point is None or is_small(point):
            raise Fault("key", "`%s` is not an Ed25519 key" % text)
        if self.id.hex() != key_id:
            raise Fault("key", "`%s` does not have the id that it names" % text)

    def verifies(self, text, signature):
        if self.algorithm == LOG:
            return ed25519(self.public, text.encode(), signature)
        if len(signature) != 72:
            return False
        seconds = int.from_bytes(signature[:8], "big")
        message = "cosignature/v1\ntime %d\n%s" % (seconds, text)
        return ed25519(self.public, message.encode(), signature[8:])


class Note:
    """A signed note, to the letter."""

    def __init__(self, note):
        if len(note.encode()) > NOTE_BYTES_MAX:
            raise Fault("note", "it is longer than a note may be")
        text, empty_line, lines = note.rpartition("\n\n")
        if not empty_line or not lines.endswith("\n"):
            raise Fault("note", "it has no signatures after an empty line")
        self.text = text + "\n"
        if any(c < " " and c != "\n" for c in self.text):
            raise Fault("note", "it has a control character")
        lines = lines[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise Fault("note", "it has too many signatures")
        self.signatures = [self.signature(line) for line in lines]

    @staticmethod
    def signature(line):
        parts = line.split(" ")
        data = unbase64(parts[2]) if len(parts) == 3 else None
        if not data or parts[0] != "\u2014" or not is_key_name(parts[1]) or len(data) < 5:
            raise Fault("note", "a signature line does not have its form")
        return parts[1], data[:4], data[4:]

    def verify(self, key, word="signature", none="key"):
        mine = [s for name, id_, s in self.signatures if (name, id_) == (key.name, key.id)]
        if not mine:
            raise Fault(none, "no signature is by `%s`" % key.name)
        if not all(key.verifies(self.text, signature) for signature in mine):
            raise Fault(word, "the signature by `%s` does not hold" % key.name)


class Checkpoint:
    """The text of a note: origin, size and root of a log."""

    def __init__(self, text):
        lines = text[:-1].split("\n")
        if len(lines) < 3 or len(lines) > 3 + EXTENSIONS_MAX or "" in lines:
            raise Fault("note", "its text is not a checkpoint")
        self.origin = lines[0]
        if not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) or int(lines[1]) >= 2**63:
            raise Fault("note", "its second line is not a size")
        self.size = int(lines[1])
        self.root = unbase64(lines[2])
        if self.root is None or len(self.root) != 32:
            raise Fault("note", "its third line is not a root")
        if self.size == 0 and self.root != sha256(b""):
            raise Fault("note", "an empty log has another root")


# --- the tree ---------------------------------------------------------------


def leaf(data):
    return sha256(b"\x00", data)


def node(left, right):
    return sha256(b"\x01", left, right)


def lowest_bit(number_):
    return number_ & -number_


def parts_beside(first, last, size):
    """How many parts of a tree lie left and right of leaves first to last - 1."""
    right, at = 0, last
    while at < size:
        right, at = right + 1, at + lowest_bit(at)
    return bin(first).count("1"), right


class Roots:
    """The root of a tree, leaf by leaf: a stack of subtrees, each as wide as
    the lowest bit of the place where it begins allows."""

    def __init__(self):
        self.stack, self.size = [], 0

    def push(self, width, hash_):
        self.size += width
        while self.stack and self.stack[-1][0] == width:
            hash_ = node(self.stack.pop()[1], hash_)
            width *= 2
        self.stack.append((width, hash_))

    def leaf(self, data):
        self.push(1, leaf(data))

    def root(self):
        stack = [hash_ for _, hash_ in self.stack]
        if not stack:
            return sha256(b"")
        result = stack.pop()
        while stack:
            result = node(stack.pop(), result)
        return result


class Range:
    """The root of a tree from a range of its leaves and a range proof."""

    def __init__(self, first, last, size, proof):
        left, right = parts_beside(first, last, size)
        if len(proof) != left + right:
            raise Fault("proof", "the proof has %d hashes, not %d" % (len(proof), left + right))
        self.roots, self.right = Roots(), proof[left:]
        for hash_ in proof[:left]:
            self.roots.push(1 << (first.bit_length() - 1), hash_)
            first ^= 1 << (first.bit_length() - 1)

    def leaf(self, data):
        self.roots.leaf(data)

    def root(self):
        # The part that ends the tree may be narrower than its place allows;
        # it is joined as if it were not.
        for hash_ in self.right:
            self.roots.push(lowest_bit(self.roots.size), hash_)
        return self.roots.root()


def inclusion_root(index, size, data, proof):
    """The root that an inclusion proof gives (RFC 9162, 2.1.3.2)."""
    if index >= size:
        raise Fault("proof", "there is no such leaf")
    fn, sn, result = index, size - 1, leaf(data)
    for hash_ in proof:
        if sn == 0:
            raise Fault("proof", "the proof is too long")
        if fn & 1 or fn == sn:
            result = node(hash_, result)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node(result, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise Fault("proof", "the proof is too short")
    return result


def consistency_roots(old, new, old_root, proof):
    """The two roots that a consistency proof gives (RFC 9162, 2.1.4.2)."""
    if old == new:
        if proof:
            raise Fault("proof", "the proof is too long")
        return old_root, old_root
    if old == 0 or old > new or not proof:
        raise Fault("proof", "the proof cannot be one")
    if old == lowest_bit(old):
        proof = [old_root] + proof
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for hash_ in proof[1:]:
        if sn == 0:
            raise Fault("proof", "the proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node(hash_, fr), node(hash_, sr)
            while fn & 1 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, hash_)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise Fault("proof", "the proof is too short")
    return fr, sr


# --- entries ----------------------------------------------------------------


def is_id(prefix, digits=32):
    return re.compile("%s_[0-9a-f]{%d}" % (prefix, digits)).fullmatch


def is_instant(text):
    match = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{6}Z", text
    )
    if not match:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    date = 1 <= month <= 12 and 1 <= day <= days[month - 1]
    time = hour < 24 and minute < 60 and second < 60
    return date and time and text <= "9999-12-30T21:59:59.999999Z"


def is_string(value):
    return isinstance(value, str)


def is_text(value):
    return is_string(value) and value != ""


def is_subject(text):
    kind, _, name = text.partition("/")
    fine = re.fullmatch("[a-z][a-z0-9_-]*", kind) and is_key_name(name.replace("+", "_"))
    return fine and len(kind.encode()) + len(name.encode()) <= 256


def is_position(value):
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= EXACT_MAX


is_hash = re.compile("[0-9a-f]{64}").fullmatch
CATEGORIES = (
    "INTENT SIGNAL EVIDENCE DECISION VALIDATION BUDGET APPROVAL ACTION TOOL_CALL OUTCOME SYSTEM"
).split()
HEADER = {
    "actor": re.compile("(human|agent|service|system):.+", re.DOTALL).fullmatch,
    "at": is_instant,
    "category": CATEGORIES.__contains__,
    "causation": is_id("ent"),
    "directive": is_id("dir"),
    "id": is_id("ent"),
    "kind": is_text,
    "payload_hash": is_hash,
    "prev_hash": is_hash,
    "seq": is_position,
    "snapshot": is_id("snp", 64),
    "stream": is_text,
    "stream_version": is_position,
    "subject": is_subject,
    "tenant": is_id("ten"),
    "trace_id": re.compile("(?!0{32})[0-9a-f]{32}").fullmatch,
}
MAY_BE_ABSENT = {"causation", "directive", "snapshot", "subject"}


def shaped(value, forms, absent=frozenset()):
    """Sees that an object has these members and no others."""
    if not isinstance(value, dict):
        raise Fault("shape", "it is not an object")
    for name in sorted(set(value) - set(forms)):
        raise Fault("shape", "there is no member `%s`" % name)
    for name, fits in forms.items():
        if name not in value and name in absent:
            continue
        positions = fits is is_position
        if name not in value or not (positions or isinstance(value[name], str)) or not fits(value[name]):
            raise Fault("shape", "`%s` is missing or does not have its form" % name)


def entry_hash(header):
    return sha256(b"writ.entry.v1\n", canonical(header).encode())


def checked_entry(line, tenant, seq, before):
    """The hash of the entry in this line, which must be the next one."""
    if set(line) != {"hash", "header", "payload"}:
        raise Fault("shape", "it does not have the members of an entry")
    header, payload = line["header"], canonical(line["payload"]).encode()
    shaped(header, HEADER, MAY_BE_ABSENT)
    if not isinstance(line["hash"], str) or not is_hash(line["hash"]):
        raise Fault("shape", "`hash` is not a hash")
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Fault("shape", "the payload is too long")
    if header["tenant"] != tenant:
        raise Fault("tenant", "it is an entry of another tenant")
    if header["seq"] != seq:
        raise Fault("sequence", "entry %d stands where entry %d must be" % (header["seq"], seq))
    if before is not None and header["prev_hash"] != before.hex():
        raise Fault("chain", "it does not follow the entry before it")
    if header["payload_hash"] != sha256(payload).hex():
        raise Fault("payload", "its payload does not have the recorded hash")
    if line["hash"] != entry_hash(header).hex():
        raise Fault("hash", "its header does not have the recorded hash")
    return bytes.fromhex(line["hash"])


# --- bundles ----------------------------------------------------------------


class Lines:
    """The lines of a bundle. `number` is the place of the one last asked for,
    and `seq` the entry that must stand there, if it is one's."""

    def __init__(self, stream):
        self.stream, self.number, self.seq = stream, 0, None

    def next(self, seq=None):
        self.number, self.seq = self.number + 1, seq
        line = self.stream.readline(LINE_BYTES_MAX + 1)
        if not line:
            raise Fault("end", "the file ends too early")
        if not line.endswith(b"\n"):
            raise Fault("line", "the line does not end in a line feed, or is too long")
        try:
            text = line[:-1].decode()
        except UnicodeDecodeError:
            raise Fault("line", "the line is not UTF-8")
        value = parse_canonical(text)
        if not isinstance(value, dict):
            raise Fault("shape", "the line is not an object")
        return value

    def is_over(self):
        self.number, self.seq = self.number + 1, None
        return not self.stream.read(1)


def checked_head(head, key, witnesses):
    """The checkpoint and the range of a bundle."""
    forms = {"format": "writ.bundle.v1".__eq__, "tenant": is_id("ten"), "checkpoint": is_string}
    forms.update({"first": is_position, "last": is_position})
    lists = {name: head.pop(name, None) for name in ("keys", "proof")}
    if not all(isinstance(l, list) and all(isinstance(t, str) for t in l) for l in lists.values()):
        raise Fault("shape", "`keys` or `proof` is not a list of strings")
    shaped(head, forms)
    first, last = head["first"], head["last"]
    if not all(map(is_hash, lists["proof"])) or first > last:
        raise Fault("shape", "`proof` is not a list of hashes, or `first` is beyond `last`")
    note = Note(head["checkpoint"])
    checkpoint = Checkpoint(note.text)
    note.verify(key)
    if checkpoint.origin != key.name or not checkpoint.origin.endswith("/" + head["tenant"]):
        raise Fault("origin", "the checkpoint is of the log `%s`" % checkpoint.origin)
    if last > checkpoint.size:
        raise Fault("range", "the checkpoint covers %d entries only" % checkpoint.size)
    proof = [bytes.fromhex(text) for text in lists["proof"]]
    tree = Range(first - 1, last, checkpoint.size, proof)
    for witness in witnesses:
        note.verify(witness, "witness", "witness")
    return checkpoint, tree


def checked_objects(lines):
    """Reads objects up to the end; how many there were."""
    count, before = 0, ""
    while True:
        line = lines.next()
        if "end" in line:
            return count, line
        if set(line) != {"bytes", "digest"} or not all(isinstance(v, str) for v in line.values()):
            raise Fault("shape", "it does not have the members of an object")
        data = unbase64(line["bytes"])
        if data is None or not is_hash(line["digest"]):
            raise Fault("shape", "`bytes` is not base64, or `digest` is not a hash")
        if sha256(data).hex() != line["digest"] or line["digest"] <= before:
            raise Fault("object", "the bytes do not have the digest, or objects are not in order")
        count, before = count + 1, line["digest"]


def verify_bundle(lines, key, witnesses=(), kept=None, progress=None):
    """Verifies a bundle; what it holds."""
    head = lines.next()
    checkpoint, tree = checked_head(head, key, witnesses)
    first, last = head["first"], head["last"]
    kept = kept if kept and kept.size > 0 else None
    if kept and kept.size > checkpoint.size:
        raise Fault("kept", "the log was cut: there is a checkpoint of %d entries" % kept.size)
    if kept and (first > 1 or kept.size > last):
        raise Usage("the bundle does not hold the first %d entries" % kept.size)
    before = bytes(32) if first == 1 else None
    for seq in range(first, last + 1):
        before = checked_entry(lines.next(seq), head["tenant"], seq, before)
        tree.leaf(before)
        if kept and seq == kept.size and tree.roots.root() != kept.root:
            raise Fault("kept", "the first %d entries are not those of the checkpoint kept" % seq)
        if progress:
            progress(seq)
    if tree.root() != checkpoint.root:
        raise Fault("root", "the entries do not give the root in the checkpoint")
    objects, end = checked_objects(lines)
    if end != {"end": {"entries": last - first + 1, "objects": objects}}:
        raise Fault("end", "the numbers in the last line are wrong")
    if not lines.is_over():
        raise Fault("end", "something follows the last line")
    return {
        "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex(),
        "first": first, "last": last, "objects": objects,
    }


# --- ECDSA on P-256, FIPS 186-5 ---------------------------------------------

P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def p256_add(p, q):
    """Adds points (x, y); nothing is the point at infinity."""
    if p is None or q is None:
        return p or q
    if p[0] != q[0]:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], P256 - 2, P256) % P256
    elif (p[1] + q[1]) % P256 == 0:
        return None
    else:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], P256 - 2, P256) % P256
    x = (slope * slope - p[0] - q[0]) % P256
    return (x, (slope * (p[0] - x) - p[1]) % P256)


def p256_times(first, p, second, q):
    """The sum of `first` times p and `second` times q."""
    sums, result = {(1, 0): p, (0, 1): q, (1, 1): p256_add(p, q)}, None
    for bit in reversed(range(256)):
        result = p256_add(result, result)
        which = (first >> bit & 1, second >> bit & 1)
        if which in sums:
            result = p256_add(result, sums[which])
    return result


def p256_point(data):
    """The point in these 65 bytes, uncompressed; nothing when it is none."""
    if len(data) != 65 or data[0] != 4:
        return None
    x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    on_the_curve = (y * y - x * x * x + 3 * x - P256_B) % P256 == 0
    return (x, y) if x < P256 and y < P256 and on_the_curve else None


def der_integers(data):
    """The two positive integers of a signature in DER, to the letter."""

    def integer(value):
        length = value.bit_length() // 8 + 1
        return bytes((2, length)) + value.to_bytes(length, "big")

    if not 8 <= len(data) <= 72:
        return None
    end = 4 + data[3]
    r, s = int.from_bytes(data[4:end], "big"), int.from_bytes(data[end + 2:], "big")
    body = integer(r) + integer(s)
    return (r, s) if data == bytes((0x30, len(body))) + body else None


@functools.lru_cache(maxsize=1024)
def es256(public, message, signature):
    """Whether the signature in DER over the message is by the public key."""
    point, numbers = p256_point(public), der_integers(signature)
    if point is None or numbers is None or not all(0 < n < P256_ORDER for n in numbers):
        return False
    inverse = pow(numbers[1], P256_ORDER - 2, P256_ORDER)
    hashed = int.from_bytes(sha256(message), "big")
    first, second = hashed * inverse % P256_ORDER, numbers[0] * inverse % P256_ORDER
    found = p256_times(first, P256_BASE, second, point)
    return found is not None and found[0] % P256_ORDER == numbers[0]


# --- what people signed -----------------------------------------------------

CLIENT_DATA_BYTES_MAX = 4096
AUTHENTICATOR_DATA_BYTES = range(37, 4097)
USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP = 1, 4, 8, 16

STATEMENT = {
    "approval": is_id("apr"),
    "decision": ("approve", "reject").__contains__,
    "digest": is_hash,
    "directive": is_id("dir"),
    "expires_at": is_instant,
    "key": is_id("sgk", 64),
    "made_at": is_instant,
    "on_behalf_of": HEADER["actor"],
    "principal": HEADER["actor"],
    "rules": is_hash,
    "shown": is_hash,
    "snapshot": is_id("snp", 64),
    "tenant": is_id("ten"),
}


def digest_of(domain, value):
    return sha256(domain.encode(), b"\n", canonical(value).encode()).hex()


def unbase64url(text):
    """The bytes that this base64url without padding spells, or nothing."""
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return unbase64(padded) if not re.search("[+/=]", text) else None


class PersonKey:
    """The public half of a person's signing key."""

    def __init__(self, text):
        parts = text.split(":", 3)
        if len(parts) not in (2, 4):
            raise Fault("key", "`%s` is not a public key" % text)
        self.algorithm, value = parts[0], {"algorithm": parts[0], "public_key": parts[1]}
        self.public, self.origin = unbase64(parts[1]) or b"", None
        if len(parts) == 4:
            value["passkey"] = {"credential": parts[2], "origin": parts[3]}
            self.origin = parts[3]
            self.host = self.relying_party(parts[2], parts[3])
        if (self.algorithm == "ed25519") != (self.origin is None) or not self.is_sound():
            raise Fault("key", "`%s` is not a public key of its algorithm" % text)
        self.id = "sgk_" + digest_of("writ.signing-key.v1", value)

    def is_sound(self):
        if self.algorithm == "passkey-es256":
            return p256_point(self.public) is not None
        point = decompress(self.public) if len(self.public) == 32 else None
        fine = point is not None and not is_small(point)
        return fine and self.algorithm in ("ed25519", "passkey-ed25519")

    @staticmethod
    def relying_party(credential, origin):
        """The host of an origin that passkeys work on."""
        form = r"(https|http)://([a-z0-9.-]{1,253})(?::([0-9]{1,5}))?"
        match, raw = re.fullmatch(form, origin), unbase64url(credential)
        if not match or int(match[3] or 0) > 65535 or not raw or len(raw) > 1023:
            raise Fault("key", "`%s` is not an origin, or the credential is none" % origin)
        if match[1] == "http" and match[2] != "localhost":
            raise Fault("key", "passkeys do not work on `%s`" % origin)
        return match[2]

    def verify(self, message, signature, assertion):
        """Sees that this key made the signature over the message."""
        if self.origin is None and assertion is not None:
            raise Fault("passkey", "the key is no passkey")
        if self.origin is not None:
            if assertion is None:
                raise Fault("passkey", "what the authenticator signed is missing")
            message = self.asserted(message, assertion)
        data = unbase64(signature)
        holds = es256 if self.algorithm == "passkey-es256" else ed25519
        if data is None or not holds(self.public, message, data):
            raise Fault("signature", "the signature is not by the key, or not over this statement")

    def asserted(self, message, assertion):
        """What an authenticator signed, when that is about this message."""
        client = unbase64(assertion["client_data"])
        data = unbase64(assertion["authenticator_data"])
        if client is None or len(client) > CLIENT_DATA_BYTES_MAX:
            raise Fault("passkey", "the client data is not base64, or too long")
        if data is None or len(data) not in AUTHENTICATOR_DATA_BYTES:
            raise Fault("passkey", "the authenticator's data is not base64, or not that long")
        said, crossed = client_data(client)
        challenge = base64.urlsafe_b64encode(sha256(message)).decode().rstrip("=")
        for name, expected in (
            ("type", "webauthn.get"), ("challenge", challenge), ("origin", self.origin),
        ):
            if said[name] != expected:
                raise Fault("passkey", "its %s is `%s`, not `%s`" % (name, said[name], expected))
        if crossed:
            raise Fault("passkey", "it was made in another page's frame")
        if data[:32] != sha256(self.host.encode()):
            raise Fault("passkey", "it was made for another relying party")
        flags = data[32]
        if not flags & USER_PRESENT or not flags & USER_VERIFIED:
            raise Fault("passkey", "its person was not there, or not verified")
        if flags & BACKED_UP and not flags & BACKUP_ELIGIBLE:
            raise Fault("passkey", "its flags contradict each other")
        return data + sha256(client)


def client_data(data):
    """The texts in what a browser said, and whether it was in a frame."""
    try:
        said = json.loads(data.decode(), object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError):
        said = None
    members = ("type", "challenge", "origin", "crossOrigin")
    looked_at = said if isinstance(said, list) else []
    looked_at = [pair for pair in looked_at if isinstance(pair, tuple) and pair[0] in members]
    found = dict(looked_at)
    texts = all(is_string(found.get(name)) for name in members[:3])
    crossed = found.get("crossOrigin", False)
    if len(found) != len(looked_at) or not texts or not isinstance(crossed, bool):
        raise Fault("passkey", "the client data is not what a browser makes")
    return found, crossed


def checked_signed(signed):
    """A statement as it was signed, its signature, and what was asserted."""
    if not isinstance(signed, dict) or not isinstance(signed.get("statement"), dict):
        raise Fault("shape", "it is not a signed statement")
    assertion = signed.get("passkey")
    texts = {"signature": is_string}
    if assertion is not None:
        shaped(assertion, {"authenticator_data": is_string, "client_data": is_string})
    rest = {name: value for name, value in signed.items() if name not in ("statement", "passkey")}
    shaped(rest, texts)
    said = dict(signed["statement"])
    reason, verdicts = said.pop("reason", None), said.pop("verdicts", None)
    if said.get("on_behalf_of", "") is None:
        del said["on_behalf_of"]
    shaped(said, STATEMENT, {"on_behalf_of"})
    is_verdict = is_id("vrd", 64)
    if not isinstance(verdicts, list) or not all(is_string(v) and is_verdict(v) for v in verdicts):
        raise Fault("shape", "`verdicts` is not a list of verdicts")
    if reason is not None and not is_string(reason):
        raise Fault("shape", "`reason` is not a text")
    said.update({"reason": reason, "verdicts": verdicts})
    return said, signed["signature"], assertion


def faults_of_signature(signed, keys):
    said, signature, assertion = signed
    key = next((key for key in keys if key.id == said["key"]), None)
    if key is None:
        return ["it names the key `%s`, which is none of yours" % said["key"]]
    message = b"writ.decision.v1\n" + canonical(said).encode()
    try:
        key.verify(message, signature, assertion)
    except Fault as fault:
        return [fault.what]
    return []


def faults_of_request(said, request):
    """Where a statement does not fit the request that it stands at."""
    bound = request["binding"]
    names = ("directive", "digest", "snapshot", "verdicts", "rules", "shown")
    expected = {name: bound.get(name) for name in names}
    expected.update({name: request.get(name) for name in ("approval", "expires_at")})
    differ = sorted(name for name, value in expected.items() if said[name] != value)
    return ["the request it stands at differs in: " + ", ".join(differ)] if differ else []


class Rests:
    """What of a log decisions rest on: requests, contracts by their digests,
    verdicts by their ids."""

    def __init__(self):
        self.requests, self.contracts, self.verdicts, self.signed = {}, {}, {}, []

    def take(self, kind, payload):
        if kind == "approval.requested":
            self.requests[member(payload, "approval", str)] = payload
            member(payload, "binding", dict)
            member(payload, "because", list)
        elif kind in ("approval.endorsed", "approval.approved", "approval.rejected"):
            if payload.get("signed") is not None:
                self.signed.append(checked_signed(payload["signed"]))
        elif kind in ("directive.drafted", "directive.edited"):
            contract = member(payload, "contract", dict)
            self.contracts[digest_of("writ.directive.v1", contract)] = contract
        elif kind == "gate.verdict_given":
            question = member(payload, "question", dict)
            self.verdicts["vrd_" + digest_of("writ.verdict.v1", question)] = payload

    def faults(self, said):
        request = self.requests.get(said["approval"])
        if request is None:
            return ["the request `%s` is not in the bundle" % said["approval"]]
        faults = faults_of_request(said, request)
        contract = self.contracts.get(said["digest"])
        given = self.verdicts.get((said["verdicts"] or [None])[0])
        if contract is None or given is None:
            return faults + ["the contract or the verdict that was signed is not in the bundle"]
        shown = {
            "because": request["because"], "contract": contract,
            "rules": said["rules"], "verdict": given,
        }
        if digest_of("writ.shown.v1", shown) != said["shown"]:
            faults.append("contract, verdict and reasons in the log are not what was signed")
        return faults


def member(value, name, kind):
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise Fault("shape", "`%s` is missing or does not have its form" % name)
    return found


def decisions_in_document(document):
    """The signed decisions in a statement or an approval, with their faults."""
    if not isinstance(document, dict):
        return []
    if "statement" in document:
        return [(checked_signed(document), [])]
    state = document.get("state", document)
    if not isinstance(state, dict) or "votes" not in state:
        return []
    request = member(state, "request", dict)
    member(request, "binding", dict)
    votes = [vote.get("signed") for vote in member(state, "votes", list)]
    all_signed = [s for s in votes + [state.get("refusal")] if s is not None]
    signed = [checked_signed(s) for s in all_signed]
    return [(s, faults_of_request(s[0], request)) for s in signed]


def decisions_in_bundle(lines):
    rests = Rests()
    for line in lines:
        value = parse(line)
        header = value.get("header") if isinstance(value, dict) else None
        if isinstance(header, dict) and is_string(header.get("kind")) and "payload" in value:
            rests.take(header["kind"], value["payload"])
    return [(signed, rests.faults(signed[0])) for signed in rests.signed]


def decisions_in(text):
    if "\n" in text.rstrip():
        try:
            return decisions_in_document(parse(text))
        except Fault as fault:
            if fault.word != "json":
                raise
            return decisions_in_bundle(text.rstrip("\n").split("\n"))
    return decisions_in_document(parse(text))


def decided(text, keys):
    """Each signed decision in a text, with what is wrong with it."""
    found = []
    for signed, faults in decisions_in(text):
        faults = faults + faults_of_signature(signed, keys)
        verdict = "false" if faults else "verified"
        found.append({"faults": faults, "statement": signed[0], "verdict": verdict})
    return found


# --- the command line -------------------------------------------------------


class Usage(Exception):
    """The command was not understood, or asks for what cannot be."""


def verdict(file, key, witnesses, kept, progress=None):
    """What verification says of a file."""
    stream = sys.stdin.buffer if file == "-" else open(file, "rb")
    lines = Lines(stream)
    try:
        return {"file": file, "verdict": "ok", **verify_bundle(lines, key, witnesses, kept, progress)}
    except Fault as fault:
        place = {"line": lines.number, "seq": lines.seq}
        return {"file": file, "verdict": "refused", "fault": fault.word, "what": fault.what, **place}
    finally:
        stream.close()


def checkpoint_kept(path, key):
    with open(path, encoding="utf-8", newline="") as file:
        note = Note(file.read())
    note.verify(key)
    checkpoint = Checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise Fault("origin", "it is of the log `%s`" % checkpoint.origin)
    return checkpoint


def arguments(words):
    """Splits the words after `bundle`."""
    named = {"--key": [], "--witness": [], "--kept": []}
    files, as_json = [], False
    words = iter(words)
    for word in words:
        if word in named:
            named[word].append(next(words, ""))
        elif word == "--json":
            as_json = True
        elif word.startswith("--"):
            raise Usage("there is no option `%s`" % word)
        else:
            files.append(word)
    if len(named["--key"]) != 1 or len(named["--kept"]) > 1 or not files:
        raise Usage("give one --key, at most one --kept, and a file")
    try:
        key = Key(named["--key"][0])
        witnesses = [Key(text) for text in named["--witness"]]
        if key.algorithm != LOG or any(w.algorithm != WITNESS for w in witnesses):
            raise Usage("--key wants the key of a log, --witness that of a witness")
        kept = checkpoint_kept(named["--kept"][0], key) if named["--kept"] else None
    except Fault as fault:
        raise Usage(fault.what)
    return key, witnesses, kept, files, as_json


def bundle(words):
    key, witnesses, kept, files, as_json = arguments(words)
    show = sys.stderr.isatty()

    def progress(seq):
        if seq % 1000 == 0:
            sys.stderr.write("\r%d entries" % seq)

    code = 0
    for file in files:
        said = verdict(file, key, witnesses, kept, progress if show else None)
        if show:
            sys.stderr.write("\r\x1b[K")
        if as_json:
            print(json.dumps(said, sort_keys=True))
        elif said["verdict"] == "ok":
            print("%s: verified: entries %d to %d of `%s`, %d in all, %d objects" % (
                file, said["first"], said["last"], said["origin"], said["size"], said["objects"]))
        else:
            place = "line %d" % said["line"] + (", entry %d" % said["seq"] if said["seq"] else "")
            print("%s: REFUSED: %s: %s (fault `%s`)" % (file, place, said["what"], said["fault"]))
        code = code if said["verdict"] == "ok" else 3
    return code


def decisions(words):
    keys, files, as_json = [], [], False
    words = iter(words)
    for word in words:
        if word == "--key":
            keys.append(next(words, ""))
        elif word == "--json":
            as_json = True
        elif word.startswith("--"):
            raise Usage("there is no option `%s`" % word)
        else:
            files.append(word)
    if not keys or not files:
        raise Usage("give the --key of each person, and a file")
    try:
        keys = [PersonKey(text) for text in keys]
    except Fault as fault:
        raise Usage(fault.what)
    codes = []
    for file in files:
        with sys.stdin.buffer if file == "-" else open(file, "rb") as stream:
            said, code = said_of(file, stream.read(), keys)
        codes.append(code)
        print(json.dumps(said, sort_keys=True) if as_json else shown_decisions(said))
    return max(codes)


def said_of(file, data, keys):
    """What is said of the decisions in a file, and the exit code."""
    try:
        found = decided(data.decode(), keys)
    except (UnicodeDecodeError, Fault) as error:
        return {"file": file, "what": getattr(error, "what", "it is not UTF-8")}, 1
    if not found:
        return {"file": file, "what": "nothing is signed in it"}, 1
    fine = all(decision["verdict"] == "verified" for decision in found)
    return {"file": file, "decisions": found}, 0 if fine else 3


def shown_decisions(said):
    if "what" in said:
        return "%s: %s" % (said["file"], said["what"])
    lines = []
    for decision in said["decisions"]:
        statement = decision["statement"]
        words = tuple(statement[n] for n in ("principal", "decision", "approval", "directive"))
        lines.append("%s: %s: %s %s %s of %s" % (said["file"], decision["verdict"], *words))
        lines.extend("  " + fault for fault in decision["faults"])
    return "\n".join(lines)


# --- the test vectors -------------------------------------------------------


def fault_of(check, *given):
    """The word of the fault that a check finds; nothing when it finds none."""
    try:
        check(*given)
    except Fault as fault:
        return fault.word
    return None


def check_canonical(case):
    found = canonical(parse(case["text"]))
    if found != case["canonical"]:
        raise Fault("canonical", found)


def check_entry(case):
    line = {name: case[name] for name in ("hash", "header", "payload")}
    header, payload = canonical(line["header"]), canonical(line["payload"])
    if header != case["header_text"] or payload != case["payload_text"]:
        raise Fault("canonical", header)
    if sha256(payload.encode()).hex() != case["payload_hash"]:
        raise Fault("payload", "another hash")
    checked_entry(line, header_of(line, "tenant"), header_of(line, "seq"), None)


def header_of(line, name):
    return line["header"][name]


def data_of(index):
    return sha256(str(index).encode())


def check_tree(case):
    hashes = [bytes.fromhex(text) for text in case.get("hashes", ())]
    kind, size = case["kind"], case.get("size", 0)
    root = bytes.fromhex(case["root"]) if "root" in case else None
    if kind == "root":
        found = Roots()
        for index in range(size):
            found.leaf(data_of(index))
        found = found.root()
    elif kind == "tile":
        width, start = 256 ** case["level"], 256 * case["index"]
        found = b""
        for place in range(start, min(start + 256, size // width)):
            part = Roots()
            for index in range(place * width, (place + 1) * width):
                part.leaf(data_of(index))
            found += part.root()
        found, root = sha256(found), bytes.fromhex(case["sha256"])
    elif kind == "inclusion":
        found = inclusion_root(case["index"], size, data_of(case["index"]), hashes)
    elif kind == "consistency":
        old, found = consistency_roots(
            case["old_size"], size, bytes.fromhex(case["old_root"]), hashes)
        if old.hex() != case["old_root"]:
            raise Fault("root", "the older root is another")
    else:
        found = Range(case["first"], case["last"], size, hashes)
        for index in range(case["first"], case["last"]):
            found.leaf(data_of(index))
        found = found.root()
    if found != root:
        raise Fault("root", "the root is another")


def check_note(case):
    key = Key(case["key"])
    note = Note(case["note"])
    checkpoint = Checkpoint(note.text)
    note.verify(key)
    if (checkpoint.origin, str(checkpoint.size)) != (case["origin"], case["size"]):
        raise Fault("note", "another checkpoint")


def check_bundle(directory, case):
    kept = None
    key = Key(case["key"])
    if "kept" in case:
        kept = Checkpoint(Note(case["kept"]).text)
    file = os.path.join(directory, "bundles", case["file"])
    said = verdict(file, key, [Key(text) for text in case.get("witnesses", ())], kept)
    if said.get("line") != case.get("line"):
        raise Fault("place", "line %s, not %s" % (said.get("line"), case.get("line")))
    if said["verdict"] != "ok":
        raise Fault(said["fault"], said["what"])


def vectors(words):
    directory = words[0] if words else os.path.dirname(os.path.abspath(__file__))
    checks = {
        "canonical": check_canonical, "entries": check_entry, "tree": check_tree,
        "notes": check_note, "bundles": functools.partial(check_bundle, directory),
    }
    wrong = 0
    for name, check in checks.items():
        with open(os.path.join(directory, name + ".json"), encoding="utf-8") as file:
            cases = json.load(file)
        for case in cases:
            found, expected = fault_of(check, case), case.get("fault")
            if found != expected:
                wrong += 1
                print("%s: %s: found %s, expected %s" % (name, case["name"], found, expected))
        print("%s: %d cases" % (name, len(cases)))
    return 3 if wrong else 0


def main(words):
    commands = {"bundle": bundle, "decisions": decisions, "vectors": vectors}
    try:
        if not words or words[0] not in commands:
            raise Usage(__doc__.strip())
        return commands[words[0]](words[1:])
    except Usage as usage:
        print(usage, file=sys.stderr)
        return 2
    except OSError as error:
        print("cannot read `%s`: %s" % (error.filename, error.strerror), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
