-- Times are milliseconds since the Unix epoch by the database's clock; NULL means never.
-- Every key starts with channel_id, so that the tables can be spread by channel.

-- +goose Up
CREATE TABLE channels (
    channel_id        text COLLATE "C" PRIMARY KEY,
    name              text NOT NULL,
    -- '' while the channel works; else why no request may be sent: rate_limited, unauthorized, forbidden
    pause             text NOT NULL DEFAULT '',
    pause_reason      text NOT NULL DEFAULT '',
    -- when the pause ends by itself; NULL waits for another token or a person
    paused_until      bigint,
    -- fingerprint of the token that was refused
    pause_fingerprint text NOT NULL DEFAULT '',
    -- who delivers for this channel; lease_epoch grows with every new holder
    lease_owner       text NOT NULL DEFAULT '',
    lease_until       bigint NOT NULL DEFAULT 0,
    lease_epoch       bigint NOT NULL DEFAULT 0
);

CREATE TABLE sources (
    channel_id   text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    -- '' for the scheduled polls; else the range of a backfill, which has its own cursor
    backfill     text COLLATE "C" NOT NULL DEFAULT '',
    adapter      text NOT NULL,
    schedule     text NOT NULL DEFAULT '',
    cursor       text NOT NULL DEFAULT '',
    next_poll    bigint,
    last_poll    bigint,
    last_success bigint,
    last_error   text NOT NULL DEFAULT '',
    failures     bigint NOT NULL DEFAULT 0,
    -- '' while the source is polled; else why it waits for a person
    pause        text NOT NULL DEFAULT '',
    -- what the last poll found
    new          bigint NOT NULL DEFAULT 0,
    changed      bigint NOT NULL DEFAULT 0,
    unchanged    bigint NOT NULL DEFAULT 0,
    rejected     bigint NOT NULL DEFAULT 0,
    mended       bigint NOT NULL DEFAULT 0,
    -- a backfill that reached its end
    finished     bigint,
    lease_owner  text NOT NULL DEFAULT '',
    lease_until  bigint NOT NULL DEFAULT 0,
    lease_epoch  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, name, backfill)
);

CREATE TABLE tickets (
    channel_id      text COLLATE "C" NOT NULL,
    network_item_id text COLLATE "C" NOT NULL,
    source          text NOT NULL,
    -- SocialHub's _id; NULL until it is known
    ticket_id       text,
    -- hash of the content that SocialHub should show; '' for an item that can't be read
    wanted_hash     text NOT NULL,
    -- hash of the content that SocialHub said it took; NULL: none; '': some, unknown which
    delivered_hash  text,
    -- the wanted content while it is not delivered
    payload         text,
    -- the item that must be delivered before this one is created
    root_id         text COLLATE "C",
    -- the adapter's note for later actions
    ref             text,
    state           text NOT NULL CHECK (state IN ('pending', 'synced', 'unlinked', 'rejected', 'gone', 'skipped')),
    -- 0 live, 1 backfill
    priority        bigint NOT NULL DEFAULT 0,
    due             bigint,
    attempts        bigint NOT NULL DEFAULT 0,
    reason          text NOT NULL DEFAULT '',
    changed_at      bigint NOT NULL,
    delivered_at    bigint,
    PRIMARY KEY (channel_id, network_item_id),
    CHECK ((state = 'pending') = (due IS NOT NULL))
);
-- The work queue and the lists of what is not in order; a synced ticket is in the primary key only.
CREATE INDEX tickets_open ON tickets (channel_id, state, priority, due) WHERE state <> 'synced';

