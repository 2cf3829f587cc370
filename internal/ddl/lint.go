package ddl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is something in SQL that may hurt those who use the database meanwhile.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"` // error or warning
	Line     int    `json:"line"`
	Msg      string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Allowed  string `json:"allowed,omitempty"` // the reason that the file gives for it
}

// What a finding means: an error keeps a migration from being started, unless the file allows it with a reason.
const (
	Error   = "error"
	Warning = "warning"
)

// Refuses reports whether the finding keeps a migration from being started.
func (f Finding) Refuses() bool { return f.Severity == Error && f.Allowed == "" }

func (f Finding) String() string {
	s := fmt.Sprintf("line %d: %s: %s (%s)", f.Line, f.Severity, f.Msg, f.Rule)
	if f.Allowed != "" {
		s += ", allowed: " + f.Allowed
	}
	return s
}

// allowMark in a comment allows a rule in the statements of the file: -- ringfence:allow rule reason
const allowMark = "ringfence:allow"

// Lint looks at SQL for what locks out others, rewrites or reads tables under locks, breaks the version that runs, or loses data.
// It reads tokens and not grammar: what it does not know it says so.
func Lint(src string) []Finding {
	l := &linter{created: map[string]bool{}, allowed: allowances(src)}
	statements, closed := split(src)
	if !closed {
		l.add(statement{line: 1}, "not-closed", Error, "a quote, a comment or a parenthesis is not closed", "")
	}
	for _, s := range statements {
		l.look(s)
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return l.found
}

// LintMigration looks at the SQL of a migration's operations.
func LintMigration(m Migration) []Finding {
	var all []Finding
	for _, op := range m.Operations {
		if sql, ok := op.(*rawSQL); ok {
			all = append(all, Lint(sql.Up)...)
			for _, f := range Lint(sql.Down) {
				f.Severity, f.Msg = Warning, "in down: "+f.Msg // a rollback must not fail for a rule
				all = append(all, f)
			}
		}
	}
	return all
}

// allowances are the rules that comments allow, with their reasons.
func allowances(src string) map[string]string {
	all, _ := scan(src)
	found := map[string]string{}
	for _, t := range all {
		if t.kind != comment {
			continue
		}
		for line := range strings.Lines(t.s) {
			_, rest, ok := strings.Cut(line, allowMark)
			if !ok {
				continue
			}
			rule, reason, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "*/")), " ")
			if reason = strings.TrimSpace(reason); reason != "" {
				found[rule] = reason
			}
		}
	}
	return found
}

type linter struct {
	created map[string]bool // tables that the same SQL makes: nobody uses them
	allowed map[string]string
	found   []Finding
	pending bool // a constraint was added without a check of the rows
}

func (l *linter) add(s statement, rule, severity, msg, hint string) {
	l.found = append(l.found, Finding{Rule: rule, Severity: severity, Line: s.line, Msg: msg, Hint: hint, Allowed: l.allowed[rule]})
}

// words are the tokens of a statement, to be taken from the front.
type words []token

func (w words) starts(list ...string) bool {
	if len(w) < len(list) {
		return false
	}
	for i, s := range list {
		if !w[i].is(s) {
			return false
		}
	}
	return true
}

// has reports whether the words follow each other anywhere.
func (w words) has(list ...string) bool {
	for i := range w {
		if w[i:].starts(list...) {
			return true
		}
	}
	return false
}

// skip takes words from the front that are there.
func (w words) skip(list ...string) words {
	for _, s := range list {
		if w.starts(s) {
			w = w[1:]
		}
	}
	return w
}

// name takes a name from the front, which may have a schema before it.
func (w words) name() (string, words) {
	if len(w) == 0 || !w[0].name() {
		return "", w
	}
	name := w[0].s
	w = w[1:]
	for len(w) > 1 && w[0].is(".") && w[1].name() {
		name, w = w[1].s, w[2:]
	}
	return name, w
}

// actions cuts at commas outside of parentheses.
func (w words) actions() []words {
	var all []words
	depth, begin := 0, 0
	for i, t := range w {
		switch {
		case t.is("(", "["):
			depth++
		case t.is(")", "]"):
			depth--
		case t.is(",") && depth == 0:
			all = append(all, w[begin:i])
			begin = i + 1
		}
	}
	return append(all, w[begin:])
}

