package flag

import "bytes"

// Change is what became of a flag between two views, in flagd's words.
type Change string

const (
	Written Change = "write" // it is new
	Updated Change = "update"
	Deleted Change = "delete"
)

// Changes tells which flags are another in a later view than in an earlier one.
func Changes(before, after *View) map[string]Change {
	changes := map[string]Change{}
	if before.Hash == after.Hash {
		return changes
	}
	was, _ := readDefinitions(before.Raw)
	is, _ := readDefinitions(after.Raw)
	for key := range before.flags {
		if after.flags[key] == nil {
			changes[key] = Deleted
		}
	}
	for key, f := range after.flags {
		old := before.flags[key]
		switch {
		case old == nil:
			changes[key] = Written
		case old != f && !bytes.Equal(alone(was, was.Flags[key], old), alone(is, is.Flags[key], f)):
			changes[key] = Updated
		}
	}
	return changes
}
