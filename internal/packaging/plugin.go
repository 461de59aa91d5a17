package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// What the plugins are called, and where they are in the repository.
const (
	pluginName    = "exai"
	pluginFolder  = "plugins/" + pluginName + "/"
	geminiFolder  = "extensions/gemini/"
	skillName     = "second-opinion"
	pluginAbout   = "Second opinions from GLM and Kimi models: reviews, questions, consensus."
	gateSeconds   = 100 // twice the limit that the hook sets itself, so that its message can still be sent
	pluginAuthors = "the exai-mcp authors"
)

// ordered is an object whose members keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", m.name)
		text, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// command is what a person picks in a client's menu.
type command struct {
	name, about, text string // text has ARGUMENTS in the place of what the person writes behind the name
}

var commands = []command{
	{
		"review", "Review the uncommitted changes, or the files that are named, with another model",
		"Ask the MCP server exai for a review of: ARGUMENTS\n\n" +
			"1. Where nothing is named, call its tool `precommit` with a step that says what the change is for. Where files are named, call `codereview` with them in relevant_files.\n" +
			"2. If the reply has next_call, follow required_actions and call the tool again as next_call says.\n" +
			"3. Check each finding against the code before you report it. Say which hold, which do not, and why.\n" +
			"4. Change nothing before the user agrees.\n",
	},
	{
		"ask", "Ask another model a question about this project",
		"Call the tool `chat` of the MCP server exai with this question: ARGUMENTS\n\n" +
			"Add what the model must know and can't see: the goal, what was tried, and in files the paths that matter. Name files instead of pasting them. " +
			"Then say what it answered, and where you agree or disagree, with your reasons.\n",
	},
	{
		"consensus", "Ask two models of different vendors, each without the other's answer",
		"Call the tool `consensus` of the MCP server exai with this question in step: ARGUMENTS\n\n" +
			"Put everything needed to judge the question into step, and name the relevant files. " +
			"Then compare the answers: where they agree, where they differ, and what you conclude.\n",
	},
}

const skill = `# Second opinions

The MCP server exai asks GLM, Kimi and other models. Use it when a mistake would be costly, when you have been stuck for a
while, or when the user asks for another view. Do not use it for what you can check by running it.

1. Choose the tool: ` + "`precommit`" + ` for uncommitted changes, ` + "`codereview`" + ` for files, ` + "`debug`" + ` for a failure, ` + "`secaudit`" + ` for security,
   ` + "`thinkdeep`" + ` for a hard decision, ` + "`consensus`" + ` for two independent views, ` + "`chat`" + ` for a question.
2. Name the relevant files instead of pasting them. One call is enough: the expert reads other tracked files by itself.
3. If the reply has next_call, follow required_actions and call the tool again as next_call says.
4. A finding whose citation is verified quotes a real line. Check every finding against the code all the same.
5. If the status is partial, call ` + "`chat`" + ` with that continuation_id and a blank prompt to fetch the rest.
6. Send the continuation_id of a reply to continue that conversation, in any tool.

What is named is sent to the vendor that answers; secrets in it are masked.
`

const skillAbout = "Get a second opinion from another model (GLM, Kimi) on code, a bug, a design or a decision. " +
	"Use before committing risky changes, when stuck on a bug, or when the user asks for a review or another view."

// pluginFiles are the files of the plugins for Claude Code, Codex and Copilot CLI, and of the extension for Gemini CLI, by
// their path in the repository. All are made here, so that they say the same.
func pluginFiles(version string) (map[string]string, error) {
	made := map[string]any{
		".claude-plugin/marketplace.json": ordered{
			{"name", pluginName},
			{"owner", ordered{{"name", pluginAuthors}}},
			{"description", pluginAbout},
			{"plugins", []ordered{{{"name", pluginName}, {"source", "./plugins/" + pluginName}, {"description", pluginAbout}}}},
		},
		".agents/plugins/marketplace.json": ordered{
			{"name", pluginName}, {"plugins", []ordered{codexListing()}},
		},
		pluginFolder + ".claude-plugin/plugin.json": claudePlugin(version),
		pluginFolder + ".codex-plugin/plugin.json": append(claudePlugin(version),
			member{"skills", "./skills/"}, member{"mcpServers", "./.mcp.json"},
			member{"hooks", "./hooks/codex.json"}, // takes the place of hooks/hooks.json, which Codex finds by itself
			member{"interface", ordered{{"displayName", pluginName}}}),
		pluginFolder + ".mcp.json":        ordered{{"mcpServers", ordered{{pluginName, pluginServer(version)}}}},
		pluginFolder + "hooks/hooks.json": claudeHooks(version),
		pluginFolder + "hooks/codex.json": codexHooks(version),
		geminiFolder + "gemini-extension.json": ordered{
			{"name", pluginName},
			{"version", version},
			{"description", pluginAbout},
			{"mcpServers", ordered{{pluginName, geminiServer(version)}}},
			{"settings", geminiSettings()},
		},
	}
	files := map[string]string{}
	for name, object := range made {
		var b bytes.Buffer
		if err := write(&b, object); err != nil {
			return nil, err
		}
		files[name] = b.String()
	}
	for _, folder := range []string{pluginFolder, geminiFolder} {
		files[folder+"skills/"+skillName+"/SKILL.md"] = frontMatter("name", skillName, "description", skillAbout) + skill
	}
	for _, c := range commands {
		files[pluginFolder+"commands/"+c.name+".md"] = frontMatter("description", c.about) + strings.ReplaceAll(c.text, "ARGUMENTS", "$ARGUMENTS")
		files[geminiFolder+"commands/"+c.name+".toml"] = fmt.Sprintf("description = %q\nprompt = '''\n%s'''\n", c.about, strings.ReplaceAll(c.text, "ARGUMENTS", "{{args}}"))
	}
	files[pluginFolder+"README.md"] = pluginReadme
	files[geminiFolder+"README.md"] = geminiReadme
	return files, nil
}

