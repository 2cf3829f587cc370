package ddl

import "strings"

// alter looks at ALTER …
func (l *linter) alter(s statement, w words) {
	switch {
	case w.starts("table"), w.starts("foreign", "table"):
		table, rest := w.skip("foreign", "table", "if", "exists", "only").name()
		if l.created[table] {
			return
		}
		for _, a := range rest.skip("*").actions() {
			l.action(s, table, a)
		}
	case w.starts("type") && w.has("add", "value"):
		l.add(s, "enum-value", Warning, "a value that is added to an enum cannot be used in the same transaction, and cannot be taken away again", "")
	case w.starts("type"), w.starts("domain"):
		if w.has("rename") || w.has("drop") || w.has("alter", "attribute") {
			l.add(s, "type-change", Error, "the version that runs knows the type as it was", "")
		}
		if w.has("add", "constraint") && !w.has("not", "valid") || w.has("set", "not", "null") {
			l.add(s, "domain-scan", Error, "the constraint is checked on every column of the domain, under locks", "Add it NOT VALID, and VALIDATE it in a migration of its own.")
		}
	case w.starts("index"), w.starts("view"), w.starts("sequence"), w.starts("schema"), w.starts("function"), w.starts("materialized"):
		if w.has("rename") || w.has("set", "schema") {
			l.add(s, "rename-breaks-old-version", severityOfRename(w), "ALTER "+strings.ToUpper(w[0].s)+" takes away a name that the version that runs may use", "")
		}
	case w.starts("system"), w.starts("database"), w.starts("role"), w.starts("user"):
		l.add(s, "cluster-wide", Error, "this is no matter of a schema", "")
	}
}

// severityOfRename: no program names an index.
func severityOfRename(w words) string {
	if w.starts("index") {
		return Warning
	}
	return Error
}

// action looks at one action of ALTER TABLE.
func (l *linter) action(s statement, table string, a words) {
	switch {
	case a.starts("add"):
		l.adds(s, table, a[1:])
	case a.starts("alter"):
		l.column(s, table, a[1:].skip("column"))
	case a.starts("drop", "constraint"):
		l.add(s, "drop-constraint", Warning, "what the version that runs relies on may no longer hold for table "+table, "")
	case a.starts("drop"):
		l.add(s, "drop-breaks-old-version", Error, "DROP COLUMN on table "+table+" breaks the version that runs, and cannot be taken back", "Use a drop_column operation.")
	case a.starts("rename", "constraint"):
	case a.starts("rename"), a.starts("set", "schema"):
		l.add(s, "rename-breaks-old-version", Error, "a name of table "+table+" that the version that runs uses is taken away", "Use a rename_column or rename_table operation.")
	case a.starts("validate", "constraint"):
		if l.pending {
			l.add(s, "validate-under-lock", Error, "the constraint is added and validated in one transaction: the lock of the first is held during the second", "Make two migrations of it.")
		}
	case a.starts("set", "tablespace"), a.starts("set", "logged"), a.starts("set", "unlogged"), a.starts("set", "access"):
		l.add(s, "rewrite", Error, "table "+table+" is rewritten under an exclusive lock", "")
	case a.starts("disable"), a.starts("enable"):
		l.add(s, "switch", Warning, "triggers, rules or row security of table "+table+" are switched for everyone", "")
	case a.starts("attach"):
		l.add(s, "attach-scan", Warning, "ATTACH PARTITION reads the partition under a lock, unless a CHECK proves its bounds", "")
	case a.starts("detach") && !a.has("concurrently"):
		l.add(s, "detach-locks", Error, "DETACH PARTITION locks table "+table+" against everyone", "Use DETACH PARTITION … CONCURRENTLY.")
	case a.starts("inherit"), a.starts("no", "inherit"):
		l.add(s, "inherit", Warning, "what queries on the parent find changes", "")
	}
}

