package sqltext

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// Step is one migration. Its version is its place: the first is 1.
type Step struct {
	Version int
	Name    string
	SQL     string
}

// Steps reads the files NNNN_name.sql in the root of files. They must count from 1 without gaps.
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
		steps = append(steps, Step{Version: v, Name: rest, SQL: string(sql)})
	}
	return steps, nil
}

// Pending returns the steps that a database of version have lacks. A database newer than the program is
// refused: an older program would not know what its columns mean.
func Pending(steps []Step, have int) ([]Step, error) {
	if have < 0 || have > len(steps) {
		return nil, errs.E(errs.Conflict, "the database has schema version %d, this Ringfence knows versions up to %d", have, len(steps)).
			Next("Run the Ringfence release that wrote it or a later one.")
	}
	return steps[have:], nil
}
