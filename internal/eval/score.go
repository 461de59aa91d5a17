package main

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// reply is what of precommit's reply counts.
type reply struct {
	Status        string `json:"status"`
	Verdict       string `json:"verdict"`
	VerdictReason string `json:"verdict_reason"`
	Expert        struct {
		Status   string    `json:"status"`
		Findings []finding `json:"findings"`
		Error    *failure  `json:"error"`
	} `json:"expert_analysis"`
	LookedAt []look `json:"looked_at"`
	Coverage []struct {
		File string `json:"file"`
		How  string `json:"how"`
	} `json:"coverage"`
	Metadata struct {
		ModelUsed  string `json:"model_used"`
		DurationMS int64  `json:"duration_ms"`
		Usage      struct {
			Input  int     `json:"input_tokens"`
			Cached int     `json:"cached_tokens"`
			Output int     `json:"output_tokens"`
			Cost   float64 `json:"cost_usd"`
		} `json:"usage"`
	} `json:"metadata"`
	Error *failure `json:"error"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type finding struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Title    string `json:"title"`
	Quote    string `json:"quote"`
	Citation string `json:"citation"`
}

type look struct {
	Tool  string `json:"tool"`
	Path  string `json:"path"`
	Bytes int    `json:"bytes"`
	Error string `json:"error"`
}

// score is what one review of one case came to.
type score struct {
	Model string `json:"model"`
	Case  string `json:"case"`
	// Found: a finding of medium severity or above, its quote verified, cites the planted defect.
	Found bool `json:"found"`
	// False are the other findings of medium severity or above: the repositories have no other defect, and what is unproven is of no
	// use to whoever acts on it.
	False     []finding     `json:"false_claims"`
	Verdict   string        `json:"verdict"`
	Reads     int           `json:"reads"`
	ReadBytes int           `json:"read_bytes"`
	Input     int           `json:"input_tokens"`
	Cached    int           `json:"cached_tokens"`
	Output    int           `json:"output_tokens"`
	CostUSD   float64       `json:"cost_usd"`
	Took      time.Duration `json:"duration_ns"`
	Failure   string        `json:"failure,omitempty"` // why there is nothing to score
}

// near is how many lines a finding may cite beside a place, as the server allows for quotes.
const near = 3

// judge scores a reply about a case whose repository is in dir.
func judge(c evalCase, model, dir string, r reply) score {
	s := score{
		Model: model, Case: c.Name, Verdict: r.Verdict, Reads: len(r.LookedAt),
		Input: r.Metadata.Usage.Input, Cached: r.Metadata.Usage.Cached, Output: r.Metadata.Usage.Output,
		CostUSD: r.Metadata.Usage.Cost, Took: time.Duration(r.Metadata.DurationMS) * time.Millisecond,
	}
	for _, l := range r.LookedAt {
		s.ReadBytes += l.Bytes
	}
	switch {
	case r.Error != nil:
		s.Failure = r.Error.Code + ": " + r.Error.Message
	case r.Expert.Error != nil:
		s.Failure = r.Expert.Error.Code + ": " + r.Expert.Error.Message
	case r.Expert.Status != "analysis_complete":
		s.Failure = "the expert's answer is " + strings.ReplaceAll(r.Expert.Status, "_", " ")
	}
	for _, f := range r.Expert.Findings {
		if !slices.Contains([]string{"critical", "high", "medium", ""}, f.Severity) {
			continue
		}
		if (f.Citation == "verified" || f.Citation == "moved") && f.cites(c, dir) {
			s.Found = true
			continue
		}
		f.File = relative(dir, f.File)
		s.False = append(s.False, f)
	}
	return s
}

// cites reports whether a finding is about one of the case's places.
func (f finding) cites(c evalCase, dir string) bool {
	return slices.ContainsFunc(append([]place{c.Defect}, c.Also...), func(p place) bool {
		return relative(dir, f.File) == p.File && slices.ContainsFunc(c.lines(p), func(n int) bool { return f.Line >= n-near && f.Line <= n+near })
	})
}

// relative is a file's name in a repository, with slashes.
func relative(dir, file string) string {
	if name, err := filepath.Rel(dir, file); err == nil && filepath.IsAbs(file) && filepath.IsLocal(name) {
		file = name
	}
	return filepath.ToSlash(file)
}

// summary is what a model's reviews of all cases came to.
type summary struct {
	Model                 string
	Cases, Found, False   int
	Inconclusive, Failed  int
	Reads                 int
	Input, Cached, Output int
	CostUSD               float64
	Median                time.Duration
}

// summarise adds scores up, model by model in their order.
func summarise(scores []score) []summary {
	var list []summary
	took := map[string][]time.Duration{}
	for _, s := range scores {
		i := slices.IndexFunc(list, func(have summary) bool { return have.Model == s.Model })
		if i < 0 {
			list, i = append(list, summary{Model: s.Model}), len(list)
		}
		m := &list[i]
		m.Cases++
		if s.Found {
			m.Found++
		}
		if s.Failure != "" {
			m.Failed++
		}
		if s.Verdict == "inconclusive" {
			m.Inconclusive++
		}
		m.False += len(s.False)
		m.Reads += s.Reads
		m.Input, m.Cached, m.Output, m.CostUSD = m.Input+s.Input, m.Cached+s.Cached, m.Output+s.Output, m.CostUSD+s.CostUSD
		took[s.Model] = append(took[s.Model], s.Took)
	}
	for i := range list {
		all := took[list[i].Model]
		slices.Sort(all)
		list[i].Median = all[len(all)/2]
	}
	return list
}
