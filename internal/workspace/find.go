package workspace

import "context"

// Find returns the host's name of the file that a name means: one of the known files, as the host names it or as it was asked
// for, else a path of its own. It is false where there is no such file, or none that may be read.
func (w *Workspace) Find(ctx context.Context, name string, known []Ref) (path string, ok bool) {
	for _, r := range known {
		if !r.IsFolder() && (name == r.at.host || name == r.at.asked) {
			return r.at.host, true
		}
	}
	r, err := w.ref(ctx, name)
	if err != nil || r.IsFolder() {
		return "", false
	}
	return r.at.host, true
}
