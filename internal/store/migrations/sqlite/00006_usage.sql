-- +goose Up

-- One row for each request to a vendor.
CREATE TABLE exai_usage (
  id TEXT PRIMARY KEY,
  created_at TEXT NOT NULL,
  host TEXT,
  user_name TEXT,
  tool TEXT,
  vendor TEXT,
  model TEXT,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  cached_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  reasoning_tokens INTEGER NOT NULL DEFAULT 0,
  cost_usd REAL NOT NULL DEFAULT 0,
  duration_ms INTEGER NOT NULL DEFAULT 0,
  outcome TEXT,
  exceeded_limit TEXT,
  conversation_id TEXT,
  workspace TEXT
);
CREATE INDEX exai_usage_created ON exai_usage (created_at, cost_usd);

-- What older requests took, by day.
CREATE TABLE exai_usage_days (
  day TEXT NOT NULL,
  vendor TEXT NOT NULL,
  model TEXT NOT NULL,
  tool TEXT NOT NULL,
  workspace TEXT NOT NULL,
  requests INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost_usd REAL NOT NULL
);
CREATE INDEX exai_usage_days_day ON exai_usage_days (day);

-- What requests under way may cost; heartbeat_at says that their process lives.
CREATE TABLE exai_usage_reservations (
  id TEXT PRIMARY KEY,
  created_at TEXT NOT NULL,
  heartbeat_at TEXT NOT NULL,
  amount_usd REAL NOT NULL,
  host TEXT,
  user_name TEXT,
  tool TEXT,
  vendor TEXT,
  model TEXT,
  conversation_id TEXT,
  workspace TEXT
);
