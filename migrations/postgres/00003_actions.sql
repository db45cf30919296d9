-- What the team does in SocialHub comes back: each event of the webhook is a row that goes from state to state.

-- +goose Up
CREATE TABLE actions (
    channel_id      text COLLATE "C" NOT NULL,
    -- the same for every delivery of one action
    action_key      text COLLATE "C" NOT NULL,
    -- those of all its events, each between two line ends; the first is that of the event which began it
    uuids           text NOT NULL,
    type            text NOT NULL,
    action_id       text NOT NULL,
    network_item_id text COLLATE "C" NOT NULL,
    ticket_id       text NOT NULL,
    -- the item's; '' while the item is unknown
    source          text NOT NULL,
    -- the event's content while it may still be needed
    payload         text,
    state           text NOT NULL CHECK (state IN ('received', 'performing', 'performed', 'confirmed',
        'failed', 'reported', 'uncertain', 'dismissed')),
    -- when the next step may be taken; NULL at an end, and where a person is needed
    due             bigint,
    attempts        bigint NOT NULL DEFAULT 0,
    reason          text NOT NULL DEFAULT '',
    -- when it was done in SocialHub, by SocialHub's clock
    happened_at     bigint NOT NULL,
    received_at     bigint NOT NULL,
    -- when the first try began
    tried_at        bigint,
    -- the networkItemId of the reply that was posted, and what is to be told of it
    reply_id        text COLLATE "C",
    reply           text,
    changed_at      bigint NOT NULL,
    PRIMARY KEY (channel_id, action_key),
    CHECK (state NOT IN ('received', 'performing') OR due IS NOT NULL),
    CHECK (state NOT IN ('confirmed', 'reported', 'dismissed') OR due IS NULL)
);
CREATE INDEX actions_due ON actions (channel_id, due) WHERE due IS NOT NULL;
-- Actions of one item are done one after the other.
CREATE INDEX actions_item ON actions (channel_id, network_item_id, happened_at, action_key)
    WHERE state IN ('received', 'performing');
CREATE INDEX actions_open ON actions (channel_id, state, source) WHERE state NOT IN ('confirmed', 'reported', 'dismissed');
CREATE INDEX actions_reply ON actions (channel_id, reply_id) WHERE state = 'performed';

-- 1: posted by us
ALTER TABLE tickets ADD COLUMN own bigint NOT NULL DEFAULT 0;
-- when SocialHub said that the channel was deactivated, by its clock
ALTER TABLE channels ADD COLUMN disabled_at bigint;
