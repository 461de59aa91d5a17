-- +goose Up

-- What a finding is recognised by: hashes of workspace, file and title, and of workspace, file and quoted line. A row that
-- another program wrote, or changed, has none; they are filled in before findings are recorded.
ALTER TABLE exai_issues
  ADD COLUMN IF NOT EXISTS title_key text,
  ADD COLUMN IF NOT EXISTS quote_key text;
CREATE INDEX IF NOT EXISTS exai_issues_title_key ON exai_issues (title_key);
CREATE INDEX IF NOT EXISTS exai_issues_quote_key ON exai_issues (quote_key);
