package proof_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
)

const source = `package pay

func total(items []Item) int {
	sum := 0
	for _, it := range items {
		sum += it.Price
	}
	return sum
}

func refund(o *Order) {
	o.Paid -= o.Total
	log.Print("done")
	log.Print("done")
}
`

// files are what exists beside what was shown, by the names that it is looked up under.
func files(known map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		file, ok := known[name]
		return file, ok
	}
}

func shownSource() *proof.Shown {
	s := &proof.Shown{}
	s.Add("/w/pay/pay.go", proof.WorkTree, 1, source)
	s.Name("pay/pay.go", "/w/pay/pay.go")
	return s
}

func TestCheckStates(t *testing.T) {
	exists := files(map[string]string{"other.go": "/w/other.go", "/w/pay/pay.go": "/w/pay/pay.go"})
	for name, c := range map[string]struct {
		claim proof.Claim
		want  proof.Result
	}{
		"at its line":            {proof.Claim{"pay/pay.go", 6, "sum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"three lines away":       {proof.Claim{"pay/pay.go", 9, "sum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 9}},
		"three lines before":     {proof.Claim{"pay/pay.go", 3, "sum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 3}},
		"four lines away":        {proof.Claim{"pay/pay.go", 10, "sum += it.Price"}, proof.Result{proof.Moved, "/w/pay/pay.go", 6}},
		"without a line":         {proof.Claim{"pay/pay.go", 0, "sum += it.Price"}, proof.Result{proof.Moved, "/w/pay/pay.go", 6}},
		"at two other places":    {proof.Claim{"pay/pay.go", 2, `log.Print("done")`}, proof.Result{proof.Unproven, "/w/pay/pay.go", 2}},
		"one of two is near":     {proof.Claim{"pay/pay.go", 10, `log.Print("done")`}, proof.Result{proof.Verified, "/w/pay/pay.go", 10}},
		"invented":               {proof.Claim{"pay/pay.go", 6, "sum += it.Cost"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 6}},
		"part of a word":         {proof.Claim{"pay/pay.go", 6, "sum += it.Pric"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 6}},
		"begins within a word":   {proof.Claim{"pay/pay.go", 11, "und(o *Order)"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 11}},
		"part of a line":         {proof.Claim{"pay/pay.go", 5, "range items"}, proof.Result{proof.Verified, "/w/pay/pay.go", 5}},
		"white space differs":    {proof.Claim{"pay/pay.go", 5, "  for _,\t it :=   range items {"}, proof.Result{proof.Verified, "/w/pay/pay.go", 5}},
		"case differs":           {proof.Claim{"pay/pay.go", 6, "SUM += it.Price"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 6}},
		"with a line number":     {proof.Claim{"pay/pay.go", 6, "   6| \t\tsum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"number and colon":       {proof.Claim{"pay/pay.go", 6, "6: sum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"L and tab":              {proof.Claim{"pay/pay.go", 6, "L6\tsum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"marks of a diff":        {proof.Claim{"pay/pay.go", 6, "6|+\t\tsum += it.Price"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"in backquotes":          {proof.Claim{"pay/pay.go", 6, "`sum += it.Price`"}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"in quotes":              {proof.Claim{"pay/pay.go", 6, `"sum += it.Price"`}, proof.Result{proof.Verified, "/w/pay/pay.go", 6}},
		"one quote alone":        {proof.Claim{"pay/pay.go", 6, `"`}, proof.Result{proof.Unproven, "/w/pay/pay.go", 6}},
		"two lines":              {proof.Claim{"pay/pay.go", 8, "}\n\treturn sum"}, proof.Result{proof.Verified, "/w/pay/pay.go", 8}},
		"two numbered lines":     {proof.Claim{"pay/pay.go", 5, "  7| \t}\n  8| \treturn sum"}, proof.Result{proof.Verified, "/w/pay/pay.go", 5}},
		"two lines not together": {proof.Claim{"pay/pay.go", 5, "sum := 0\n\treturn sum"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 5}},
		"no quote":               {proof.Claim{"pay/pay.go", 6, " "}, proof.Result{proof.Unproven, "/w/pay/pay.go", 6}},
		"five letters":           {proof.Claim{"pay/pay.go", 4, "sum :=0)"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 4}},
		"short behind a number":  {proof.Claim{"pay/pay.go", 7, "123456| }"}, proof.Result{proof.Unproven, "/w/pay/pay.go", 7}},
		"no file":                {proof.Claim{" ", 6, "sum += it.Price"}, proof.Result{proof.Unproven, "", 6}},
		"no such file":           {proof.Claim{"pay/none.go", 6, "sum += it.Price"}, proof.Result{proof.NotFound, "", 6}},
		"not shown":              {proof.Claim{"other.go", 6, "sum += it.Price"}, proof.Result{proof.NotRead, "/w/other.go", 6}},
		"short quote of no file": {proof.Claim{"pay/none.go", 6, "x"}, proof.Result{proof.Unproven, "", 6}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, shownSource().Check(c.claim, exists))
		})
	}
}

func TestCheckNames(t *testing.T) {
	s := shownSource()
	s.Add("/w/支付/a.go", proof.WorkTree, 1, "func refundAll() {}\n")
	s.Name("支付/a.go", "/w/支付/a.go")
	s.Add("/w/one/same.go", proof.WorkTree, 1, "func onlyInOne() {}\nfunc inBothFiles() {}\n")
	s.Add("/w/two/same.go", proof.WorkTree, 1, "func inBothFiles() {}\n")
	s.Add(`C:\w\abc\n1.go`, proof.WorkTree, 1, "func onWindows() {}\n")
	exists := files(map[string]string{"pay.go": "/w/pay.go", "deep/pay/pay.go": "/w/deep/pay/pay.go", "/host/pay.go": "/w/pay/pay.go"})
	for name, want := range map[string]proof.Citation{
		"/w/pay/pay.go": proof.Verified, "pay/pay.go": proof.Verified, "./pay/pay.go": proof.Verified, "a/pay/pay.go": proof.Verified,
		"b/pay/pay.go": proof.Verified, "`pay/pay.go`": proof.Verified, `pay\pay.go`: proof.Verified, "/host/pay.go": proof.Verified,
		"pay.go": proof.NotRead, "deep/pay/pay.go": proof.NotRead, "ay/pay.go": proof.NotFound, "c/pay/pay.go": proof.NotFound,
	} {
		assert.Equal(t, want, s.Check(proof.Claim{name, 6, "sum += it.Price"}, exists).Citation, name)
	}
	for _, name := range []string{
		"支付/a.go", "b/支付/a.go", `"b/\346\224\257\344\273\230/a.go"`, `\346\224\257\344\273\230/a.go`, `a/\346\224\257\344\273\230/a.go`,
	} {
		assert.Equal(t, proof.Result{proof.Verified, "/w/支付/a.go", 1}, s.Check(proof.Claim{name, 1, "func refundAll() {}"}, exists), name)
	}
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{`C:\w\abc\n1.go`, 1, "func onWindows() {}"}, exists).Citation)
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"abc/n1.go", 1, "func onWindows() {}"}, exists).Citation)

	assert.Equal(t, proof.Result{proof.Verified, "/w/one/same.go", 1}, s.Check(proof.Claim{"same.go", 1, "func onlyInOne()"}, exists),
		"the quote says which of two files is meant")
	assert.Equal(t, proof.Result{proof.Unproven, "", 1}, s.Check(proof.Claim{"same.go", 1, "func inBothFiles()"}, exists))
	assert.Equal(t, proof.Result{proof.Unproven, "", 90}, s.Check(proof.Claim{"same.go", 90, "func inBothFiles()"}, exists))
}

