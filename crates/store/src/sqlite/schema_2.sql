-- Version 2. Smaller rows and keys, the Merkle tree over each log's entry
-- hashes, and the spans of time of its full tiles.

-- Names that entries repeat, once per log: streams, actors, subjects. Rows
-- carry the number. A name that is changed here changes the entries that carry
-- it, so verification finds it.
CREATE TABLE names (
    number INTEGER PRIMARY KEY,
    log    INTEGER NOT NULL REFERENCES logs (number),
    name   TEXT NOT NULL
) STRICT;
INSERT INTO names (log, name)
    SELECT log, name FROM (
        SELECT position, log, stream AS name FROM entries
        UNION ALL SELECT position, log, actor FROM entries
        UNION ALL SELECT position, log, subject FROM entries WHERE subject IS NOT NULL
        UNION ALL SELECT log << 40, log, stream FROM documents
        UNION ALL SELECT log << 40, log, subject FROM documents WHERE subject IS NOT NULL)
    GROUP BY log, name ORDER BY min(position), name;
-- Not unique: then REPLACE has nothing to replace. The one writer looks first.
CREATE INDEX names_name ON names (log, name);

-- Kinds of entries with their category, for all logs.
CREATE TABLE kinds (
    number   INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    category TEXT NOT NULL
) STRICT;
INSERT INTO kinds (kind, category)
    SELECT kind, category FROM entries GROUP BY kind, category ORDER BY min(position);

-- `position` is the log's number times 2^40 plus `seq`, as before; it tells the
-- log of a row, so no key carries the log. Nothing references the tables of
-- names by constraint: a name that is missing makes its entry unreadable, and
-- a check at each append would cost a search per column.
CREATE TABLE entries_2 (
    position       INTEGER PRIMARY KEY,
    id             BLOB NOT NULL,
    stream         INTEGER NOT NULL,
    stream_version INTEGER NOT NULL,
    kind           INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    actor          INTEGER NOT NULL,
    trace_id       BLOB NOT NULL,
    causation      BLOB,
    subject        INTEGER,
    directive      BLOB,
    snapshot       BLOB,
    payload        TEXT NOT NULL,
    payload_hash   BLOB NOT NULL,
    prev_hash      BLOB NOT NULL,
    hash           BLOB NOT NULL
) STRICT;
-- The text forms of ids are three letters, `_`, and hexadecimal digits. What
-- has no such form becomes empty, and verification names the entry.
INSERT INTO entries_2
    SELECT e.position, e.id,
        (SELECT n.number FROM names n WHERE n.log = e.log AND n.name = e.stream),
        e.stream_version,
        (SELECT k.number FROM kinds k WHERE k.kind = e.kind AND k.category = e.category),
        e.at,
        (SELECT n.number FROM names n WHERE n.log = e.log AND n.name = e.actor),
        ifnull(unhex(e.trace_id), x''), e.causation,
        (SELECT n.number FROM names n WHERE n.log = e.log AND n.name = e.subject),
        unhex(substr(e.directive, 5)), unhex(substr(e.snapshot, 5)),
        e.payload, e.payload_hash, e.prev_hash, e.hash
    FROM entries e ORDER BY e.position;
DROP TABLE entries;
ALTER TABLE entries_2 RENAME TO entries;

-- Every key ends with the position, for that is the row's number: a page of any
-- listing is a search and a walk along one key.
CREATE INDEX entries_id ON entries (id);
CREATE INDEX entries_stream ON entries (stream);
CREATE INDEX entries_kind ON entries (kind);
CREATE INDEX entries_actor ON entries (actor, kind);
CREATE INDEX entries_trace ON entries (trace_id);
CREATE INDEX entries_subject ON entries (subject, kind) WHERE subject IS NOT NULL;
CREATE INDEX entries_subject_actor ON entries (subject, actor, kind) WHERE subject IS NOT NULL;
CREATE INDEX entries_directive ON entries (directive) WHERE directive IS NOT NULL;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- REPLACE deletes without firing the trigger above unless the connection asks
-- for recursive triggers; these hold on every connection.
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER names_no_update BEFORE UPDATE ON names
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER names_no_delete BEFORE DELETE ON names
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER names_no_replace BEFORE INSERT ON names
WHEN EXISTS (SELECT 1 FROM names WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER kinds_no_update BEFORE UPDATE ON kinds
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER kinds_no_delete BEFORE DELETE ON kinds
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER kinds_no_replace BEFORE INSERT ON kinds
WHEN EXISTS (SELECT 1 FROM kinds WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Current states, by the number of their stream's name.
CREATE TABLE documents_2 (
    stream      INTEGER PRIMARY KEY,
    log         INTEGER NOT NULL REFERENCES logs (number),
    kind        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL,
    status      TEXT NOT NULL,
    subject     INTEGER,
    directive   BLOB,
    due_at      INTEGER,
    body        TEXT NOT NULL
) STRICT;
INSERT INTO documents_2
    SELECT (SELECT n.number FROM names n WHERE n.log = d.log AND n.name = d.stream) AS number,
        d.log, d.kind, d.version, d.created_seq, d.updated_seq, d.status,
        (SELECT n.number FROM names n WHERE n.log = d.log AND n.name = d.subject),
        unhex(substr(d.directive, 5)), d.due_at, d.body
    FROM documents d ORDER BY number;
DROP TABLE documents;
ALTER TABLE documents_2 RENAME TO documents;
CREATE INDEX documents_kind ON documents (log, kind, created_seq);
CREATE INDEX documents_due ON documents (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE tiles (
    log    INTEGER NOT NULL REFERENCES logs (number),
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (log, level, number)
) STRICT;

CREATE TABLE spans (
    log    INTEGER NOT NULL REFERENCES logs (number),
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at_min INTEGER NOT NULL,
    at_max INTEGER NOT NULL,
    PRIMARY KEY (log, level, number)
) STRICT, WITHOUT ROWID;

-- Which versions of writ opened the file for writing, oldest first, so that one
-- that is too old for it can say which to install.
CREATE TABLE writers (
    number INTEGER PRIMARY KEY,
    schema INTEGER NOT NULL,
    writ   TEXT NOT NULL
) STRICT;
