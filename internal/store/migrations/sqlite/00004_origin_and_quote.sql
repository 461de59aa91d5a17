-- +goose Up

-- On which host and by which user a conversation was begun, and the line of code that proves an issue.
ALTER TABLE conversations ADD COLUMN host TEXT;
ALTER TABLE conversations ADD COLUMN user_name TEXT;
ALTER TABLE exai_issues ADD COLUMN quote TEXT;
