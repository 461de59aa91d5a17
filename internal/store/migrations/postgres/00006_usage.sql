-- +goose Up

-- One row for each request to a vendor.
CREATE TABLE exai_usage (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  host text,
  user_name text,
  tool text,
  vendor text,
  model text,
  input_tokens bigint NOT NULL DEFAULT 0,
  cached_tokens bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  reasoning_tokens bigint NOT NULL DEFAULT 0,
  cost_usd double precision NOT NULL DEFAULT 0,
  duration_ms bigint NOT NULL DEFAULT 0,
  outcome text,
  exceeded_limit text,
  conversation_id text,
  workspace text
);
ALTER TABLE exai_usage ENABLE ROW LEVEL SECURITY;
CREATE INDEX exai_usage_created ON exai_usage (created_at, cost_usd);

-- What older requests took, by day.
CREATE TABLE exai_usage_days (
  day text NOT NULL,
  vendor text NOT NULL,
  model text NOT NULL,
  tool text NOT NULL,
  workspace text NOT NULL,
  requests bigint NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cost_usd double precision NOT NULL
);
ALTER TABLE exai_usage_days ENABLE ROW LEVEL SECURITY;
CREATE INDEX exai_usage_days_day ON exai_usage_days (day);

-- What requests under way may cost; heartbeat_at says that their process lives.
CREATE TABLE exai_usage_reservations (
  id uuid PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  amount_usd double precision NOT NULL,
  host text,
  user_name text,
  tool text,
  vendor text,
  model text,
  conversation_id text,
  workspace text
);
ALTER TABLE exai_usage_reservations ENABLE ROW LEVEL SECURITY;
