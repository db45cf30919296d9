-- What is kept for a time only, how polls went, and what must not come back.

-- +goose Up
CREATE TABLE polls (
    channel_id text COLLATE "C" NOT NULL,
    -- of polls that found nothing the hour in which they ended, of others the minute
    began      bigint NOT NULL,
    source     text COLLATE "C" NOT NULL,
    -- as in sources
    backfill   text COLLATE "C" NOT NULL,
    outcome    text COLLATE "C" NOT NULL CHECK (outcome IN ('unchanged', 'found', 'failed', 'stopped')),
    -- how many polls that were, and what all of them took, in milliseconds, and found
    polls      bigint NOT NULL,
    took       bigint NOT NULL,
    new        bigint NOT NULL,
    changed    bigint NOT NULL,
    unchanged  bigint NOT NULL,
    rejected   bigint NOT NULL,
    mended     bigint NOT NULL,
    PRIMARY KEY (channel_id, began, source, backfill, outcome)
);

-- Items that a person had us forget. They are not stored again.
CREATE TABLE forgotten (
    channel_id   text COLLATE "C" NOT NULL,
    -- SHA-256 of the channel_id, NUL and the networkItemId, in hex
    item_hash    text COLLATE "C" NOT NULL,
    forgotten_at bigint NOT NULL,
    PRIMARY KEY (channel_id, item_hash)
);

-- What one process at a time does, now and then.
CREATE TABLE upkeep (
    task        text COLLATE "C" PRIMARY KEY,
    due         bigint NOT NULL DEFAULT 0,
    lease_owner text NOT NULL DEFAULT '',
    lease_until bigint NOT NULL DEFAULT 0
);
INSERT INTO upkeep (task) VALUES ('retention');

-- Actions at an end, by how long ago they came there.
CREATE INDEX actions_ended ON actions (channel_id, changed_at) WHERE state IN ('confirmed', 'reported', 'dismissed');

-- when a poll last brought the item, unless that was when the row changed; written only where tickets are not kept for
-- ever, and seldom
ALTER TABLE tickets ADD COLUMN seen_at bigint;
-- since when that is written for the source, and when its last poll began that brought anything and came to its end
ALTER TABLE sources ADD COLUMN seen_since bigint;
ALTER TABLE sources ADD COLUMN seen_last bigint;
