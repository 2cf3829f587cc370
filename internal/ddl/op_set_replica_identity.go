package ddl

import (
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// setReplicaIdentity says what identifies a row in logical replication, from the contract on.
type setReplicaIdentity struct {
	Table    string `json:"table"`
	Identity struct {
		Type  string `json:"type"`
		Index string `json:"index"`
	} `json:"identity"`

	table *Table
}

func (o *setReplicaIdentity) kind() string { return "set_replica_identity" }

func (o *setReplicaIdentity) validate(b *build) error {
	t, err := b.now.table(o.Table)
	if err != nil {
		return err
	}
	switch strings.ToLower(o.Identity.Type) {
	case "default", "full", "nothing":
		return nil
	case "index":
		if t.named(o.Identity.Index) {
			return nil
		}
		return errs.E(errs.Invalid, "table %q has no index %q", o.Table, o.Identity.Index)
	}
	return errs.E(errs.Invalid, "replica identity %q, expected default, full, nothing or index", o.Identity.Type)
}

func (o *setReplicaIdentity) start(b *build) error {
	o.table = b.now.Tables[o.Table]
	if !o.table.created {
		b.contractLocks[o.table.Physical] = true
	}
	return nil
}

func (o *setReplicaIdentity) complete(b *build) {
	how := strings.ToUpper(o.Identity.Type)
	if how == "INDEX" {
		how = "USING INDEX " + Quote(o.Identity.Index)
	}
	b.late = append(b.late, b.on(o.table.Name)+"REPLICA IDENTITY "+how)
}

func (o *setReplicaIdentity) rollback(*build) {}
