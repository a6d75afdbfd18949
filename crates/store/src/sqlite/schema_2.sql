-- Version 2. The Merkle tree over each log's entry hashes, in tiles, and the
-- spans of time of its full tiles. Both follow from the entries.

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

-- Queries by actor and by category.
CREATE INDEX entries_actor ON entries (log, actor);
CREATE INDEX entries_category ON entries (log, category);
