-- What is kept for a time only, how polls went, and what must not come back.

-- +goose Up
CREATE TABLE polls (
    channel_id TEXT NOT NULL,
    -- of polls that found nothing the hour in which they ended, of others the minute
    began      INTEGER NOT NULL,
    source     TEXT NOT NULL,
    -- as in sources
    backfill   TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('unchanged', 'found', 'failed', 'stopped')),
    -- how many polls that were, and what all of them took, in milliseconds, and found
    polls      INTEGER NOT NULL,
    took       INTEGER NOT NULL,
    new        INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    unchanged  INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,
    mended     INTEGER NOT NULL,
    PRIMARY KEY (channel_id, began, source, backfill, outcome)
) STRICT, WITHOUT ROWID;

-- Items that a person had us forget. They are not stored again.
CREATE TABLE forgotten (
    channel_id   TEXT NOT NULL,
    -- SHA-256 of the channel_id, NUL and the networkItemId, in hex
    item_hash    TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL,
    PRIMARY KEY (channel_id, item_hash)
) STRICT, WITHOUT ROWID;

-- What one process at a time does, now and then.
CREATE TABLE upkeep (
    task        TEXT PRIMARY KEY,
    due         INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO upkeep (task) VALUES ('retention');

-- Actions at an end, by how long ago they came there.
CREATE INDEX actions_ended ON actions (channel_id, changed_at) WHERE state IN ('confirmed', 'reported', 'dismissed');

-- As in 00003.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('actions', 'actions_ended', '1000000 500000 2');
ANALYZE sqlite_schema;

-- when a poll last brought the item, unless that was when the row changed; written only where tickets are not kept for
-- ever, and seldom
ALTER TABLE tickets ADD COLUMN seen_at INTEGER;
-- since when that is written for the source, and when its last poll began that brought anything and came to its end
ALTER TABLE sources ADD COLUMN seen_since INTEGER;
ALTER TABLE sources ADD COLUMN seen_last INTEGER;