const diff = `diff --git a/pay.go b/pay.go
--- a/pay.go
+++ b/pay.go
@@ -10,6 +10,6 @@ func total() {
 	sum := 0
-	for i := 0; i <= n; i++ {
-		sum += price(i)
+	for i := range n {
+		sum += cost(i)
+		count++
 	}
 	return sum
@@ -40,2 +40,3 @@
 	last := true
+	12| strange := line
 	return last
\ No newline at end of file
`

const numberedDiff = `diff --git a/pay.go b/pay.go
--- a/pay.go
+++ b/pay.go
@@ -10,6 +10,6 @@ func total() {
  10| 	sum := 0
  11|-	for i := 0; i <= n; i++ {
  12|-		sum += price(i)
  11|+	for i := range n {
  12|+		sum += cost(i)
  13|+		count++
  14| 	}
  15| 	return sum
@@ -40,2 +40,3 @@
  40| 	last := true
  41|+	12| strange := line
  42| 	return last
[cut by the server: above are lines 1 to 12, 12 bytes of a file of 15]
`

func TestAddDiff(t *testing.T) {
	for name, text := range map[string]string{"plain": diff, "numbered": numberedDiff} {
		t.Run(name, func(t *testing.T) {
			s := &proof.Shown{}
			s.AddDiff("/w/pay.go", "/w/pay.go", text)
			none := files(nil)
			for _, c := range []struct {
				line  int
				quote string
				want  proof.Citation
				at    int
			}{
				{12, "sum += cost(i)", proof.Verified, 12},
				{15, "return sum", proof.Verified, 15},
				{90, "return sum", proof.Moved, 15},
				{12, "-	for i := 0; i <= n; i++ {", proof.Verified, 12},
				{50, "for i := 0; i <= n; i++ {", proof.Moved, 11},
				{41, "12| strange := line", proof.Verified, 41},
				{41, "41|+	12| strange := line", proof.Verified, 41},
				{14, "count++ } return sum", proof.Verified, 14},
				{15, "for i := 0; i <= n; i++ { sum += cost(i)", proof.Unproven, 15},
				{42, "No newline at end of file", proof.Unproven, 42},
				{42, "above are lines 1 to 12", proof.Unproven, 42},
			} {
				got := s.Check(proof.Claim{"pay.go", c.line, c.quote}, none)
				assert.Equal(t, proof.Result{c.want, "/w/pay.go", c.at}, got, c.quote)
			}
			assert.True(t, s.Covers("/w/pay.go", proof.WorkTree, 10, 15))
			assert.True(t, s.Covers("/w/pay.go", proof.Before, 11, 12))
			assert.False(t, s.Covers("/w/pay.go", proof.Before, 10, 12))
			assert.False(t, s.Covers("/w/pay.go", proof.WorkTree, 15, 16))
		})
	}
}

