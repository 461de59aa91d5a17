package workspace

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// samples are comments as people write them, each with more than 100 bytes beyond ASCII in its encoding.
var samples = map[string]string{
	"gb18030":      "// 计算用户的总金额，如果用户没有登录则返回错误。这个函数会在每次请求的时候被调用，所以需要注意性能问题。\n// 数据库连接失败时重试三次，超过之后抛出异常\n",
	"big5":         "// 計算使用者的總金額，如果使用者沒有登入則返回錯誤。這個函式會在每次請求的時候被呼叫，所以需要注意效能問題。\n// 資料庫連線失敗時重試三次，超過之後拋出例外，並且把錯誤寫入記錄檔\n",
	"shift_jis":    "// ユーザーの合計金額を計算する。ログインしていない場合はエラーを返す。この関数はリクエストごとに呼び出されるため、性能に注意すること。\n",
	"euc-kr":       "// 사용자의 총 금액을 계산한다. 로그인하지 않은 경우 오류를 반환한다. 이 함수는 요청마다 호출되므로 성능에 주의해야 한다.\n",
	"windows-1251": "// Вычисляет общую сумму пользователя. Если пользователь не вошёл, возвращает ошибку. Эта функция вызывается при каждом запросе.\n",
	"windows-1250": "// Vypočítá celkovou částku uživatele. Pokud uživatel není přihlášen, vrátí chybu. Tato funkce se volá při každém požadavku, proto je třeba dbát na výkon.\n" +
		"// Všechny účty uživatelů jsou uložené v databázi, která může být dočasně nedostupná. Připojení se opakuje nejvýše třikrát, poté se hlásí výjimka volajícímu.\n" +
		"// Škoda, že žádný řádek nezůstal bez háčků a čárek: překladač je musí umět číst. Měření ukázalo, že je to dostatečně rychlé i při větší zátěži.\n" +
		"// Uživatelské účty, které již nejsou platné, se každý měsíc mažou; předtím se však uloží záznam, aby šlo zjistit příčinu.\n",
	"windows-1253": "// Υπολογίζει το συνολικό ποσό του χρήστη. Αν ο χρήστης δεν έχει συνδεθεί, επιστρέφει σφάλμα. Αυτή η συνάρτηση καλείται σε κάθε αίτημα.\n",
	"windows-1252": strings.Repeat("// Größe und Höhe müssen übergeben werden. Ungültige Schlüssel führen zu Ausnahmen. Überprüfung für ältere Geräte läuft über größere Puffer.\n", 6),
}

const plainCode = "package x\n\nfunc a(i int) error {\n\tif i > 3 {\n\t\treturn fmt.Errorf(\"the value %d is too large\", i)\n\t}\n\treturn nil\n}\n"

func encoded(t testing.TB, name, text string) string {
	t.Helper()
	e, err := htmlindex.Get(name)
	require.NoError(t, err)
	raw, err := e.NewEncoder().String(text)
	require.NoError(t, err)
	return raw
}

// Text in the encodings of many countries is read as such, in files, new files and diffs, and the manifest says so.
func TestEncodingsOfManyCountries(t *testing.T) {
	for name, comment := range samples {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			text := strings.Repeat(plainCode, 5) + comment + plainCode
			gittest.Init(t, dir, map[string]string{"a.go": plainCode})
			write(t, encoded(t, name, plainCode+comment), dir, "a.go")
			write(t, encoded(t, name, text), dir, "new.go")
			w := newWorkspace(t, dir)

			got, err := w.readPath(t.Context(), "new.go", 0)
			require.NoError(t, err)
			assert.Equal(t, name, got.Encoding)
			assert.Equal(t, text, got.Content)

			sent, m, err := w.embedPaths(t.Context(), []string{"new.go"}, Budget{Tokens: 100_000}, nil)
			require.NoError(t, err)
			assert.Equal(t, text, string(sent[0].Data))
			assert.Equal(t, name, m.Sent[0].Encoding)

			report := inspect(t, w, GitQuery{})
			for _, line := range strings.Split(strings.TrimSpace(comment), "\n") {
				assert.Equal(t, 2*strings.Count(comment, line), strings.Count(reportText(report), "+"+line), "in the diff and in the new file")
			}
			for _, e := range report.Manifest.Sent {
				assert.Equal(t, name, e.Encoding, e.Path)
			}
		})
	}
}

