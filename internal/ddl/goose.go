package ddl

import (
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// safeMark in a comment is the safety statement of a file of plain SQL.
const safeMark = "ringfence:safe"

// ParseSQL reads a migration of plain SQL, as goose writes it: -- +goose Up, Down, StatementBegin, StatementEnd, NO TRANSACTION.
// It must say in a comment why the version that runs is not hurt by it: -- ringfence:safe reason
func ParseSQL(name string, raw []byte) (Migration, error) {
	if len(raw) > MaxFile {
		return Migration{}, errs.E(errs.Invalid, "the migration has %d bytes, at most %d are taken", len(raw), MaxFile)
	}
	m := Migration{Name: name, Version: name, Digest: digestOf(raw)}
	op := &rawSQL{}
	var up, down strings.Builder
	into, open := (*strings.Builder)(nil), false
	for n, line := range strings.Split(string(raw), "\n") {
		trimmed := strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(trimmed, "--")
		comment = strings.TrimSpace(comment)
		if reason, ok := strings.CutPrefix(comment, safeMark); isComment && ok {
			m.Safety = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(reason), ":"))
		}
		command, isCommand := strings.CutPrefix(comment, "+goose")
		if !isComment || !isCommand {
			up.WriteString(only(line, into == &up || into == nil && isComment) + "\n") // as many lines, so that findings have the file's
			down.WriteString(only(line, into == &down) + "\n")
			continue
		}
		switch command = strings.ToLower(strings.Join(strings.Fields(command), " ")); command {
		case "up":
			into = &up
		case "down":
			into = &down
		case "no transaction":
			op.plain = true
		case "statementbegin", "statementend":
			if open == (command == "statementbegin") || into == nil {
				return Migration{}, errs.E(errs.Invalid, "migration %s, line %d: StatementBegin and StatementEnd stand in pairs, behind Up or Down", name, n+1)
			}
			open = !open
		case "envsub on", "envsub off":
			return Migration{}, errs.E(errs.Invalid, "migration %s, line %d: variables of the environment are not put into SQL", name, n+1)
		default:
			return Migration{}, errs.E(errs.Invalid, "migration %s, line %d: unknown command +goose %s, expected Up, Down, StatementBegin, StatementEnd or NO TRANSACTION", name, n+1, command)
		}
		up.WriteString("\n")
		down.WriteString("\n")
	}
	if open {
		return Migration{}, errs.E(errs.Invalid, "migration %s: a StatementBegin has no StatementEnd", name)
	}
	op.Up, op.Down = up.String(), down.String()
	if len(splitOnly(op.Up)) == 0 {
		return Migration{}, errs.E(errs.Invalid, "migration %s has no statement behind -- +goose Up", name)
	}
	if len(splitOnly(op.Down)) == 0 {
		op.Down = ""
	}
	if m.Safety == "" {
		return Migration{}, errs.E(errs.Invalid, "migration %s does not say why the version that runs is not hurt by it", name).
			Next("Add a line: -- %s REASON", safeMark)
	}
	m.Operations = []Operation{op}
	return m, m.check()
}

func only(line string, is bool) string {
	if is {
		return line
	}
	return ""
}

func splitOnly(src string) []statement {
	all, _ := split(src)
	return all
}
