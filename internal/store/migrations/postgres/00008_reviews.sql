-- +goose Up

-- What the review hooks remember of an agent's session or of a work tree.
CREATE TABLE exai_reviews (
  id text PRIMARY KEY,
  updated_at timestamptz NOT NULL DEFAULT now(),
  workspace text,
  baseline json,
  blocks bigint NOT NULL DEFAULT 0,
  judged text,
  verdict text,
  findings json
);
ALTER TABLE exai_reviews ENABLE ROW LEVEL SECURITY;
CREATE INDEX exai_reviews_updated ON exai_reviews (updated_at);
