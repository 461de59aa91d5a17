package secrets

import (
	"maps"
	"slices"
)

const (
	// before and beyond are how many bytes around a keyword an expression is given. The longest lengths that a format
	// demands lie within; what of a token lies beyond is masked with it.
	before, beyond = 128, 1200
	// assignedWithin is how far after a vendor's name the assigned value begins and ends.
	assignedWithin, assignedBeyond = 100, 400
)

// pass is one scan of a part of a line.
type pass struct {
	text    string
	set     *ruleSet
	seen    int           // where the search for keywords goes on
	windows map[int][]run // by rule, where its expression is to be tried; none overlap
	names   int           // where the last name that was judged ends
	values  [2]run        // the values that were measured last, without and with quotes
	spans   []span
}

func newPass(text string) *pass {
	return &pass{text: text, set: rules()}
}

// look finds the keywords in a run and before it, and notes where which expression is to be tried.
func (p *pass) look(r run) {
	p.set.keywords.each(p.text, max(p.seen, r.start-assignedWithin), r.end, func(id, at int) {
		if id == credentialWord {
			p.judge(at)
			return
		}
		rule := &p.set.rules[id]
		switch {
		case rule.assigned:
			p.note(id, run{max(0, at-before), min(len(p.text), at+assignedBeyond)})
		case at >= r.start && r.end-r.start >= rule.least:
			p.note(id, run{max(0, r.start-1, at-before), min(len(p.text), r.end+2, at+beyond)})
		}
	})
	p.seen = r.end
}

// note adds a window to those of a rule, joined with the last if they touch: no byte is given to an expression twice.
func (p *pass) note(id int, w run) {
	if p.windows == nil {
		p.windows = map[int][]run{}
	}
	all := p.windows[id]
	if n := len(all); n > 0 && w.start <= all[n-1].end {
		all[n-1].end = max(all[n-1].end, w.end)
		return
	}
	p.windows[id] = append(all, w)
}

// secrets tries the expressions and returns what was found, in order and without overlaps.
func (p *pass) secrets() []span {
	for _, id := range slices.Sorted(maps.Keys(p.windows)) { // in a fixed order, so that a token has one kind
		rule := &p.set.rules[id]
		for _, w := range p.windows[id] {
			for _, match := range rule.expr().FindAllStringSubmatchIndex(p.text[w.start:w.end], -1) {
				start, end := rule.secret(match)
				start, end = w.start+start, w.start+end
				value := p.text[start:end]
				if rule.excepted(value) || rule.assigned && !plausible(p.text[w.start+match[0]:start], value) {
					continue
				}
				for end < len(p.text) && (word(p.text[end]) || p.text[end] == '-') {
					end++ // a longer token than the expression knows
				}
				p.spans = append(p.spans, span{start, end, rule.kind})
			}
		}
	}
	return union(p.spans)
}