func frontMatter(pairs ...string) string {
	var b strings.Builder
	b.WriteString("---\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s: %q\n", pairs[i], pairs[i+1])
	}
	b.WriteString("---\n\n")
	return b.String()
}

func claudePlugin(version string) ordered {
	return ordered{
		{"name", pluginName},
		{"version", version},
		{"description", pluginAbout},
		{"author", ordered{{"name", pluginAuthors}}},
		{"homepage", repository},
		{"license", "MIT"},
	}
}

func codexListing() ordered {
	return ordered{
		{"name", pluginName},
		{"source", ordered{{"source", "local"}, {"path", "./plugins/" + pluginName}}},
		{"policy", ordered{{"installation", "AVAILABLE"}, {"authentication", "ON_INSTALL"}}},
		{"category", "Productivity"},
	}
}

// launch is how a plugin starts the program: npx fetches the platform's package.
func launch(version string) []string { return []string{"-y", name + "@" + version} }

// pluginServer is one entry for three clients: each ignores the others' members. It has no env, since Codex would take a
// reference in it for the value.
func pluginServer(version string) ordered {
	wait := config.Default().Timeouts.Client()
	return ordered{
		{"command", "npx"},
		{"args", launch(version)},
		{"env_vars", passedVariables()},
		{"tool_timeout_sec", int(wait.Seconds() + 1)},
		{"timeout", wait.Milliseconds()},
	}
}

// passedVariables are those that the server may need, for a client that passes none by itself.
func passedVariables() (names []string) {
	for _, v := range config.Default().VendorVariables() {
		names = append(append(names, v.Key...), v.URL...)
	}
	return slices.Concat(names, []string{"ENDPOINTS"}, config.ConnectionVariables())
}

// gateCommand runs the review gate. Since the gate sends changes to a vendor and costs a request at each stop, the shell
// asks for the user's consent, EXAI_GATE=on, before it starts anything.
func gateCommand(version, hook string) string {
	return `[ "$EXAI_GATE" != on ] || npx ` + gateArguments(version, hook)
}

func gateArguments(version, hook string) string {
	return strings.Join(launch(version), " ") + " review --hook " + hook
}

func claudeHooks(version string) ordered {
	return gateHooks(ordered{{"type", "command"}, {"command", gateCommand(version, "claude-stop")}, {"timeout", gateSeconds}})
}

func codexHooks(version string) ordered {
	return gateHooks(ordered{
		{"type", "command"},
		{"command", gateCommand(version, "codex-stop")},
		{"commandWindows", `if "%EXAI_GATE%"=="on" npx ` + gateArguments(version, "codex-stop")},
		{"timeout", gateSeconds},
	})
}

// gateHooks are the gate's two events: it notes what is uncommitted when a session starts, and judges what changed when the
// agent stops.
func gateHooks(hook ordered) ordered {
	run := []ordered{{{"hooks", []ordered{hook}}}}
	return ordered{{"hooks", ordered{{"SessionStart", run}, {"Stop", run}}}}
}

// geminiServer names the keys, since Gemini CLI withholds variables whose name looks like a secret's.
func geminiServer(version string) ordered {
	return ordered{{"command", "npx"}, {"args", launch(version)}, {"timeout", config.Default().Timeouts.Client().Milliseconds()}}
}

func geminiSettings() (all []ordered) {
	for _, a := range asked {
		if v, ok := config.Lookup(a.variable); ok && v.Secret {
			all = append(all, ordered{{"name", a.title}, {"description", v.Doc}, {"envVar", a.variable}, {"sensitive", true}})
		}
	}
	return all
}

const pluginReadme = `# exai

Second opinions from GLM (Z.ai), Kimi (Moonshot) and other models in Claude Code, Codex and Copilot CLI: the MCP server exai,
the commands review, ask and consensus, a skill that says when to ask, and a review gate, which is off.

Set GLM_API_KEY or KIMI_API_KEY in the environment that the client is started in; one key is enough. Node.js must be
installed, since the server is started with npx. Files that a call names, and what the expert reads of the project, are sent
to the vendor that answers.

    claude plugin marketplace add exai-mcp/exai-mcp && claude plugin install exai@exai
    codex plugin marketplace add exai-mcp/exai-mcp && codex plugin add exai@exai
    copilot plugin marketplace add exai-mcp/exai-mcp && copilot plugin install exai@exai

The review gate: when the agent stops, another model reviews what changed since the session began, and the agent is sent back
when a finding holds, twice at most. Each stop with changes sends them to the vendor and costs a request, so it
runs only where EXAI_GATE=on is set: in the environment, or in Claude Code's settings.json as "env": {"EXAI_GATE": "on"}. Codex
also asks in /hooks before it runs a hook.

This folder is generated; edit internal/packaging/plugin.go and run make docs.
`

const geminiReadme = `# exai for Gemini CLI

Second opinions from GLM (Z.ai), Kimi (Moonshot) and other models: the MCP server exai, the commands /review, /ask and
/consensus, and a skill that says when to ask. Gemini CLI asks for the keys; one is enough. Node.js must be installed.

    gemini extensions install PATH-OF-THIS-FOLDER

This folder is generated; edit internal/packaging/plugin.go and run make docs.
`
