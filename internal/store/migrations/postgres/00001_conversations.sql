-- +goose Up

-- The bookkeeping table was made by the migration tool just before this file ran.
ALTER TABLE exai_migrations ENABLE ROW LEVEL SECURITY;

-- +goose StatementBegin
DO $$
DECLARE
  home name := current_schema();
BEGIN
  IF NOT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                 WHERE t.typname = 'message_role' AND n.nspname = home) THEN
    CREATE TYPE message_role AS ENUM ('user', 'assistant', 'system');
  END IF;
  IF NOT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                 WHERE t.typname = 'file_type' AND n.nspname = home) THEN
    CREATE TYPE file_type AS ENUM ('user_upload', 'generated', 'cache');
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'conversations') THEN
    CREATE TABLE conversations (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      continuation_id text UNIQUE NOT NULL,
      title text,
      metadata jsonb DEFAULT '{}',
      created_at timestamptz DEFAULT now(),
      updated_at timestamptz DEFAULT now()
    );
    ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
    CREATE FUNCTION exai_touch_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $f$
      BEGIN
        NEW.updated_at = pg_catalog.now();
        RETURN NEW;
      END
    $f$;
    CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON conversations
      FOR EACH ROW EXECUTE FUNCTION exai_touch_updated_at();
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'messages') THEN
    CREATE TABLE messages (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      conversation_id uuid REFERENCES conversations (id) ON DELETE CASCADE,
      role message_role NOT NULL,
      content text NOT NULL,
      metadata jsonb DEFAULT '{}',
      created_at timestamptz DEFAULT now()
    );
    ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'files') THEN
    CREATE TABLE files (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      storage_path text UNIQUE NOT NULL,
      original_name text NOT NULL,
      mime_type text,
      size_bytes integer,
      file_type file_type NOT NULL DEFAULT 'user_upload',
      metadata jsonb DEFAULT '{}',
      created_at timestamptz DEFAULT now()
    );
    ALTER TABLE files ENABLE ROW LEVEL SECURITY;
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'conversation_files') THEN
    CREATE TABLE conversation_files (
      conversation_id uuid REFERENCES conversations (id) ON DELETE CASCADE,
      file_id uuid REFERENCES files (id) ON DELETE CASCADE,
      added_at timestamptz DEFAULT now(),
      PRIMARY KEY (conversation_id, file_id)
    );
    ALTER TABLE conversation_files ENABLE ROW LEVEL SECURITY;
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'schema_version') THEN
    CREATE TABLE schema_version (
      version integer PRIMARY KEY,
      applied_at timestamptz DEFAULT now(),
      description text
    );
    ALTER TABLE schema_version ENABLE ROW LEVEL SECURITY;
    INSERT INTO schema_version (version, description)
      VALUES (1, 'Conversations, messages, files and their links');
  END IF;
END
$$;
-- +goose StatementEnd

-- The bytes of attachments, once per content.
CREATE TABLE exai_blobs (
  sha256 text PRIMARY KEY,
  size_bytes bigint NOT NULL,
  data bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE exai_blobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversations
  ADD COLUMN IF NOT EXISTS tool_name text,
  ADD COLUMN IF NOT EXISTS workspace text;

-- step_input, step_reply and turn_meta are json, not jsonb: a reply is given again letter for letter.
ALTER TABLE messages
  ADD COLUMN IF NOT EXISTS turn_number integer,
  ADD COLUMN IF NOT EXISTS turn_status text,
  ADD COLUMN IF NOT EXISTS tool_name text,
  ADD COLUMN IF NOT EXISTS model_used text,
  ADD COLUMN IF NOT EXISTS provider_used text,
  ADD COLUMN IF NOT EXISTS finish_reason text,
  ADD COLUMN IF NOT EXISTS input_tokens integer,
  ADD COLUMN IF NOT EXISTS cached_tokens integer,
  ADD COLUMN IF NOT EXISTS output_tokens integer,
  ADD COLUMN IF NOT EXISTS reasoning_tokens integer,
  ADD COLUMN IF NOT EXISTS cost_usd double precision,
  ADD COLUMN IF NOT EXISTS reasoning text,
  ADD COLUMN IF NOT EXISTS step_tool text,
  ADD COLUMN IF NOT EXISTS step_number integer,
  ADD COLUMN IF NOT EXISTS step_input json,
  ADD COLUMN IF NOT EXISTS step_reply json,
  ADD COLUMN IF NOT EXISTS turn_meta json,
  ADD COLUMN IF NOT EXISTS saved_at timestamptz,
  ADD COLUMN IF NOT EXISTS dropped_at timestamptz;

CREATE INDEX IF NOT EXISTS idx_conversations_continuation_id ON conversations (continuation_id);
CREATE INDEX IF NOT EXISTS idx_conversations_created_at ON conversations (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_messages_conversation_id ON messages (conversation_id);
CREATE INDEX IF NOT EXISTS idx_messages_created_at ON messages (created_at);
CREATE INDEX IF NOT EXISTS idx_files_storage_path ON files (storage_path);
CREATE INDEX IF NOT EXISTS idx_files_type ON files (file_type);
CREATE INDEX IF NOT EXISTS idx_files_created_at ON files (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_conversation_files_conversation_id ON conversation_files (conversation_id);
CREATE INDEX IF NOT EXISTS idx_conversation_files_file_id ON conversation_files (file_id);

CREATE INDEX IF NOT EXISTS exai_conversations_updated ON conversations (updated_at DESC NULLS LAST);
CREATE UNIQUE INDEX IF NOT EXISTS exai_messages_turn ON messages (conversation_id, turn_number);
-- A path may be longer than a btree takes.
CREATE INDEX IF NOT EXISTS exai_files_path ON files USING hash ((metadata ->> 'path'));
CREATE INDEX IF NOT EXISTS exai_files_sha256 ON files ((metadata ->> 'sha256'));
