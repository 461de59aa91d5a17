package git

import "context"

// Generated returns those of the names that the work tree's .gitattributes mark as linguist-generated.
func (r *Repository) Generated(ctx context.Context, names []string) (map[string]bool, error) {
	generated := map[string]bool{}
	for len(names) > 0 {
		n := inOneCommand(len(names), func(i int) int { return len(names[i]) })
		args := append([]string{"check-attr", "-z", "linguist-generated", "--"}, names[:n]...)
		names = names[n:]
		out, _, err := r.guest.output(ctx, args...)
		if err != nil {
			return nil, err
		}
		for fields := fieldsOf(out); len(fields) >= 3; fields = fields[3:] { // name, attribute, value
			if fields[2] == "set" || fields[2] == "true" {
				generated[fields[0]] = true
			}
		}
	}
	return generated, nil
}
