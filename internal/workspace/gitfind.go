package workspace

import (
	"os"
	"os/exec"
	"path/filepath"
)

// findGit looks for the git program in PATH, then in the usual places of the system. It returns "" when there is none.
func findGit(on system, home string) string {
	if found, err := exec.LookPath("git"); err == nil && !isDeveloperStub(on, found) {
		return found
	}
	for _, name := range gitPlaces(on, home) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// isDeveloperStub tells whether a git is macOS' stand-in for one, which asks the user to install the developer tools
// when they are missing. The real one is among gitPlaces.
func isDeveloperStub(on system, name string) bool { return on == darwin && name == "/usr/bin/git" }

// gitPlaces is where git usually is. Clients start servers with hardly any PATH.
func gitPlaces(on system, home string) []string {
	switch on {
	case windows:
		places := []string{
			`C:\Program Files\Git\cmd\git.exe`,
			`C:\Program Files\Git\bin\git.exe`,
			`C:\Program Files (x86)\Git\cmd\git.exe`,
		}
		if home != "" {
			places = append(places,
				filepath.Join(home, "AppData", "Local", "Programs", "Git", "cmd", "git.exe"),
				filepath.Join(home, "scoop", "apps", "git", "current", "cmd", "git.exe"))
		}
		return places
	case darwin:
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

// Git is the git program that is used, "" when none was found.
func (w *Workspace) Git() string { return w.git }
