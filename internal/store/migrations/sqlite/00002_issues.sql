-- +goose Up

-- Arrays are JSON arrays of text here. AUTOINCREMENT: a number is never given twice, not even after a deletion.
CREATE TABLE exai_issues (
  issue_number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT UNIQUE NOT NULL,
  title TEXT NOT NULL,
  description TEXT,
  severity TEXT NOT NULL DEFAULT 'medium' CHECK (severity IN ('critical', 'high', 'medium', 'low')),
  category TEXT NOT NULL DEFAULT 'other'
    CHECK (category IN ('timeout', 'architecture', 'configuration', 'performance', 'security', 'other')),
  status TEXT NOT NULL DEFAULT 'open'
    CHECK (status IN ('open', 'in_progress', 'fixed', 'verified', 'closed', 'wont_fix')),
  file_path TEXT,
  line_start INTEGER,
  line_end INTEGER,
  affected_components TEXT DEFAULT '[]',
  conversation_id TEXT,
  fix_conversation_id TEXT,
  root_cause TEXT,
  impact_description TEXT,
  recommended_fix TEXT,
  actual_fix TEXT,
  fix_date TEXT,
  related_issues TEXT DEFAULT '[]',
  blocks_issues TEXT DEFAULT '[]',
  blocked_by_issues TEXT DEFAULT '[]',
  created_at TEXT,
  updated_at TEXT,
  workspace TEXT
);

CREATE TABLE exai_issue_updates (
  id INTEGER PRIMARY KEY,
  issue_id TEXT NOT NULL REFERENCES exai_issues (id) ON DELETE CASCADE,
  update_type TEXT NOT NULL DEFAULT 'comment'
    CHECK (update_type IN ('comment', 'status_change', 'fix_applied', 'verification', 'conversation_link')),
  content TEXT,
  conversation_id TEXT,
  created_at TEXT
);

CREATE TABLE exai_issue_checklist (
  id INTEGER PRIMARY KEY,
  issue_id TEXT NOT NULL REFERENCES exai_issues (id) ON DELETE CASCADE,
  step_number INTEGER NOT NULL CHECK (step_number > 0),
  description TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'complete', 'skipped')),
  conversation_id TEXT,
  completed_at TEXT,
  created_at TEXT,
  updated_at TEXT,
  UNIQUE (issue_id, step_number)
);

CREATE INDEX exai_issues_file ON exai_issues (file_path);
CREATE INDEX exai_issues_conversation ON exai_issues (conversation_id);
CREATE INDEX exai_issue_updates_issue ON exai_issue_updates (issue_id, created_at);
CREATE INDEX exai_issue_updates_conversation ON exai_issue_updates (conversation_id);

CREATE VIEW exai_active_issues AS
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
ORDER BY CASE i.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END, i.issue_number;
