package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

// Diff shows how a resource changes, as a unified diff of its YAML; nil stands for one that is not there. Equal
// ones have an empty diff.
func Diff(before, after *resource.Resource) (string, error) {
	a, from, err := lines(before)
	if err != nil {
		return "", err
	}
	b, to, err := lines(after)
	if err != nil {
		return "", err
	}
	hunks := unified(a, b)
	if hunks == "" {
		return "", nil
	}
	return fmt.Sprintf("--- %s\n+++ %s\n%s", from, to, hunks), nil
}

func lines(r *resource.Resource) ([]string, string, error) {
	if r == nil {
		return nil, "/dev/null", nil
	}
	text, err := YAML(*r)
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n"), r.Key(), err
}

// edit is one line of a diff: kept ' ', removed '-' or added '+'.
type edit struct {
	op   byte
	line string
}

// context is how many unchanged lines stand around a change.
const context = 3

func unified(a, b []string) string {
	edits := compare(a, b)
	var out strings.Builder
	la, lb := 0, 0 // lines of a and b before edits[i]
	for i := 0; i < len(edits); {
		next := slices.IndexFunc(edits[i:], func(e edit) bool { return e.op != ' ' })
		if next < 0 {
			break
		}
		skip := max(0, next-context)
		i, la, lb = i+skip, la+skip, lb+skip
		end := hunkEnd(edits, i)
		na, nb := 0, 0
		for _, e := range edits[i:end] {
			if e.op != '+' {
				na++
			}
			if e.op != '-' {
				nb++
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n", span(la, na), span(lb, nb))
		for _, e := range edits[i:end] {
			fmt.Fprintf(&out, "%c%s\n", e.op, strings.TrimSuffix(e.line, "\n"))
		}
		i, la, lb = end, la+na, lb+nb
	}
	return out.String()
}

// hunkEnd is where the hunk that begins at i ends: after the context that follows its last change.
func hunkEnd(edits []edit, i int) int {
	end, kept := i, 0
	for j := i; j < len(edits); j++ {
		if edits[j].op != ' ' {
			end, kept = j+1, 0
			continue
		}
		if kept++; kept > 2*context && end > i {
			break
		}
	}
	return min(end+context, len(edits))
}

func span(before, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}

// compare finds the fewest edits from a to b. What is alike at both ends is set aside first; when the rest is still too
// large for a table, all of it counts as replaced.
func compare(a, b []string) []edit {
	var head, tail []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		head, a, b = append(head, edit{' ', a[0]}), a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail, a, b = append(tail, edit{' ', a[len(a)-1]}), a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	return slices.Concat(head, middle(a, b), tail)
}

func middle(a, b []string) []edit {
	var out []edit
	if len(a)*len(b) > 4<<20 {
		a, b, out = nil, nil, replaced(a, b)
	}
	same := table(a, b)
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case same[i+1][j] >= same[i][j+1]:
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return append(out, replaced(a[i:], b[j:])...)
}

func replaced(a, b []string) []edit {
	var out []edit
	for _, l := range a {
		out = append(out, edit{'-', l})
	}
	for _, l := range b {
		out = append(out, edit{'+', l})
	}
	return out
}

// table holds in [i][j] how many lines a[i:] and b[j:] can keep in common.
func table(a, b []string) [][]int32 {
	t := make([][]int32, len(a)+1)
	for i := range t {
		t[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}
