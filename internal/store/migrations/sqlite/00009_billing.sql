-- +goose Up

-- Who pays for a request: "plan", or "plan?" where the key decides; NULL: it is paid by its tokens.
ALTER TABLE exai_usage ADD COLUMN billing TEXT;
ALTER TABLE exai_usage_days ADD COLUMN billing TEXT;
ALTER TABLE exai_usage_reservations ADD COLUMN billing TEXT;

-- What a request under way costs if its answer gets as long as it may; NULL: no more than amount_usd.
ALTER TABLE exai_usage_reservations ADD COLUMN most_usd REAL;

-- The few requests that a limit ended, which are counted by its name.
CREATE INDEX exai_usage_exceeded ON exai_usage (exceeded_limit, created_at) WHERE exceeded_limit IS NOT NULL;