func TestAddDiffOfRenamesAndMerges(t *testing.T) {
	s := &proof.Shown{}
	s.AddDiff("/w/new.go", "/w/old.go", "rename from old.go\nrename to new.go\n@@ -3 +3 @@\n-const oldName = 1\n+const newName = 1\n")
	none := files(nil)
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"old.go", 3, "const oldName = 1"}, none).Citation)
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"new.go", 3, "const newName = 1"}, none).Citation)
	assert.Equal(t, proof.Result{proof.Verified, "/w/new.go", 3}, s.Check(proof.Claim{"new.go", 3, "const oldName = 1"}, none), "a removed line, by the new name")
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"old.go", 3, "const newName = 1"}, none).Citation)

	s.AddDiff("/w/merged.go", "/w/merged.go", "@@@ -5,3 -5,3 +5,4 @@@\n  first common line\n +from the second\n+ from the first\n--in neither parent\n  last common line\n")
	assert.Equal(t, proof.Result{proof.Verified, "/w/merged.go", 8}, s.Check(proof.Claim{"merged.go", 8, "last common line"}, none))
	assert.Equal(t, proof.Moved, s.Check(proof.Claim{"merged.go", 90, "in neither parent"}, none).Citation)
	assert.True(t, s.Covers("/w/merged.go", proof.WorkTree, 5, 8))
	for _, quote := range []string{"--in neither parent", "- in neither parent", "+ from the first", " +from the second"} {
		assert.Equal(t, proof.Verified, s.Check(proof.Claim{"merged.go", 7, quote}, none).Citation, quote)
	}
}

