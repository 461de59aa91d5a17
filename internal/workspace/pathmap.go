package workspace

import (
	"fmt"
	"strings"
)

// pathMap translates between the paths of an agent's host and ours, where the server runs in a container.
type pathMap []mapping

type mapping struct{ host, local path }

// parsePathMap reads EXAI_PATH_MAP: host=container pairs between commas. A host path may be written for Windows.
func parsePathMap(text string, on system) (pathMap, error) {
	var m pathMap
	for pair := range strings.SplitSeq(text, ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			continue
		}
		i := strings.LastIndexByte(pair, '=')
		if i < 0 {
			return nil, fmt.Errorf("EXAI_PATH_MAP: %q is no host=container pair", pair)
		}
		host, err := parsePath(strings.TrimSpace(pair[:i]), on)
		if err != nil || host.form == relativeForm {
			return nil, fmt.Errorf("EXAI_PATH_MAP: the host path in %q must be absolute, such as /home/me/code or C:\\code", pair)
		}
		local, err := parsePath(strings.TrimSpace(pair[i+1:]), on)
		if err != nil || local.form != nativeForm(on) {
			return nil, fmt.Errorf("EXAI_PATH_MAP: the path after = in %q must be absolute where the server runs, such as /work", pair)
		}
		m = append(m, mapping{host: host, local: local})
	}
	return m, nil
}

func nativeForm(on system) form {
	if on == windows {
		return windowsForm
	}
	return posixForm
}

// toLocal turns a host path into ours, by the longest host path that contains it. Windows hosts ignore case.
func (m pathMap) toLocal(p path) path {
	best, length := p, -1
	for _, pair := range m {
		rest, ok := p.under(pair.host, pair.host.form == windowsForm)
		if ok && len(pair.host.parts) > length {
			best, length = pair.local.below(rest), len(pair.host.parts)
		}
	}
	return best
}

// toHost turns one of our paths into the host's, by the longest local path that contains it.
func (m pathMap) toHost(p path) path {
	best, length := p, -1
	for _, pair := range m {
		rest, ok := p.under(pair.local, false)
		if ok && len(pair.local.parts) > length {
			best, length = pair.host.below(rest), len(pair.local.parts)
		}
	}
	return best
}
