-- +goose Up

-- +goose StatementBegin
DO $$
DECLARE
  home name := current_schema();
BEGIN
  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'exai_issues') THEN
    CREATE TABLE exai_issues (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      issue_number serial UNIQUE NOT NULL,
      title text NOT NULL,
      description text,
      severity text NOT NULL DEFAULT 'medium' CHECK (severity IN ('critical', 'high', 'medium', 'low')),
      category text NOT NULL DEFAULT 'other'
        CHECK (category IN ('timeout', 'architecture', 'configuration', 'performance', 'security', 'other')),
      status text NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'in_progress', 'fixed', 'verified', 'closed', 'wont_fix')),
      file_path text,
      line_start integer,
      line_end integer,
      affected_components text[] DEFAULT '{}',
      conversation_id text,
      fix_conversation_id text,
      root_cause text,
      impact_description text,
      recommended_fix text,
      actual_fix text,
      fix_date timestamptz,
      related_issues uuid[] DEFAULT '{}',
      blocks_issues uuid[] DEFAULT '{}',
      blocked_by_issues uuid[] DEFAULT '{}',
      created_at timestamptz DEFAULT now(),
      updated_at timestamptz DEFAULT now(),
      workspace text
    );
    ALTER TABLE exai_issues ENABLE ROW LEVEL SECURITY;
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'exai_issue_updates') THEN
    CREATE TABLE exai_issue_updates (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      issue_id uuid NOT NULL REFERENCES exai_issues (id) ON DELETE CASCADE,
      update_type text NOT NULL DEFAULT 'comment'
        CHECK (update_type IN ('comment', 'status_change', 'fix_applied', 'verification', 'conversation_link')),
      content text,
      conversation_id text,
      created_at timestamptz DEFAULT now()
    );
    ALTER TABLE exai_issue_updates ENABLE ROW LEVEL SECURITY;
  END IF;

  IF NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = home AND tablename = 'exai_issue_checklist') THEN
    CREATE TABLE exai_issue_checklist (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      issue_id uuid NOT NULL REFERENCES exai_issues (id) ON DELETE CASCADE,
      step_number integer NOT NULL CHECK (step_number > 0),
      description text NOT NULL,
      status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'complete', 'skipped')),
      conversation_id text,
      completed_at timestamptz,
      created_at timestamptz DEFAULT now(),
      updated_at timestamptz DEFAULT now(),
      UNIQUE (issue_id, step_number)
    );
    ALTER TABLE exai_issue_checklist ENABLE ROW LEVEL SECURITY;
  END IF;
END
$$;
-- +goose StatementEnd

-- For tables found here; those made above have them, with defaults.
ALTER TABLE exai_issues
  ADD COLUMN IF NOT EXISTS created_at timestamptz,
  ADD COLUMN IF NOT EXISTS updated_at timestamptz,
  ADD COLUMN IF NOT EXISTS workspace text;
ALTER TABLE exai_issue_updates
  ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE exai_issue_checklist
  ADD COLUMN IF NOT EXISTS created_at timestamptz,
  ADD COLUMN IF NOT EXISTS updated_at timestamptz;

CREATE INDEX IF NOT EXISTS exai_issues_file ON exai_issues USING hash (file_path);
CREATE INDEX IF NOT EXISTS exai_issues_conversation ON exai_issues (conversation_id);
CREATE INDEX IF NOT EXISTS exai_issue_updates_issue ON exai_issue_updates (issue_id, created_at);
CREATE INDEX IF NOT EXISTS exai_issue_updates_conversation ON exai_issue_updates (conversation_id);
CREATE INDEX IF NOT EXISTS exai_issue_checklist_issue ON exai_issue_checklist (issue_id, step_number);

-- The view reads with its caller's rights, so that it opens no way around the tables' row level security. Servers before
-- version 15 can't do that; there the view stays with its owner.
-- +goose StatementBegin
DO $$
DECLARE
  invoker text := '';
  caller text;
BEGIN
  IF EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = current_schema() AND c.relname = 'exai_active_issues') THEN
    RETURN;
  END IF;
  IF current_setting('server_version_num')::int >= 150000 THEN
    invoker := 'WITH (security_invoker = true)';
  END IF;
  EXECUTE format($v$
    CREATE VIEW exai_active_issues %s AS
    SELECT i.*,
      coalesce(p.completed_steps, 0) AS completed_steps,
      coalesce(p.total_steps, 0) AS total_steps,
      coalesce(100 * p.completed_steps / p.total_steps, 0) AS progress_percentage
    FROM exai_issues i
    LEFT JOIN (
      SELECT issue_id, count(*) FILTER (WHERE status = 'complete') AS completed_steps, count(*) AS total_steps
      FROM exai_issue_checklist GROUP BY issue_id
    ) p ON p.issue_id = i.id
    WHERE i.status IN ('open', 'in_progress')
    ORDER BY CASE i.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, i.issue_number
  $v$, invoker);
  IF invoker = '' THEN
    FOREACH caller IN ARRAY ARRAY['anon', 'authenticated'] LOOP
      IF EXISTS (SELECT FROM pg_roles WHERE rolname = caller) THEN
        EXECUTE format('REVOKE ALL ON exai_active_issues FROM %I', caller);
      END IF;
    END LOOP;
  END IF;
END
$$;
-- +goose StatementEnd
