package resource

import "strings"

// Slot is what runs: a release with, or without, a config, on a version of its database's schema or on none.
type Slot struct{ Version, Config, Schema string }

// String is the label of what runs: v3, v3@c2 with a config, v3@c2~public_02_split or v3~public_02_split on a version of a schema.
func (s Slot) String() string {
	label := s.Version
	if s.Config != "" {
		label += "@" + s.Config
	}
	if s.Schema != "" {
		label += "~" + s.Schema
	}
	return label
}

// SlotOf reads a label.
func SlotOf(label string) Slot {
	label, schema, _ := strings.Cut(label, "~")
	version, config, _ := strings.Cut(label, "@")
	return Slot{version, config, schema}
}
