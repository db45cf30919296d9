-- Changes of delivered tickets may be held, see tickets.state 'held'.

-- +goose Up
ALTER TABLE tickets DROP CONSTRAINT tickets_state_check,
    ADD CONSTRAINT tickets_state_check
        CHECK (state IN ('pending', 'synced', 'unlinked', 'rejected', 'held', 'gone', 'skipped'));
-- how many changes wait for a person, because one poll brought so many
ALTER TABLE sources ADD COLUMN held bigint NOT NULL DEFAULT 0;
-- how many held changes polls that failed have let go since the last one that did not
ALTER TABLE sources ADD COLUMN let_go bigint NOT NULL DEFAULT 0;