// What a project declares comes first, and is not believed where it does not fit.
func TestDeclaredEncodings(t *testing.T) {
	const short = "// Привет, мир\n"
	dir := tempDir(t)
	write(t, "root = true\n[*]\ncharset = latin1\n[*.{ru,cyr}]\nCharset = windows-1251\n[docs/**.txt]\ncharset = utf-16le\n[*.un]\ncharset = unset\n", dir, "p/.editorconfig")
	write(t, "[*]\ncharset = big5\n", dir, ".editorconfig")
	write(t, "# none\n*.dat text\n*.gb text working-tree-encoding=GB18030\nsub/*.gb working-tree-encoding=BIG5\n*.bom working-tree-encoding=UTF-16LE-BOM\nx.gb -working-tree-encoding\n", dir, "p/.gitattributes")
	w := newWorkspace(t, dir)
	for _, c := range []struct{ name, raw, want, encoding string }{
		{"a.ru", encoded(t, "windows-1251", short), short, "windows-1251"},
		{"deep/er/a.cyr", encoded(t, "windows-1251", short), short, "windows-1251"},
		{"a.txt", "caf\xe9", "café", "windows-1252"},
		{"docs/x/w.txt", utf16Bytes(binary.LittleEndian, "grün\n")[2:], "grün\n", "utf-16le"},
		{"a.gb", encoded(t, "gb18030", "中文\n"), "中文\n", "gb18030"},
		{"sub/a.gb", encoded(t, "big5", "中文\n"), "中文\n", "big5"},
		{"a.bom", utf16Bytes(binary.LittleEndian, "grün\n"), "grün\n", "utf-16le"},
		{"x.gb", "caf\xe9", "café", "windows-1252"},
		{"a.un", "grün schön \xff", "grün schön \uFFFD", "utf-8"},
		{"wrong.gb", "\xff\xff\xff\n", "ÿÿÿ\n", "windows-1252"},
		{"plain.gb", "plain\n", "plain\n", "utf-8"},
	} {
		got, err := w.readPath(t.Context(), write(t, c.raw, dir, "p", c.name), 0)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, got.Content, c.name)
		assert.Equal(t, c.encoding, got.Encoding, c.name)
	}
	write(t, "*.gb working-tree-encoding=GB18030\n", dir, "outside/attributes")
	link(t, dir+"/outside/attributes", dir, "q/.gitattributes")
	got, err := w.readPath(t.Context(), write(t, encoded(t, "gb18030", "中文\n"), dir, "q/a.gb"), 0)
	require.NoError(t, err)
	assert.NotEqual(t, "gb18030", got.Encoding, "a link is not followed")
}

func TestCharsetNames(t *testing.T) {
	for written, want := range map[string]string{
		"UTF-8": "utf-8", "utf-8-bom": "utf-8", "Latin1": "windows-1252", "iso-8859-1": "windows-1252", "CP1251": "windows-1251", "cp936": "gb18030",
		"SHIFT-JIS": "shift_jis", "cp932": "shift_jis", "UTF-16LE-BOM": "utf-16le", "UTF-16": "utf-16le", "EUC-KR": "euc-kr", "": "", "nonsense": "", "x-user-defined": "",
		"iso-2022-kr": "", "cp949": "euc-kr", "cp950": "big5", "windows-932": "shift_jis", "UTF-8-BOM ": "utf-8",
	} {
		assert.Equal(t, want, charsetName(written), written)
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"*.go", "a.go", true},
		{"*.go", "d/a.go", true},
		{"/*.go", "d/a.go", false},
		{"d/*.go", "d/a.go", true},
		{"d/*.go", "d/e/a.go", false},
		{"d/**.go", "d/e/a.go", true},
		{"**/x", "x", true},
		{"**/x", "a/b/x", true},
		{"?.go", "a.go", true},
		{"?.go", "ab.go", false},
		{"[ab].go", "b.go", true},
		{"[!ab].go", "b.go", false},
		{"*.{go,md}", "a.md", true},
		{"*.{go,md}", "a.mx", false},
		{"a+b.go", "a+b.go", true},
		{"[", "[", true},
		{"{", "{", true},
		{"a,b", "a,b", true},
		{"[z-a]", "z", false},
	} {
		assert.Equal(t, c.want, matchesGlob(c.glob, c.name), "%s %s", c.glob, c.name)
	}
}

// With fewer letters than a guess needs, text is taken for windows-1252; the bound is exact.
func TestGuessNeedsLetters(t *testing.T) {
	raw := encoded(t, "windows-1251", strings.Repeat("привет ", 17)) // 102 letters
	assert.Equal(t, "windows-1251", detect([]byte(raw[:116])))
	assert.Empty(t, detect([]byte(raw[:115])))
	assert.NotZero(t, providers.EstimateTokens(raw))
}
