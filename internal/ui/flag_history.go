package ui

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	historyLooks = 200 // events of the set that are looked through
	historyShown = 30
)

// historyEntry is one change of a flag's definition.
type historyEntry struct {
	Seq      int64
	Time     time.Time
	By       string
	Text     string
	Diff     []diffRow
	Undoable bool // it is the last one
}

// diffRow is one field before and after.
type diffRow struct {
	Path     string
	Old, New string
	Long     bool // at least one of them has lines
}

// flagHistory are the changes of a flag's definition, newest first, as the record has them.
func (s *Server) flagHistory(ctx context.Context, subject flag.Subject) ([]historyEntry, error) {
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: resource.Key(resource.KindFlagSet, subject.Set), Type: "resource.applied", Backward: true, Limit: historyLooks})
	if err != nil {
		return nil, err
	}
	prefix := resource.Field("spec.flags", subject.Key)
	var out []historyEntry
	for _, e := range events {
		var data struct {
			Action  string
			Changes []resource.Change
			More    int
		}
		if json.Unmarshal(e.Data, &data) != nil || len(out) == historyShown {
			continue
		}
		h := historyEntry{Seq: e.Seq, Time: e.Time, By: person(e.Actor), Text: "changed it"}
		for _, c := range data.Changes {
			switch {
			case under(c.Path, prefix):
				h.Diff = append(h.Diff, diffOf(c, prefix))
				if c.Path == prefix && c.Old == nil {
					h.Text = "made it"
				} else if c.Path == prefix && c.New == nil {
					h.Text = "deleted it"
				}
			case c.Path == "" && c.Old == nil && madeIn(c.New, subject.Key):
				h.Text = "made it, with its set"
			}
		}
		if len(h.Diff) > 0 || h.Text != "changed it" {
			h.Undoable = len(out) == 0 && len(h.Diff) > 0 && data.More == 0 && h.Text == "changed it"
			out = append(out, h)
		}
	}
	return out, nil
}

// madeIn says whether a new set had the flag already.
func madeIn(raw json.RawMessage, key string) bool {
	var r resource.Resource
	return json.Unmarshal(raw, &r) == nil && flagTree(r, key) != nil
}

func under(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func diffOf(c resource.Change, prefix string) diffRow {
	path := strings.TrimPrefix(strings.TrimPrefix(c.Path, prefix), ".")
	row := diffRow{Path: path, Old: shownValue(c.Old), New: shownValue(c.New)}
	row.Long = strings.Contains(row.Old+row.New, "\n") || len(row.Old)+len(row.New) > 80
	return row
}

// diffsOf are all fields of an edit, without what their paths have in common.
func diffsOf(changes []resource.Change) []diffRow {
	var out []diffRow
	for _, c := range changes {
		out = append(out, diffOf(c, "spec"))
	}
	return out
}

func shownValue(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	if text := string(raw); len(text) <= 60 {
		return text
	}
	return pretty(raw)
}

// flagTree is a flag of a set as it stands there; nil when it does not.
func flagTree(r resource.Resource, key string) map[string]any {
	tree, err := treeOf(r.Spec)
	if err != nil {
		return nil
	}
	switch flags := tree["flags"].(type) {
	case map[string]any:
		f, _ := flags[key].(map[string]any)
		return f
	case []any:
		i := slices.IndexFunc(flags, func(f any) bool { m, _ := f.(map[string]any); return m["key"] == key })
		if i >= 0 {
			return flags[i].(map[string]any)
		}
	}
	return nil
}

// treeOf decodes an object, numbers as they are written.
func treeOf(raw json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var tree map[string]any
	err := dec.Decode(&tree)
	return tree, err
}