// Work trees beside each other have files of one name, and each is cited by it.
func TestOneNameOfSeveralFiles(t *testing.T) {
	s := &proof.Shown{}
	for repo, line := range map[string]string{"/w/one": "func onlyInOne() {}", "/w/two": "func onlyInTwo() {}"} {
		s.AddDiff(repo+"/main.go", repo+"/main.go", "--- a/main.go\n+++ b/main.go\n@@ -3,0 +4,2 @@\n+"+line+"\n+func inBothFiles() {}\n")
		s.Name("main.go", repo+"/main.go")
	}
	none := files(nil)
	assert.Equal(t, proof.Result{proof.Verified, "/w/one/main.go", 4}, s.Check(proof.Claim{"b/main.go", 4, "func onlyInOne() {}"}, none))
	assert.Equal(t, proof.Result{proof.Verified, "/w/two/main.go", 4}, s.Check(proof.Claim{"main.go", 4, "func onlyInTwo() {}"}, none))
	assert.Equal(t, proof.Result{proof.Unproven, "", 5}, s.Check(proof.Claim{"main.go", 5, "func inBothFiles() {}"}, none))
}

func TestAddNumbered(t *testing.T) {
	s := &proof.Shown{}
	s.AddNumbered("a.go", proof.WorkTree, "   7| seventh line\n   8|\n   9| ninth line\n  40| fortieth line\n[cut by the server: above are lines 1 to 40, 9 bytes of a file of 99]\n")
	none := files(nil)
	assert.Equal(t, proof.Result{proof.Moved, "a.go", 9}, s.Check(proof.Claim{"a.go", 20, "ninth line"}, none))
	assert.Equal(t, proof.Result{proof.Moved, "a.go", 40}, s.Check(proof.Claim{"a.go", 20, "fortieth line"}, none))
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"a.go", 8, "seventh line ninth line"}, none).Citation)
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"a.go", 9, "ninth line fortieth line"}, none).Citation, "lines between them were not shown")
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"a.go", 40, "cut by the server"}, none).Citation)
	assert.True(t, s.Covers("a.go", proof.WorkTree, 7, 9))
	assert.False(t, s.Covers("a.go", proof.WorkTree, 7, 40))
}

// A line of which only the beginning was shown can be cited, but is not covered.
func TestCutLineIsNotCovered(t *testing.T) {
	none := files(nil)
	for name, add := range map[string]func(*proof.Shown){
		"numbered": func(s *proof.Shown) {
			s.AddNumbered("a.go", proof.WorkTree, "   1| first line\n   2| long words"+proof.LineCut+"\n   3| third line\n")
		},
		"bare": func(s *proof.Shown) {
			s.Add("a.go", proof.WorkTree, 1, "first line\nlong words"+proof.LineCut+"\nthird line\n")
		},
	} {
		s := &proof.Shown{}
		add(s)
		assert.True(t, s.Covers("a.go", proof.WorkTree, 1, 1), name)
		assert.False(t, s.Covers("a.go", proof.WorkTree, 2, 2), name)
		assert.True(t, s.Covers("a.go", proof.WorkTree, 3, 3), name)
		assert.Equal(t, proof.Verified, s.Check(proof.Claim{"a.go", 2, "long words"}, none).Citation, name)
		s.Add("a.go", proof.WorkTree, 2, "long words and their end\n")
		assert.True(t, s.Covers("a.go", proof.WorkTree, 1, 3), "%s: it was shown whole later", name)
	}
}

func TestRevisions(t *testing.T) {
	s := &proof.Shown{}
	s.Add("a.go", proof.WorkTree, 1, "first\nsecond line here\n")
	s.Add("a.go", "4f1c2d9", 20, "second line here\nonly in the commit\n")
	none := files(nil)
	assert.Equal(t, proof.Result{proof.Moved, "a.go", 2}, s.Check(proof.Claim{"a.go", 90, "second line here"}, none), "where it is now, not where it was")
	assert.Equal(t, proof.Result{proof.Verified, "a.go", 20}, s.Check(proof.Claim{"a.go", 20, "second line here"}, none))
	assert.Equal(t, proof.Result{proof.Moved, "a.go", 21}, s.Check(proof.Claim{"a.go", 1, "only in the commit"}, none))
	s.Add("a.go", "99aa88b", 30, "only in the commit\n")
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"a.go", 1, "only in the commit"}, none).Citation, "two places")
	s.Add("a.go", "77cc66d", 21, "only in the commit\n")
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"a.go", 30, "only in the commit"}, none).Citation)
}

