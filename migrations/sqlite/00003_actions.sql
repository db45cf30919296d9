-- What the team does in SocialHub comes back: each event of the webhook is a row that goes from state to state.

-- +goose Up
CREATE TABLE actions (
    channel_id      TEXT NOT NULL,
    -- the same for every delivery of one action
    action_key      TEXT NOT NULL,
    -- those of all its events, each between two line ends; the first is that of the event which began it
    uuids           TEXT NOT NULL,
    type            TEXT NOT NULL,
    action_id       TEXT NOT NULL,
    network_item_id TEXT NOT NULL,
    ticket_id       TEXT NOT NULL,
    -- the item's; '' while the item is unknown
    source          TEXT NOT NULL,
    -- the event's content while it may still be needed
    payload         TEXT,
    state           TEXT NOT NULL CHECK (state IN ('received', 'performing', 'performed', 'confirmed',
        'failed', 'reported', 'uncertain', 'dismissed')),
    -- when the next step may be taken; NULL at an end, and where a person is needed
    due             INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL DEFAULT '',
    -- when it was done in SocialHub, by SocialHub's clock
    happened_at     INTEGER NOT NULL,
    received_at     INTEGER NOT NULL,
    -- when the first try began
    tried_at        INTEGER,
    -- the networkItemId of the reply that was posted, and what is to be told of it
    reply_id        TEXT,
    reply           TEXT,
    changed_at      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, action_key),
    CHECK (state NOT IN ('received', 'performing') OR due IS NOT NULL),
    CHECK (state NOT IN ('confirmed', 'reported', 'dismissed') OR due IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_due ON actions (channel_id, due) WHERE due IS NOT NULL;
-- Actions of one item are done one after the other.
CREATE INDEX actions_item ON actions (channel_id, network_item_id, happened_at, action_key)
    WHERE state IN ('received', 'performing');
CREATE INDEX actions_open ON actions (channel_id, state, source) WHERE state NOT IN ('confirmed', 'reported', 'dismissed');
CREATE INDEX actions_reply ON actions (channel_id, reply_id) WHERE state = 'performed';

-- As in 00001: SQLite must be told that there are many actions, and few that are not at an end.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('actions', 'actions', '1000000 500000 1'),
    ('actions', 'actions_due', '1000 500 2'),
    ('actions', 'actions_item', '1000 500 2 1 1'),
    ('actions', 'actions_open', '1000 500 100 50'),
    ('actions', 'actions_reply', '1000 500 1');
ANALYZE sqlite_schema;

-- 1: posted by us
ALTER TABLE tickets ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
-- when SocialHub said that the channel was deactivated, by its clock
ALTER TABLE channels ADD COLUMN disabled_at INTEGER;
