package ddl

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits of a file.
const (
	MaxFile       = 1 << 20
	maxOperations = 200
)

// Migration is what a file asks for.
type Migration struct {
	Name       string      // of the file, without its ending
	Version    string      // the last part of the name of the schema of views
	Digest     string      // of the file, so that a migration under way is not gone on with by another file
	Operations []Operation // in order
	Safety     string      // why SQL that the lint refuses is safe all the same; only in files of plain SQL
}

// Operation is one change. Each is a file of this package.
type Operation interface {
	kind() string
	// validate says why the operation cannot be done on what b holds.
	validate(b *build) error
	// start adds what brings the new version about, and changes the model to what the new version sees.
	start(b *build) error
	// complete adds what the contract does; names are those after the operations before it.
	complete(b *build)
	// rollback adds what takes start back.
	rollback(b *build)
}

var kinds = map[string]func() Operation{
	"create_table":                func() Operation { return new(createTable) },
	"drop_table":                  func() Operation { return new(dropTable) },
	"rename_table":                func() Operation { return new(renameTable) },
	"add_column":                  func() Operation { return new(addColumn) },
	"drop_column":                 func() Operation { return new(dropColumn) },
	"rename_column":               func() Operation { return new(renameColumn) },
	"alter_column":                func() Operation { return new(alterColumn) },
	"create_index":                func() Operation { return new(createIndex) },
	"drop_index":                  func() Operation { return new(dropIndex) },
	"create_constraint":           func() Operation { return new(createConstraint) },
	"drop_constraint":             func() Operation { return new(dropConstraint) },
	"drop_multicolumn_constraint": func() Operation { return new(dropConstraints) },
	"rename_constraint":           func() Operation { return new(renameConstraint) },
	"set_replica_identity":        func() Operation { return new(setReplicaIdentity) },
	"sql":                         func() Operation { return new(rawSQL) },
}

// Parse reads a migration from JSON, which manifest makes of YAML. The file's name without its ending is the migration's, unless
// the file says one.
func Parse(name string, raw []byte) (Migration, error) {
	if len(raw) > MaxFile {
		return Migration{}, errs.E(errs.Invalid, "the migration has %d bytes, at most %d are taken", len(raw), MaxFile)
	}
	var file struct {
		Name          *string           `json:"name"`
		VersionSchema *string           `json:"version_schema"`
		Operations    []json.RawMessage `json:"operations"`
	}
	if err := strict(raw, &file); err != nil {
		return Migration{}, errs.Wrap(errs.Invalid, err, "migration %s", name)
	}
	m := Migration{Name: name, Digest: digestOf(raw)}
	if file.Name != nil {
		m.Name = *file.Name
	}
	m.Version = m.Name
	if file.VersionSchema != nil {
		m.Version = *file.VersionSchema
	}
	if len(file.Operations) > maxOperations {
		return Migration{}, errs.E(errs.Invalid, "migration %s has %d operations, at most %d are taken", name, len(file.Operations), maxOperations)
	}
	for i, op := range file.Operations {
		o, err := parseOperation(op)
		if err != nil {
			return Migration{}, errs.Wrap(errs.Invalid, err, "migration %s, operation %d", name, i+1)
		}
		m.Operations = append(m.Operations, o)
	}
	return m, m.check()
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (m Migration) check() error {
	if err := checkName("the migration", m.Name); err != nil {
		return err
	}
	return checkName("the version", m.Version)
}

func parseOperation(raw []byte) (Operation, error) {
	var by map[string]json.RawMessage
	if err := json.Unmarshal(raw, &by); err != nil || len(by) != 1 {
		return nil, errs.E(errs.Invalid, "expected an object with the operation as its one field")
	}
	for name, body := range by {
		make, ok := kinds[name]
		if !ok {
			return nil, errs.E(errs.Invalid, "unknown operation %q, expected one of %s", name, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
		op := make()
		if err := strict(body, op); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "%s", name)
		}
		return op, nil
	}
	return nil, nil
}

// strict decodes one JSON value and takes no field that it does not know.
func strict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the value")
	}
	return nil
}

// optional is a field that may be absent, null or a string, which mean three things.
type optional struct {
	set   bool
	value *string
}

func (o *optional) UnmarshalJSON(raw []byte) error {
	o.set = true
	return json.Unmarshal(raw, &o.value)
}
