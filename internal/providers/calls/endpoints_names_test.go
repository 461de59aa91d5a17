package calls_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestNotesOfNames(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{
		"openrouter": remote("openrouter", "deepseek/deepseek-v4"), "lab": remote("lab", "glm-5.3", "zhipu", "big"),
	}, "GLM_API_KEY=k", "ENDPOINTS=openrouter,lab", "OPENROUTER_API_KEY=k", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big")
	s.caller.LearnEndpoints(t.Context())
	for name, c := range map[string]struct {
		model string
		notes []string
	}{
		" glm-5.3-flash ":        {"glm-5.3-flash", nil},
		"openrouter/deepseek-v4": {"openrouter/deepseek/deepseek-v4", []string{"openrouter/deepseek-v4 is an alias of openrouter/deepseek/deepseek-v4."}},
		"deepseek/deepseek-v4":   {"openrouter/deepseek/deepseek-v4", []string{"deepseek/deepseek-v4 is an alias of openrouter/deepseek/deepseek-v4."}},
		"glm-5.3":                {"glm-5.3", []string{"glm-5.3 answers; name lab/glm-5.3 to ask the other vendor of glm-5.3."}},
		"zhipu":                  {"lab/zhipu", []string{"zhipu is an alias of lab/zhipu."}}, // a model's own name goes before a vendor's
		"zai":                    {"glm-5.3", []string{"zai means glm-5.3 here."}},
	} {
		out, err := s.ask(t, name, providers.CategoryFast)
		require.NoError(t, err, name)
		assert.Equal(t, c.model, out.Response.Content, name)
		assert.Equal(t, c.notes, out.Notes, name)
	}
	for _, name := range []string{"lab/", "/big", "/"} {
		out, err := s.ask(t, name, providers.CategoryFast)
		assert.Nil(t, out, name)
		assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind, name)
	}
}

// An endpoint of which no model is known says which there are.
func TestWhichModelOfAnEndpointIsNotKnown(t *testing.T) {
	const question = "Which model of Ollama to ask is not known: OLLAMA_MODEL is not set, and "
	const hint = "Set OLLAMA_MODEL in the server's environment, or name a model as ollama/model."
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "ENDPOINTS=ollama")
		for _, c := range []struct {
			list          []providers.Model // nil where it can't be read
			message, hint string
		}{
			{nil, question + "its list of models could not be read. ollama could not be connected to.", hint},
			{[]providers.Model{}, question + "its list of models has not been read.", hint},
			{local("ollama", "", "a", "b", "c", "d", "e", "f", "g"), question + "none of its models is loaded, the only one, or one of the preset's.", hint + " It has a, b, c, d, e."},
			{local("ollama", "", "b", "c", "d", "e", "f", "g"), question + "none of its models is loaded, the only one, or one of the preset's.", hint + " It has b, c, d, e, f."},
		} {
			s.vendors["ollama"].ListModelsFunc = func(context.Context) ([]providers.Model, error) {
				if c.list == nil {
					return nil, &providers.Error{Kind: providers.KindNetwork, Message: "ollama could not be connected to."}
				}
				return c.list, nil
			}
			for _, model := range []string{"ollama", ""} {
				_, err := s.ask(t, model, providers.CategoryReasoning)
				e := failure(t, err)
				assert.Equal(t, providers.KindNotConfigured, e.Kind)
				assert.Equal(t, "ollama", e.Provider)
				assert.Equal(t, c.message, e.Message)
				assert.Equal(t, c.hint, e.Hint)
			}
			time.Sleep(31 * time.Second) // until the list is read again
		}
		s.vendors["ollama"].ListModelsFunc = func(context.Context) ([]providers.Model, error) { return local("ollama", "", "c"), nil }
		out, err := s.ask(t, "ollama", providers.CategoryReasoning)
		require.NoError(t, err)
		assert.Equal(t, "ollama/c", out.Response.Content, "the only one that is left")
		require.NoError(t, s.caller.Close(context.Background()))
	})
}

func TestAPresetsModels(t *testing.T) {
	lists := map[string][]providers.Model{
		"openai": remote("openai", "gpt-6-sol", "gpt-6.2-sol"), "deepseek": remote("deepseek", "other"), "gemini": remote("gemini", "other"),
	}
	s := newSite(t, lists, "ENDPOINTS=openai,deepseek,gemini", "OPENAI_API_KEY=k", "OPENAI_ALLOWED_MODELS=gpt-6-sol", "DEEPSEEK_API_KEY=k", "GEMINI_API_KEY=k")
	out, err := s.ask(t, "openai", providers.CategoryReasoning)
	require.NoError(t, err)
	assert.Equal(t, "openai/gpt-6-sol", out.Response.Content, "the first that may be asked")

	const hint = "Set DEEPSEEK_MODEL in the server's environment, or name a model as deepseek/model."
	_, err = s.ask(t, "deepseek", providers.CategoryReasoning)
	assert.Equal(t, hint+" It has other.", failure(t, err).Hint, "which the preset does not name, so that it is not chosen")
	s.reg.Catalog().MarkRefused(providers.Model{ID: "deepseek/other"})
	_, err = s.ask(t, "deepseek", providers.CategoryReasoning)
	assert.Equal(t, hint, failure(t, err).Hint)
}

// Where a model is known, what it lacks is the reason.
func TestAnEndpointsModelThatCannotSee(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "", "a")}, "ENDPOINTS=ollama")
	call := ask("")
	call.Needs.Images = true
	_, err := s.caller.Call(t.Context(), call)
	assert.Equal(t, "None of the models that may be used can see images.", failure(t, err).Message)
}

// What DEFAULT_MODEL means is replaced by another model of the same vendor alone.
func TestWhatDefaultModelMeansStaysWithItsVendor(t *testing.T) {
	environ := []string{"ENDPOINTS=lab,mylab", "LAB_API_URL=https://lab.test/v1", "MYLAB_API_URL=https://b.test/v1", "MYLAB_MODEL=b", "MAX_RETRIES=0"}
	lists := map[string][]providers.Model{"lab": remote("lab", "glm-5.3", "big", "small"), "mylab": remote("mylab", "b")}
	t.Run("by an id that is asked there", func(t *testing.T) {
		s := newSite(t, lists, append(environ, "LAB_MODEL=big", "DEFAULT_MODEL=glm-5.3")...)
		s.vendors["lab"].ChatFunc = fails(nil, overloaded(), overloaded())
		out, err := s.ask(t, "", providers.CategoryReasoning)
		assert.Equal(t, providers.KindOverloaded, failure(t, err).Kind)
		assert.Equal(t, "lab/glm-5.3", out.Model.ID)
	})
	t.Run("a model that is not there", func(t *testing.T) {
		s := newSite(t, lists, append(environ, "LAB_MODEL=big", "LAB_ALLOWED_MODELS=big,small", "DEFAULT_MODEL=lab")...)
		var asked []string
		s.vendors["lab"].ChatFunc = lacks(answers("small"), &asked, "lab/big")
		out, err := s.ask(t, "", providers.CategoryReasoning)
		require.NoError(t, err)
		assert.Equal(t, "lab/small", out.Model.ID)
		assert.Equal(t, []string{"lab/big", "lab/small"}, asked)
	})
}