// adds looks at ADD of columns and constraints.
func (l *linter) adds(s statement, table string, a words) {
	if a.starts("constraint") || a.starts("check") || a.starts("foreign") || a.starts("unique") || a.starts("primary") || a.starts("exclude") {
		l.constraint(s, table, a)
		return
	}
	column, def := a.skip("column", "if", "not", "exists").name()
	defaulted := false
	for i, t := range def {
		if t.is("default") {
			defaulted = true
			end := i + 1
			for depth := 0; end < len(def); end++ {
				if def[end].is("(") {
					depth++
				} else if def[end].is(")") {
					depth--
				}
				if depth == 0 && def[end].is("not", "null", "check", "unique", "primary", "references", "constraint", "generated", "collate") && end > i+1 {
					break
				}
			}
			expr := s.src[def[i].to-s.tokens[0].from:]
			if end < len(def) {
				expr = s.src[def[i].to-s.tokens[0].from : def[end].from-s.tokens[0].from]
			} else if last := def[len(def)-1]; last.to-s.tokens[0].from <= len(s.src) {
				expr = s.src[def[i].to-s.tokens[0].from : last.to-s.tokens[0].from]
			}
			if !constant(expr) {
				l.add(s, "rewrite", Error, "the default of column "+column+" may differ by row: table "+table+" is rewritten under an exclusive lock", "Use an add_column operation, which fills the rows in batches.")
			}
		}
	}
	switch {
	case def.has("generated"), def.starts("serial"), def.starts("bigserial"), def.starts("smallserial"):
		l.add(s, "rewrite", Error, "a generated column rewrites table "+table+" under an exclusive lock", "")
	case def.has("not", "null") && !defaulted, def.has("primary", "key"):
		l.add(s, "not-null-without-default", Error, "column "+column+" is required of the version that runs, which does not know it", "Use an add_column operation with up.")
	}
	if def.has("unique") || def.has("primary", "key") {
		l.add(s, "unique-blocks-writes", Error, "the index of column "+column+" is built under an exclusive lock", "Use an add_column operation.")
	}
	if def.has("references") || def.has("check") {
		l.add(s, "constraint-scan", Warning, "a constraint on a new column is checked under locks", "")
	}
}

func (l *linter) constraint(s statement, table string, a words) {
	switch {
	case a.has("not", "valid"):
		l.pending = true
	case a.has("using", "index"):
	case a.has("unique"), a.has("primary", "key"), a.has("exclude"):
		l.add(s, "unique-blocks-writes", Error, "the index of the constraint is built under an exclusive lock on table "+table, "Build the index CONCURRENTLY and add the constraint USING INDEX, or use create_constraint.")
	default:
		l.add(s, "constraint-scan", Error, "all rows of table "+table+" are checked under a lock", "Add the constraint NOT VALID and VALIDATE it in a migration of its own, or use create_constraint.")
	}
}

// column looks at ALTER COLUMN.
func (l *linter) column(s statement, table string, a words) {
	column, a := a.name()
	switch {
	case a.starts("type"), a.starts("set", "data", "type"):
		l.add(s, "rewrite", Error, "the type of column "+column+" changes: table "+table+" may be rewritten under an exclusive lock, and the version that runs knows another type", "Use an alter_column operation.")
	case a.starts("set", "not", "null"):
		l.add(s, "not-null-scan", Error, "all rows of table "+table+" are read under an exclusive lock, unless a CHECK proves that there is none", "Use an alter_column operation with nullable: false.")
	case a.starts("set", "expression"), a.starts("drop", "expression"):
		l.add(s, "rewrite", Error, "table "+table+" is rewritten under an exclusive lock", "")
	case a.starts("drop", "not", "null"):
		l.add(s, "drop-not-null", Warning, "the version that runs may not expect nulls in column "+column, "Use an alter_column operation with nullable: true and down.")
	case a.starts("drop", "default"):
		l.add(s, "drop-default", Warning, "the version that runs may rely on the default of column "+column, "Use an alter_column operation with default: null.")
	}
}
