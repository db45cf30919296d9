-- Changes of delivered tickets may be held, see tickets.state 'held'. SQLite can't change a CHECK, so the
-- table is written anew, with its index and the statistics that 00001 explains.

-- +goose Up
CREATE TABLE tickets_new (
    channel_id      TEXT NOT NULL,
    network_item_id TEXT NOT NULL,
    source          TEXT NOT NULL,
    -- SocialHub's _id; NULL until it is known
    ticket_id       TEXT,
    -- hash of the content that SocialHub should show; '' for an item that can't be read
    wanted_hash     TEXT NOT NULL,
    -- hash of the content that SocialHub said it took; NULL: none; '': some, unknown which
    delivered_hash  TEXT,
    -- the wanted content while it is not delivered
    payload         TEXT,
    -- the item that must be delivered before this one is created
    root_id         TEXT,
    -- the adapter's note for later actions
    ref             TEXT,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'synced', 'unlinked', 'rejected', 'held', 'gone', 'skipped')),
    -- 0 live, 1 backfill
    priority        INTEGER NOT NULL DEFAULT 0,
    due             INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL DEFAULT '',
    changed_at      INTEGER NOT NULL,
    delivered_at    INTEGER,
    PRIMARY KEY (channel_id, network_item_id),
    CHECK ((state = 'pending') = (due IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO tickets_new SELECT * FROM tickets;
DROP TABLE tickets;
ALTER TABLE tickets_new RENAME TO tickets;
CREATE INDEX tickets_open ON tickets (channel_id, state, priority, due) WHERE state <> 'synced';

DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('tickets', 'tickets', '1000000 500000 1'),
    ('tickets', 'tickets_open', '10000 5000 2000 1000 2');
ANALYZE sqlite_schema;

-- how many changes wait for a person, because one poll brought so many
ALTER TABLE sources ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
-- how many held changes polls that failed have let go since the last one that did not
ALTER TABLE sources ADD COLUMN let_go INTEGER NOT NULL DEFAULT 0;
