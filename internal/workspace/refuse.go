package workspace

import (
	"strings"
	"unicode"
)

// refusal says why a path's names forbid it, "" when they do not. It looks at every name, by any case, so that neither a
// folder nor a spelling leads around it.
func refusal(p path, on system) string {
	if p.form == posixForm && len(p.parts) > 0 {
		if first := plainName(p.parts[0]); first == "proc" || first == "sys" {
			return "/proc and /sys describe running processes, not projects"
		}
	}
	parent := ""
	for _, name := range p.parts {
		if on == windows {
			if why := windowsRefusal(name); why != "" {
				return why
			}
		}
		name = plainName(name)
		if secretName(parent, name) {
			return "files of this name usually hold secrets"
		}
		parent = name
	}
	return ""
}

// secretName reports whether a file or folder name belongs to secrets. Both names are plain.
func secretName(parent, name string) bool {
	switch name {
	case ".env", ".envrc", ".ssh", ".aws", ".gnupg", ".kube", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".htpasswd",
		".git", ".git-credentials", ".terraform.d", ".vault-token",
		"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519":
		return true
	case "config.json":
		return parent == ".docker"
	}
	if strings.HasPrefix(name, ".env.") {
		return !endsIn(name, ".example", ".sample", ".template")
	}
	if strings.HasPrefix(name, "terraform.tfstate") {
		return true
	}
	return endsIn(name, ".pem", ".key", ".p12", ".pfx", ".kdbx", ".jks", ".keystore")
}

func endsIn(name string, endings ...string) bool {
	for _, e := range endings {
		if strings.HasSuffix(name, e) {
			return true
		}
	}
	return false
}

// plainName is the name that a file system may take this name for: without case, without the letters that only look
// different (the Kelvin sign folds to k), without the characters that HFS+ ignores, and without the stream names, dots and
// blanks that Windows drops at the end.
func plainName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(name, ". ")
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		case r < unicode.MaxASCII:
			return unicode.ToLower(r)
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f < unicode.MaxASCII {
				return unicode.ToLower(f)
			}
		}
		return r
	}, name)
}

// windowsRefusal says why Windows would take a name for something else than a file of that name.
func windowsRefusal(name string) string {
	if strings.ContainsRune(name, ':') {
		return "it names an alternate data stream"
	}
	base, _, _ := strings.Cut(strings.ToUpper(name), ".")
	base = strings.TrimRight(base, " ")
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return "it names a device"
	}
	if rest, ok := strings.CutPrefix(base, "COM"); ok && isDeviceNumber(rest) {
		return "it names a device"
	}
	if rest, ok := strings.CutPrefix(base, "LPT"); ok && isDeviceNumber(rest) {
		return "it names a device"
	}
	return ""
}

// isDeviceNumber knows the superscript digits too, which Windows takes for digits here.
func isDeviceNumber(s string) bool {
	switch s {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}
