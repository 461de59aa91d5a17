package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWarnings(t *testing.T) {
	for _, tc := range []struct {
		name    string
		environ []string
		want    []string // a part of each warning, in order
	}{
		{"a retired name", []string{"REDIS_URL=redis://:secret-word@h"}, []string{"REDIS_URL (environment) has no effect here: use CONVERSATION_STORAGE_BACKEND"}},
		{"an empty one", []string{"REDIS_URL=", "MODEL_COSTS_JSON=your_costs_here"}, nil},
		{"by its beginning", []string{"MINIMAX_API_KEY=secret-word", "EXAI_WS_PORT=8079"}, []string{"EXAI_WS_PORT", "MINIMAX_API_KEY"}},
		{"a more precise hint wins", []string{"EXAI_WS_GLM_MAX_INFLIGHT=4"}, []string{"use GLM_MAX_INFLIGHT"}},
		{"a slip", []string{"GLM_API_KYE=secret-word", "KIMI_TIMEOUT_SEC=4"}, []string{"did you mean GLM_API_KEY?", "did you mean KIMI_TIMEOUT_SECS?"}},
		{"nobody's business", []string{"GLM_SOMETHING_ELSE=1", "DATABASE_URI=x", "PATH=/bin", "LOCALES=x"}, nil},
		{"vendors that are gone", []string{"ALLOWED_PROVIDERS=GLM,OPENROUTER"}, []string{"ALLOWED_PROVIDERS: openrouter has no effect here, since ENDPOINTS does not name it."}},
		{"a key in plain text", []string{"GLM_API_KEY=k", "GLM_API_URL=http://gateway/v4"}, []string{"GLM_API_URL=http://gateway/v4 sends the key"}},
		{"with its password hidden", []string{"GLM_API_KEY=k", "GLM_API_URL=http://me:secret-word@gateway"}, []string{"GLM_API_URL=http://me:********@gateway sends"}},
		{"on this machine it may", []string{"GLM_API_KEY=k", "GLM_API_URL=http://127.0.0.1:8080", "KIMI_API_KEY=k", "KIMI_API_URL=http://localhost:1"}, nil},
		{"no key to send", []string{"GLM_API_URL=http://gateway/v4"}, nil},
		{
			"a Supabase project by its service key",
			[]string{"SUPABASE_URL=https://abcdefgh.supabase.co", "SUPABASE_SERVICE_ROLE_KEY=secret-word"},
			[]string{"a service key can't open a database", "DATABASE_URL=postgresql://postgres:<password>@db.abcdefgh.supabase.co:5432/postgres"},
		},
		{
			"with a database URL",
			[]string{"SUPABASE_URL=https://abcdefgh.supabase.co", "SUPABASE_SERVICE_ROLE_KEY=secret-word", "DATABASE_URL=postgres://h/d"},
			[]string{"DATABASE_URL (environment) is not used", "use DATABASE_URL", "use DATABASE_URL with"},
		},
		{"a Supabase URL alone", []string{"SUPABASE_URL=https://h.example"}, []string{"SUPABASE_URL (environment) has no effect here: use DATABASE_URL"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := newMachine(t).mustLoad(tc.environ...).Warnings
			require.Len(t, got, len(tc.want), "%q", got)
			for i, part := range tc.want {
				assert.Contains(t, got[i], part)
			}
			assert.NotContains(t, strings.Join(got, " "), "secret-word")
		})
	}
	t.Run("once for a name that is set twice", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("REDIS_URL=redis://a\n")
		got := m.mustLoad("REDIS_URL=redis://b").Warnings
		require.Len(t, got, 1)
		assert.Contains(t, got[0], "(environment)")
	})
	t.Run("the backend's error gives the Supabase hint", func(t *testing.T) {
		_, err := newMachine(t).load("CONVERSATION_STORAGE_BACKEND=dual", "SUPABASE_URL=https://abcdefgh.supabase.co", "SUPABASE_KEY=secret-word")
		require.ErrorContains(t, err, "@db.abcdefgh.supabase.co:5432")
		assert.NotContains(t, err.Error(), "secret-word")
	})
}
