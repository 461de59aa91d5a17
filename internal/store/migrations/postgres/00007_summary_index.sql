-- +goose Up

-- Everything that a list of conversations needs of their messages, so that it does not read what was said.
CREATE INDEX IF NOT EXISTS exai_messages_summary ON messages (conversation_id, dropped_at, role, turn_number, turn_status, saved_at);