func TestShownOnceAndEmpty(t *testing.T) {
	s := &proof.Shown{}
	assert.False(t, s.Has("a.go"))
	s.Add("a.go", proof.WorkTree, 1, "")
	assert.True(t, s.Has("a.go"))
	assert.False(t, s.Covers("a.go", proof.WorkTree, 1, 1))
	assert.True(t, s.Covers("a.go", proof.WorkTree, 1, 0), "an empty file has no lines to cover")
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"a.go", 1, "anything at all"}, files(nil)).Citation)

	for range 2 { // by a diff and whole, or read twice: one place
		s.Add("b.go", proof.WorkTree, 1, "\nthe only line\n")
	}
	s.Add("b.go", proof.WorkTree, 2, "the only line\n")
	assert.Equal(t, proof.Result{proof.Moved, "b.go", 2}, s.Check(proof.Claim{"b.go", 50, "the only line"}, files(nil)))
	assert.True(t, s.Covers("b.go", proof.WorkTree, 1, 2))
	assert.False(t, s.Covers("b.go", proof.WorkTree, 1, 3))
}

func TestScriptsWithoutBlanks(t *testing.T) {
	s := &proof.Shown{}
	s.Add("a.md", proof.WorkTree, 1, "# 说明\n退款时必须先检查订单状态,否则会重复退款。\n")
	assert.Equal(t, proof.Verified, s.Check(proof.Claim{"a.md", 2, "必须先检查订单状态"}, files(nil)).Citation)
	assert.Equal(t, proof.Unproven, s.Check(proof.Claim{"a.md", 2, "必须先检查订单金额"}, files(nil)).Citation)
}

func TestConcurrentUse(t *testing.T) {
	s := &proof.Shown{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				s.Add("a.go", proof.WorkTree, n*8+i+1, "line number "+strings.Repeat("x", n)+"\n")
				s.Name("b/a.go", "a.go")
				s.Check(proof.Claim{"b/a.go", 1, "line number"}, files(nil))
			}
		})
	}
	wg.Wait()
	require.True(t, s.Covers("a.go", proof.WorkTree, 1, 400))
}

var sixLetters = regexp.MustCompile(`[A-Za-z]{6}`)

func FuzzCheck(f *testing.F) {
	f.Add(source, 6, "\t\tsum += it.Price", "pay.go")
	f.Add(diff, 11, "   6| x", `"b/\346.go"`)
	f.Add("@@ -1 +1 @@\n-a\n", 0, "`", "a/")
	f.Fuzz(func(t *testing.T, text string, line int, quote, name string) {
		s := &proof.Shown{}
		s.Add("whole.go", proof.WorkTree, 1, text)
		s.AddNumbered("numbered.go", proof.WorkTree, text)
		s.AddDiff("new.go", "old.go", text)
		s.Name(name, "whole.go")
		for _, file := range []string{"whole.go", "numbered.go", "new.go", "old.go", name} {
			r := s.Check(proof.Claim{file, line, quote}, files(nil))
			if r.Citation != proof.Moved && r.Line != line {
				t.Errorf("%q: the line became %d", r.Citation, r.Line)
			}
			if r.Citation == proof.Moved && (r.Line < 1 || r.File == "") {
				t.Errorf("moved to %q, line %d", r.File, r.Line)
			}
		}
		// Whatever line is shown is proven where it stands, unless it is too short to prove anything.
		for i, one := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			got := s.Check(proof.Claim{"whole.go", i + 1, one}, files(nil)).Citation
			if got != proof.Verified && (got != proof.Unproven || sixLetters.MatchString(one)) {
				t.Errorf("line %d %q: %s", i+1, one, got)
			}
		}
	})
}
