-- +goose Up

-- On which host and by which user a conversation was begun, and the line of code that proves an issue.
ALTER TABLE conversations ADD COLUMN IF NOT EXISTS host text, ADD COLUMN IF NOT EXISTS user_name text;
ALTER TABLE exai_issues ADD COLUMN IF NOT EXISTS quote text;
