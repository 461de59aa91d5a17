-- +goose Up

-- Every issue's checklist as one JSON array in step order, for plain SQL that runs on both databases.
CREATE VIEW exai_issue_checklists AS
SELECT i.id AS issue_id, i.issue_number,
  (SELECT json_group_array(json_object('step_number', s.step_number, 'description', s.description, 'status', s.status,
      'conversation_id', s.conversation_id, 'completed_at', s.completed_at))
    FROM (SELECT * FROM exai_issue_checklist WHERE issue_id = i.id ORDER BY step_number) s) AS checklist
FROM exai_issues i;
