-- +goose Up

-- Every issue's checklist as one JSON array in step order, for plain SQL that runs on both databases. As with
-- exai_active_issues, the view reads with its caller's rights where the server can do that.
-- +goose StatementBegin
DO $$
DECLARE
  invoker text := '';
  caller text;
BEGIN
  IF EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = current_schema() AND c.relname = 'exai_issue_checklists') THEN
    RETURN;
  END IF;
  IF current_setting('server_version_num')::int >= 150000 THEN
    invoker := 'WITH (security_invoker = true)';
  END IF;
  EXECUTE format($v$
    CREATE VIEW exai_issue_checklists %s AS
    SELECT i.id AS issue_id, i.issue_number,
      (SELECT coalesce(json_agg(json_build_object('step_number', s.step_number, 'description', s.description,
          'status', s.status, 'conversation_id', s.conversation_id, 'completed_at', s.completed_at)
          ORDER BY s.step_number), '[]')
        FROM exai_issue_checklist s WHERE s.issue_id = i.id) AS checklist
    FROM exai_issues i
  $v$, invoker);
  IF invoker = '' THEN
    FOREACH caller IN ARRAY ARRAY['anon', 'authenticated'] LOOP
      IF EXISTS (SELECT FROM pg_roles WHERE rolname = caller) THEN
        EXECUTE format('REVOKE ALL ON exai_issue_checklists FROM %I', caller);
      END IF;
    END LOOP;
  END IF;
END
$$;
-- +goose StatementEnd
