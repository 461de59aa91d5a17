package proof

import (
	"slices"
	"strconv"
	"strings"
)

// resolve finds the files that a cited name may mean among those that were shown. file is its only meaning, or the name of a
// file that exists and was not shown; exists reports whether there is any.
func (s *Shown) resolve(name string, find func(name string) (string, bool)) (files []string, file string, exists bool) {
	spellings := nameSpellings(name)
	for _, spelling := range spellings {
		switch found := s.named(spelling); len(found) {
		case 0:
		case 1:
			return found, found[0], true
		default:
			return found, "", true
		}
	}
	for _, spelling := range spellings {
		found, ok := find(spelling)
		if ok && s.Has(found) {
			return []string{found}, found, true
		}
		if ok && !exists {
			file, exists = found, true
		}
	}
	if exists {
		return nil, file, true
	}
	for _, spelling := range spellings {
		switch files = s.endingIn(spelling); len(files) {
		case 0:
		case 1:
			return files, files[0], true
		default:
			return files, "", true
		}
	}
	return nil, "", false
}

// named are the files that were shown under this very name.
func (s *Shown) named(name string) (files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.files[name]; ok {
		return []string{name}
	}
	for _, file := range s.names[name] {
		if _, ok := s.files[file]; ok {
			files = append(files, file)
		}
	}
	return files
}

// endingIn are the files that were shown whose paths end in the names of another.
func (s *Shown) endingIn(name string) (files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = strings.TrimPrefix(strings.TrimPrefix(slashed(name), "./"), "/")
	if name == "" {
		return nil
	}
	for file := range s.files {
		if path := slashed(file); path == name || strings.HasSuffix(path, "/"+name) {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return files
}

func slashed(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// nameSpellings are the names that a cited one may stand for: as it is, without git's quotes, without the prefix of a diff's
// side, without a leading "./".
func nameSpellings(name string) (spellings []string) {
	name = strings.Trim(strings.TrimSpace(name), "`")
	add := func(name string) {
		if name != "" && !slices.Contains(spellings, name) {
			spellings = append(spellings, name)
		}
	}
	plain := unquote(name)
	add(name)
	add(plain)
	add(strings.TrimPrefix(plain, "./"))
	for _, prefix := range []string{"a/", "b/"} {
		if rest, ok := strings.CutPrefix(plain, prefix); ok {
			add(rest)
		}
	}
	return spellings
}

// unquote undoes the quotes in which git writes unusual names, with octal bytes; models copy the bytes without the quotes
// too. A text that is not written so stays.
func unquote(name string) string {
	escapes := ""
	if n := len(name); n > 1 && name[0] == '"' && name[n-1] == '"' {
		name, escapes = name[1:n-1], `abtnvfr"\`
	}
	if !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' || i+1 == len(name) {
			b.WriteByte(name[i])
			continue
		}
		if i+4 <= len(name) {
			if c, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		at := strings.IndexByte(escapes, name[i+1])
		if at < 0 {
			return name // a path of Windows
		}
		b.WriteByte("\a\b\t\n\v\f\r\"\\"[at])
		i++
	}
	return b.String()
}
