package manifest

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/resource"
)

var update = flag.Bool("update", false, "write the tables of docs/resources.md anew")

const reference = "../../docs/resources.md"

// TestUpdateReference writes the tables of the reference from the types, with -update; the words around them stay.
func TestUpdateReference(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	raw, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	seen := map[*resource.Shape]bool{}
	var write func(s *resource.Shape)
	write = func(s *resource.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		write(s.Elem)
		if s.Type == resource.Object {
			text = withTable(text, s)
		}
		for _, m := range s.Fields {
			write(m.Shape)
		}
	}
	for _, kind := range resource.Kinds {
		write(resource.SpecShape(kind))
	}
	if err := os.WriteFile(reference, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withTable replaces the table of a type's section; a section that is missing is added at the end.
func withTable(text string, s *resource.Shape) string {
	section := sectionOf(text, s.Name)
	if section == "" {
		return strings.TrimRight(text, "\n") + "\n\n### " + s.Name + "\n\n" + tableOf(s)
	}
	var kept []string
	at := -1
	for _, line := range strings.Split(section, "\n") {
		if strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "|---") {
			if at < 0 {
				at = len(kept)
				kept = append(kept, strings.TrimRight(tableOf(s), "\n"))
			}
			continue
		}
		kept = append(kept, line)
	}
	title := "# " + s.Name + "\n" // a section's words alone may stand elsewhere too
	return strings.Replace(text, title+section, title+strings.Join(kept, "\n"), 1)
}

func tableOf(s *resource.Shape) string {
	var b strings.Builder
	b.WriteString("| Field | Value | Meaning |\n|---|---|---|\n")
	for _, m := range s.Fields {
		value := wordsOf(m.Shape)
		if len(m.Enum) > 0 {
			value = "`" + strings.Join(m.Enum, "`, `") + "`"
		}
		if m.Required {
			value += ", required"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.Name, value, m.Doc)
	}
	return b.String()
}

func wordsOf(s *resource.Shape) string {
	switch s.Type {
	case resource.Object:
		return fmt.Sprintf("[%s](#%s)", s.Name, strings.ToLower(s.Name))
	case resource.List:
		return "list of " + wordsOf(s.Elem)
	case resource.Map:
		return "names with " + wordsOf(s.Elem)
	case resource.Integer:
		return "whole number"
	case resource.Any:
		return "JSONLogic"
	default:
		return string(s.Type) // text, number, bool, duration, time
	}
}
