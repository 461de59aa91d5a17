-- +goose Up

-- uuid, jsonb and timestamptz are text here; times are UTC with six decimals, so that they sort as text.
CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  continuation_id TEXT UNIQUE NOT NULL,
  title TEXT,
  metadata TEXT DEFAULT '{}',
  created_at TEXT,
  updated_at TEXT,
  tool_name TEXT,
  workspace TEXT
);

CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  conversation_id TEXT REFERENCES conversations (id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content TEXT NOT NULL,
  metadata TEXT DEFAULT '{}',
  created_at TEXT,
  turn_number INTEGER,
  turn_status TEXT,
  tool_name TEXT,
  model_used TEXT,
  provider_used TEXT,
  finish_reason TEXT,
  input_tokens INTEGER,
  cached_tokens INTEGER,
  output_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  reasoning TEXT,
  step_tool TEXT,
  step_number INTEGER,
  step_input TEXT,
  step_reply TEXT,
  turn_meta TEXT,
  saved_at TEXT,
  dropped_at TEXT
);

CREATE TABLE files (
  id TEXT PRIMARY KEY,
  storage_path TEXT UNIQUE NOT NULL,
  original_name TEXT NOT NULL,
  mime_type TEXT,
  size_bytes INTEGER,
  file_type TEXT NOT NULL DEFAULT 'user_upload' CHECK (file_type IN ('user_upload', 'generated', 'cache')),
  metadata TEXT DEFAULT '{}',
  created_at TEXT
);

CREATE TABLE conversation_files (
  conversation_id TEXT REFERENCES conversations (id) ON DELETE CASCADE,
  file_id TEXT REFERENCES files (id) ON DELETE CASCADE,
  added_at TEXT,
  PRIMARY KEY (conversation_id, file_id)
);

CREATE TABLE schema_version (
  version INTEGER PRIMARY KEY,
  applied_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
  description TEXT
);
INSERT INTO schema_version (version, description) VALUES (1, 'Conversations, messages, files and their links');

-- The bytes of attachments, once per content.
CREATE TABLE exai_blobs (
  sha256 TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  data BLOB NOT NULL,
  created_at TEXT NOT NULL
);

CREATE INDEX idx_conversations_created_at ON conversations (created_at DESC);
CREATE INDEX exai_conversations_updated ON conversations (updated_at DESC);
CREATE UNIQUE INDEX exai_messages_turn ON messages (conversation_id, turn_number);
CREATE INDEX idx_messages_created_at ON messages (created_at);
CREATE INDEX idx_files_created_at ON files (created_at DESC);
CREATE INDEX exai_files_path ON files (metadata ->> 'path');
CREATE INDEX exai_files_sha256 ON files (metadata ->> 'sha256');
CREATE INDEX idx_conversation_files_file_id ON conversation_files (file_id);
