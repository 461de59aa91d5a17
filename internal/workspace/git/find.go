package git

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Find looks for the git program in PATH, then in the usual places of the system. It returns "" when there is none.
func Find(home string) string {
	if found, err := exec.LookPath("git"); err == nil && !isDeveloperStub(runtime.GOOS, found) {
		return found
	}
	return firstFile(places(runtime.GOOS, home))
}

// firstFile is the first of some names that is a file, "" when none is.
func firstFile(names []string) string {
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// isDeveloperStub reports whether a git is macOS' replacement of one, which asks the user to install the developer tools
// when they are missing. The real one is among places.
func isDeveloperStub(goos, name string) bool { return goos == "darwin" && name == "/usr/bin/git" }

// places lists where git usually is. Clients start servers with hardly any PATH.
func places(goos, home string) []string {
	switch goos {
	case "windows":
		usual := []string{
			`C:\Program Files\Git\cmd\git.exe`,
			`C:\Program Files\Git\bin\git.exe`,
			`C:\Program Files (x86)\Git\cmd\git.exe`,
		}
		if home != "" {
			usual = append(usual,
				filepath.Join(home, "AppData", "Local", "Programs", "Git", "cmd", "git.exe"),
				filepath.Join(home, "scoop", "apps", "git", "current", "cmd", "git.exe"))
		}
		return usual
	case "darwin":
		return []string{
			"/opt/homebrew/bin/git",
			"/usr/local/bin/git",
			"/opt/local/bin/git",
			"/Library/Developer/CommandLineTools/usr/bin/git",
			"/Applications/Xcode.app/Contents/Developer/usr/bin/git",
		}
	}
	return []string{"/usr/bin/git", "/usr/local/bin/git", "/bin/git", "/home/linuxbrew/.linuxbrew/bin/git", "/run/current-system/sw/bin/git"}
}
