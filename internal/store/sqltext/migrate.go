package sqltext

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// Step is one migration. Its version is its place: the first is 1. Oldest is the oldest version of the schema whose programs can still
// use the database after it: those that know it no better run beside newer ones, and after them.
type Step struct {
	Version int
	Oldest  int
	Name    string
	SQL     string
}

// oldestMark begins the line of a migration that says its Oldest.
const oldestMark = "-- oldest: "

// contracting are the words of statements that take something away from programs that were written before. A step with one of them
// names itself as the oldest.
var contracting = []string{"DROP ", "RENAME ", "SET NOT NULL", "TRUNCATE ", "ALTER COLUMN"}

// Steps reads the files NNNN_name.sql in the root of files. They must count from 1 without gaps. From the second on each says by a
// line "-- oldest: N" which versions can use what it leaves.
func Steps(files fs.FS) ([]Step, error) {
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var steps []Step
	for i, name := range names {
		number, rest, _ := strings.Cut(strings.TrimSuffix(name, ".sql"), "_")
		v, err := strconv.Atoi(number)
		if err != nil || v != i+1 || rest == "" {
			return nil, fmt.Errorf("migration %s: expected %04d_name.sql", name, i+1)
		}
		sql, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		step := Step{Version: v, Oldest: 1, Name: rest, SQL: string(sql)}
		if v > 1 {
			if step.Oldest, err = oldestOf(step, steps[v-2].Oldest); err != nil {
				return nil, fmt.Errorf("migration %s: %w", name, err)
			}
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func oldestOf(s Step, before int) (int, error) {
	oldest := 0
	for line := range strings.Lines(s.SQL) {
		if n, ok := strings.CutPrefix(line, oldestMark); ok {
			oldest, _ = strconv.Atoi(strings.TrimSpace(n))
		}
	}
	if oldest < before || oldest > s.Version {
		return 0, fmt.Errorf("expected a line %q with a version from %d to %d", oldestMark+"N", before, s.Version)
	}
	text := strings.ToUpper(s.SQL)
	for _, word := range contracting {
		if oldest < s.Version && strings.Contains(text, word) {
			return 0, fmt.Errorf("it has %q, which programs of version %d may not survive: expand now, contract in a later version that names itself as the oldest", strings.TrimSpace(word), oldest)
		}
	}
	return oldest, nil
}

// Schema is what a database says of itself.
type Schema struct {
	Version int // of the last step
	Oldest  int // see Step; 0 in a database that was written before there was such a thing
}

// After is what a database says of itself after the last of steps.
func After(steps []Step) Schema {
	last := steps[len(steps)-1]
	return Schema{last.Version, last.Oldest}
}

// Pending returns the steps that a database lacks. One that a newer program wrote is used as it is when its schema is compatible, and
// refused otherwise: an older program would not know what its columns mean.
func Pending(steps []Step, have Schema) ([]Step, error) {
	if have.Version > len(steps) && have.Oldest > 0 && have.Oldest <= len(steps) {
		return nil, nil
	}
	if have.Version < 0 || have.Version > len(steps) {
		oldest := have.Oldest
		if oldest == 0 {
			oldest = have.Version
		}
		return nil, errs.E(errs.Conflict, "the database has schema version %d, which programs use that know version %d or later; this Ringfence knows versions up to %d", have.Version, oldest, len(steps)).
			Next("Run the Ringfence release that wrote it or a later one.")
	}
	return steps[have.Version:], nil
}