func (l *linter) look(s statement) {
	w := words(s.tokens)
	switch w[0].s {
	case "create":
		l.create(s, w[1:].skip("or", "replace", "global", "local", "temporary", "temp", "unlogged", "unique", "recursive"))
	case "drop":
		l.drop(s, w[1:])
	case "alter":
		l.alter(s, w[1:])
	case "update", "delete", "merge", "truncate", "lock", "vacuum", "cluster", "reindex", "refresh":
		l.whole(s, w)
	case "do", "call":
		l.add(s, "opaque", Error, "what a DO block or a procedure does is not seen by the lint", "Write the statements out.")
	case "insert", "select", "with", "values", "comment", "grant", "revoke", "set", "reset", "analyze", "security", "import", "notify", "show", "explain":
	default:
		l.add(s, "unknown", Warning, "the lint does not know "+w[0].s, "")
	}
	if w.has("cascade") && w[0].is("drop", "alter", "truncate") {
		l.add(s, "cascade", Error, "CASCADE takes things along that nobody named", "Name them.")
	}
}

func (l *linter) create(s statement, w words) {
	switch {
	case w.starts("table"):
		name, _ := w[1:].skip("if", "not", "exists").name()
		l.created[name] = true
		if w.has("references") {
			l.add(s, "references", Warning, "a foreign key locks the table that it refers to against writes while it is made", "")
		}
	case w.starts("index"):
		i := w[1:]
		for k, t := range i {
			if t.is("on") {
				table, _ := i[k+1:].skip("only").name()
				if !l.created[table] && !i.starts("concurrently") {
					l.add(s, "index-blocks-writes", Error, "CREATE INDEX locks table "+table+" against writes until it is built", "Use CREATE INDEX CONCURRENTLY, or a create_index operation.")
				}
				break
			}
		}
	case w.starts("trigger"), w.starts("constraint", "trigger"):
		l.add(s, "trigger", Warning, "CREATE TRIGGER waits for all writers of the table, while others wait for it", "")
	case w.starts("rule"):
		l.add(s, "rule", Warning, "CREATE RULE locks the table against everyone for a moment", "")
	case w.starts("database"), w.starts("tablespace"), w.starts("subscription"):
		l.add(s, "cluster-wide", Error, "this is no matter of a schema", "")
	}
}

func (l *linter) drop(s statement, w words) {
	if len(w) == 0 {
		return
	}
	switch w[0].s {
	case "table", "schema", "database", "view", "materialized", "type", "domain", "function", "sequence", "procedure", "aggregate":
		name, _ := w[1:].skip("view", "if", "exists").name()
		if !l.created[name] {
			l.add(s, "drop-breaks-old-version", Error, "DROP "+strings.ToUpper(w[0].s)+" "+name+" breaks the version that runs, and cannot be taken back",
				"Use a drop_table operation, or drop it with onComplete.")
		}
	case "index":
		if !w[1:].starts("concurrently") {
			l.add(s, "index-drop-locks", Error, "DROP INDEX locks its table against everyone and waits for all who use it", "Use DROP INDEX CONCURRENTLY, or a drop_index operation.")
		}
	case "trigger", "policy", "rule", "extension", "publication", "owned":
		l.add(s, "drop", Warning, "DROP "+strings.ToUpper(w[0].s)+" may change what the version that runs relies on", "")
	}
}

// whole looks at what works on tables as a whole.
func (l *linter) whole(s statement, w words) {
	switch {
	case w.starts("truncate"):
		l.add(s, "truncate", Error, "TRUNCATE deletes all rows under an exclusive lock", "")
	case w.starts("update") && !w.has("where"), w.starts("delete") && !w.has("where"):
		l.add(s, "all-rows", Error, strings.ToUpper(w[0].s)+" without WHERE works on all rows in one transaction, and keeps them locked until its end", "Fill rows by up of an operation, in batches.")
	case w.starts("update"), w.starts("delete"), w.starts("merge"):
		l.add(s, "many-rows", Warning, strings.ToUpper(w[0].s)+" keeps the rows that it touches locked until the end of the transaction", "")
	case w.starts("lock"):
		l.add(s, "lock-table", Error, "LOCK TABLE holds its lock until the end of the transaction", "")
	case w.starts("cluster"), w.starts("vacuum") && w.has("full"):
		l.add(s, "rewrite", Error, strings.ToUpper(w[0].s)+" rewrites the table under an exclusive lock", "")
	case w.starts("reindex") && !w.has("concurrently"):
		l.add(s, "index-blocks-writes", Error, "REINDEX locks the table against writes until it is done", "Use REINDEX CONCURRENTLY.")
	case w.starts("refresh") && !w.has("concurrently"):
		l.add(s, "refresh-locks", Error, "REFRESH MATERIALIZED VIEW locks the view against everyone", "Use REFRESH MATERIALIZED VIEW CONCURRENTLY.")
	}
}
