-- +goose Up

-- What the review hooks remember of an agent's session or of a work tree.
CREATE TABLE exai_reviews (
  id TEXT PRIMARY KEY,
  updated_at TEXT NOT NULL,
  workspace TEXT,
  baseline TEXT,
  blocks INTEGER NOT NULL DEFAULT 0,
  judged TEXT,
  verdict TEXT,
  findings TEXT
);
CREATE INDEX exai_reviews_updated ON exai_reviews (updated_at);
