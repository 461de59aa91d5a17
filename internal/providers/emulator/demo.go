package emulator

import (
	"embed"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// demoFiles is the demo as data: the scenes, what is said in them, and the project that they are about.
//
//go:embed demo
var demoFiles embed.FS

// Scene is one thing that the demo's models have an answer to.
type Scene struct {
	Name string `json:"name"`
	// Ask is the question to put, "" where another request than a chat's brings the scene about.
	Ask string `json:"ask"`
	// Vendor is set where the two vendors answer differently.
	Vendor Vendor `json:"vendor"`

	Op        Op       `json:"op"`
	Text      string   `json:"text"`     // must be in the last user message
	Anywhere  []string `json:"anywhere"` // must all be in some message
	Reasoning []string `json:"reasoning"`
	File      string   `json:"file"`   // the answer's text
	Pieces    []string `json:"pieces"` // or the answer, delta by delta
	Hits      string   `json:"hits"`   // a file of search hits
	Search    string   `json:"search"` // what a model that was given a search function asks it first
	// Rounds are the calls that a model makes before it answers, if it was given functions.
	Rounds [][]struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"rounds"`
	GapMS int    `json:"gap_ms"`
	Fault string `json:"fault"` // never_answer or stall
	After int    `json:"after"` // deltas before a stall
}

// Demo gives the models instructive answers to the questions of DemoScenes. They stand until Close, behind what On and
// Always set up, and every one says that it is emulated.
func Demo() Option {
	return func(e *Emulator) {
		for _, s := range slices.Backward(DemoScenes()) {
			e.Always(s.match(), s.reply)
		}
	}
}

// DemoScenes lists what Demo has answers to.
func DemoScenes() []Scene {
	var scenes []Scene
	readDemo("scenes.json", &scenes)
	return scenes
}

// DemoProject is the small project with a planted bug that the demo's expert talks about: file names and their text.
func DemoProject() map[string]string {
	files := map[string]string{}
	entries, err := fs.ReadDir(demoFiles, "demo/project")
	if err != nil {
		panic("emulator: demo/project: " + err.Error()) // embedded, and read by every test
	}
	for _, entry := range entries {
		// The files are stored under another extension, so that Go does not take them for its own.
		files[strings.TrimSuffix(entry.Name(), ".txt")] = demoText("project/" + entry.Name())
	}
	return files
}

func (s Scene) match() Match {
	return Match{Vendor: s.Vendor, Op: s.Op, Text: s.Text, If: func(r Request) bool {
		return !slices.ContainsFunc(s.Anywhere, func(part string) bool {
			return r.Chat == nil || !strings.Contains(r.Chat.Text(), part)
		})
	}}
}

func (s Scene) reply(r Request) Reply {
	reply := Reply{Reasoning: s.Reasoning, Content: s.Pieces, Gap: time.Duration(s.GapMS) * time.Millisecond}
	if s.File != "" {
		reply.Content = words(demoText(s.File))
	}
	if s.Hits != "" {
		readDemo(s.Hits, &reply.Hits)
	}
	if calls := s.calls(r.Chat); len(calls) > 0 {
		reply.Content, reply.ToolCalls = nil, calls
		if r.Vendor == Kimi && reply.Reasoning == nil {
			reply.Reasoning = []string{"(emulated reasoning) This is recent: I search."} // K3 always thinks before it calls
		}
	}
	switch s.Fault {
	case "never_answer":
		reply.Faults = []Fault{NeverAnswer()}
	case "stall":
		reply.Faults = []Fault{StallAfter(s.After)}
	}
	return reply
}

// calls are the model's next moves with the functions that it was given, none where it answers.
func (s Scene) calls(c *Chat) (calls []ToolCall) {
	if call, ok := s.searchCall(c); ok {
		return []ToolCall{call}
	}
	if c == nil || !offersFunctions(c) || exchanges(c) >= len(s.Rounds) {
		return nil
	}
	for _, call := range s.Rounds[exchanges(c)] {
		calls = append(calls, ToolCall{Name: call.Name, Arguments: string(call.Arguments)})
	}
	return calls
}

// searchCall is the model's first move where it was given a search function: to call it.
func (s Scene) searchCall(c *Chat) (ToolCall, bool) {
	if s.Search == "" || c == nil || c.Messages[len(c.Messages)-1].Role == "tool" {
		return ToolCall{}, false
	}
	t, ok := c.tool(func(t Tool) bool { return t.Type == "function" && strings.Contains(t.Name, "search") })
	if !ok {
		return ToolCall{}, false
	}
	return ToolCall{Name: t.Name, Arguments: string(mustJSON(map[string]string{"query": s.Search}))}, true
}

func demoText(name string) string {
	b, err := demoFiles.ReadFile("demo/" + name)
	if err != nil {
		panic("emulator: demo/" + name + ": " + err.Error()) // embedded, and read by every test
	}
	return string(b)
}

func readDemo(name string, into any) {
	if err := json.Unmarshal([]byte(demoText(name)), into); err != nil {
		panic("emulator: demo/" + name + ": " + err.Error())
	}
}
