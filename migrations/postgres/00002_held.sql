-- Changes of delivered tickets may be held, see tickets.state 'held'.

-- +goose Up
ALTER TABLE tickets DROP CONSTRAINT tickets_state_check,
    ADD CONSTRAINT tickets_state_check
        CHECK (state IN ('pending', 'synced', 'unlinked', 'rejected', 'held', 'gone', 'skipped'));
-- how many changes wait for a person, because one poll brought so many
ALTER TABLE sources ADD COLUMN held bigint NOT NULL DEFAULT 0;
