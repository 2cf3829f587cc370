package flag

import (
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// MatrixOptions say which states are wanted.
type MatrixOptions struct {
	Environment string              // whose values are the ones of today
	Exposures   map[string]Exposure // of that environment, by key
	Keys        []string            // of the flags; without any, all releases, experiments and those of no kind
}

// Matrix is a set of flag states that covers each pair of variants of any two flags: most faults that depend on flags need
// no more than two of them.
type Matrix struct {
	Flags []string `json:"flags"`
	Rows  []State  `json:"rows"`
}

// State is one state of the flags. A flag without a variant is at the caller's own default.
type State struct {
	Name     string            `json:"name"`
	Variants map[string]string `json:"variants"`
}

// maxMatrix bounds the flags of a matrix, whose pairs grow with their square.
const maxMatrix = 300

// Matrix returns the states to test: as everyone gets it today, with everything out, with everything at its default, and as
// many more as it takes for all pairs that can be: a flag whose prerequisite is not met is at its default.
func (d *Document) Matrix(o MatrixOptions) (Matrix, error) {
	m, err := d.matrix(o)
	if err != nil {
		return Matrix{}, err
	}
	today, out, off := make([]int, len(m.flags)), make([]int, len(m.flags)), make([]int, len(m.flags))
	for i, f := range m.flags {
		today[i] = m.value(i, f.today(o))
		out[i] = m.value(i, f.whenOut(o.Environment))
	}
	m.add("today", today)
	m.add("all out", out)
	m.add("all at default", off)
	if len(m.flags) == 1 { // which is in no pair
		for x := range m.values[0] {
			m.add("alone", []int{x})
		}
	}
	for {
		row := m.next()
		if row == nil {
			break
		}
		m.add("pairs", row)
	}
	return Matrix{Flags: m.keys, Rows: m.rows}, nil
}

// matrix is one being made. A row has for each flag the index of its value; 0 is the default.
type matrix struct {
	flags   []*Definition
	keys    []string
	values  [][]string
	needs   [][]need
	covered map[pair]bool
	rows    []State
}

// need is that a flag must have one of some values.
type need struct {
	flag   int
	values []int
}

type pair struct{ a, x, b, y int }

func (d *Document) matrix(o MatrixOptions) (*matrix, error) {
	m := &matrix{keys: o.Keys, covered: map[pair]bool{}}
	if len(m.keys) == 0 {
		for _, key := range d.Keys() {
			if f := d.Flags[key]; !f.Archived && f.Kind != Operational && f.Kind != Permission && len(f.names) > 0 {
				m.keys = append(m.keys, key)
			}
		}
	}
	m.keys = slices.Compact(slices.Sorted(slices.Values(m.keys)))
	if len(m.keys) > maxMatrix {
		return nil, errs.E(errs.Invalid, "%d flags are too many for a matrix, at most %d are; name those that are tested together", len(m.keys), maxMatrix)
	}
	for _, key := range m.keys {
		f := d.Flags[key]
		if f == nil {
			return nil, errs.E(errs.Invalid, "there is no flag %.80q", key)
		}
		otherwise := f.DefaultIn(o.Environment)
		if !f.EnabledIn(o.Environment) {
			otherwise = ""
		}
		values := []string{otherwise}
		for _, v := range f.names {
			if v != otherwise {
				values = append(values, v)
			}
		}
		m.flags, m.values = append(m.flags, f), append(m.values, values)
	}
	for _, f := range m.flags {
		m.needs = append(m.needs, m.needsOf(f))
	}
	return m, nil
}

// needsOf are the prerequisites among the flags of the matrix; others are taken to be met.
func (m *matrix) needsOf(f *Definition) (needs []need) {
	for _, p := range f.Prerequisites {
		i := slices.Index(m.keys, p.Flag)
		if i < 0 {
			continue
		}
		n := need{flag: i}
		for _, v := range p.Variants {
			if x := slices.Index(m.values[i], v); x >= 0 {
				n.values = append(n.values, x)
			}
		}
		needs = append(needs, n)
	}
	return needs
}

func (m *matrix) value(flag int, variant string) int {
	return max(0, slices.Index(m.values[flag], variant))
}

// today is what those get who are in the last ring.
func (f *Definition) today(o MatrixOptions) string {
	if e, ok := o.Exposures[f.Key]; ok && len(e.Variants) > 0 && e.Variants[len(e.Variants)-1] != "" {
		return e.Variants[len(e.Variants)-1]
	}
	return f.DefaultIn(o.Environment)
}

// whenOut is the variant that the flag is there for.
func (f *Definition) whenOut(env string) string {
	if p := f.Plan(env); p != nil {
		return p.Variant
	}
	if f.Preview != nil {
		return f.Preview.Variant
	}
	for _, v := range f.names {
		if v != f.DefaultIn(env) {
			return v
		}
	}
	return f.DefaultIn(env)
}

// add settles what prerequisites say of a row and keeps it unless there is one like it.
func (m *matrix) add(name string, row []int) {
	m.settle(row)
	state := State{Name: name, Variants: map[string]string{}}
	for i, x := range row {
		if v := m.values[i][x]; v != "" {
			state.Variants[m.keys[i]] = v
		}
		for j := range i {
			m.covered[pair{j, row[j], i, x}] = true
		}
	}
	for _, r := range m.rows {
		if equalStates(r.Variants, state.Variants) {
			return
		}
	}
	m.rows = append(m.rows, state)
}

func equalStates(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// settle puts flags whose prerequisites are not met to their default, which others may need in turn.
func (m *matrix) settle(row []int) {
	for range row {
		changed := false
		for i := range row {
			if row[i] != 0 && !m.met(row, i) {
				row[i], changed = 0, true
			}
		}
		if !changed {
			return
		}
	}
}

func (m *matrix) met(row []int, i int) bool {
	return !slices.ContainsFunc(m.needs[i], func(n need) bool { return !slices.Contains(n.values, row[n.flag]) })
}

// next is a row for the first pair that no row has, with as many more of such pairs as one value after the other can add;
// nil when all pairs that can be are there.
func (m *matrix) next() []int {
	for b := range m.flags {
		for a := range b {
			for x := range m.values[a] {
				for y := range m.values[b] {
					p := pair{a, x, b, y}
					if m.covered[p] {
						continue
					}
					m.covered[p] = true // or it cannot be
					row := m.start(p)
					if row == nil {
						continue
					}
					m.fill(row)
					return row
				}
			}
		}
	}
	return nil
}

const open = -1

// start is a row with a pair and what it needs, the rest open; nil when that contradicts itself.
func (m *matrix) start(p pair) []int {
	row := make([]int, len(m.flags))
	for i := range row {
		row[i] = open
	}
	row[p.a], row[p.b] = p.x, p.y
	if !m.require(row, p.a) || !m.require(row, p.b) {
		return nil
	}
	return row
}

// require sets the prerequisites of a flag that is not at its default.
func (m *matrix) require(row []int, i int) bool {
	if row[i] <= 0 {
		return true
	}
	for _, n := range m.needs[i] {
		if row[n.flag] == open && len(n.values) > 0 {
			row[n.flag] = n.values[0]
		}
		if !slices.Contains(n.values, row[n.flag]) || !m.require(row, n.flag) {
			return false
		}
	}
	return true
}

// fill gives each open flag the value with which it makes the most new pairs.
func (m *matrix) fill(row []int) {
	for i := range row {
		if row[i] != open {
			continue
		}
		best, most, spare := 0, -1, -1
		for x := range m.values[i] {
			with := slices.Clone(row)
			with[i] = x
			if !m.require(with, i) {
				continue
			}
			n, left := m.fresh(with, i), m.uncovered(i, x)
			if n > most || n == most && left > spare {
				best, most, spare = x, n, left
			}
		}
		row[i] = best
		m.require(row, i)
	}
}

// uncovered counts the pairs of a value that no row has yet.
func (m *matrix) uncovered(i, x int) (n int) {
	for j := range m.flags {
		for y := range m.values[j] {
			p := pair{i, x, j, y}
			if j < i {
				p = pair{j, y, i, x}
			}
			if j != i && !m.covered[p] {
				n++
			}
		}
	}
	return n
}

// fresh counts the pairs with flag i that no row has yet.
func (m *matrix) fresh(row []int, i int) (n int) {
	for j, y := range row {
		p := pair{i, row[i], j, y}
		if j < i {
			p = pair{j, y, i, row[i]}
		}
		if j != i && y != open && !m.covered[p] {
			n++
		}
	}
	return n
}
