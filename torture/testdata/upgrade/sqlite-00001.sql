-- The first schema as release 1 made it, frozen: never edit it. The data is in rows-00001.sql.

CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1);

CREATE TABLE channels (
    channel_id        TEXT PRIMARY KEY,
    name              TEXT NOT NULL,
    -- '' while the channel works; else why no request may be sent: rate_limited, unauthorized, forbidden
    pause             TEXT NOT NULL DEFAULT '',
    pause_reason      TEXT NOT NULL DEFAULT '',
    -- when the pause ends by itself; NULL waits for another token or a person
    paused_until      INTEGER,
    -- fingerprint of the token that was refused
    pause_fingerprint TEXT NOT NULL DEFAULT '',
    -- who delivers for this channel; lease_epoch grows with every new holder
    lease_owner       TEXT NOT NULL DEFAULT '',
    lease_until       INTEGER NOT NULL DEFAULT 0,
    lease_epoch       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    channel_id   TEXT NOT NULL,
    name         TEXT NOT NULL,
    -- '' for the scheduled polls; else the range of a backfill, which has its own cursor
    backfill     TEXT NOT NULL DEFAULT '',
    adapter      TEXT NOT NULL,
    schedule     TEXT NOT NULL DEFAULT '',
    cursor       TEXT NOT NULL DEFAULT '',
    next_poll    INTEGER,
    last_poll    INTEGER,
    last_success INTEGER,
    last_error   TEXT NOT NULL DEFAULT '',
    failures     INTEGER NOT NULL DEFAULT 0,
    -- '' while the source is polled; else why it waits for a person
    pause        TEXT NOT NULL DEFAULT '',
    -- what the last poll found
    new          INTEGER NOT NULL DEFAULT 0,
    changed      INTEGER NOT NULL DEFAULT 0,
    unchanged    INTEGER NOT NULL DEFAULT 0,
    rejected     INTEGER NOT NULL DEFAULT 0,
    mended       INTEGER NOT NULL DEFAULT 0,
    -- a backfill that reached its end
    finished     INTEGER,
    lease_owner  TEXT NOT NULL DEFAULT '',
    lease_until  INTEGER NOT NULL DEFAULT 0,
    lease_epoch  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, name, backfill)
) STRICT, WITHOUT ROWID;

CREATE TABLE tickets (
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
    state           TEXT NOT NULL CHECK (state IN ('pending', 'synced', 'unlinked', 'rejected', 'gone', 'skipped')),
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
-- The work queue and the lists of what is not in order; a synced ticket is in the primary key only.
CREATE INDEX tickets_open ON tickets (channel_id, state, priority, due) WHERE state <> 'synced';

-- SQLite guesses that a channel has ten tickets and would rather walk the whole channel than use this
-- index; it must be told that it has many, and few that are open.
ANALYZE tickets;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('tickets', 'tickets', '1000000 500000 1'),
    ('tickets', 'tickets_open', '10000 5000 2000 1000 2');
ANALYZE sqlite_schema;

