package ddl

import (
	"strings"
	"testing"
)

func TestLint(t *testing.T) {
	for src, want := range map[string]string{
		"CREATE INDEX i ON t (a)":                         "index-blocks-writes",
		"CREATE INDEX CONCURRENTLY i ON t (a)":            "",
		"CREATE TABLE t (a int); CREATE INDEX i ON t (a)": "",
		"DROP INDEX i":                "index-drop-locks",
		"DROP INDEX CONCURRENTLY i":   "",
		"DROP TABLE t":                "drop-breaks-old-version",
		"ALTER TABLE t DROP COLUMN a": "drop-breaks-old-version",
		"ALTER TABLE t RENAME a TO b": "rename-breaks-old-version",
		"ALTER TABLE IF EXISTS ONLY public.t ADD COLUMN a int":                          "",
		"ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 1, ADD b text DEFAULT 'x'":     "",
		"ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid() NOT NULL":            "rewrite",
		"ALTER TABLE t ADD COLUMN a int NOT NULL":                                       "not-null-without-default",
		"ALTER TABLE t ADD COLUMN a bigserial":                                          "rewrite",
		"ALTER TABLE t ALTER COLUMN a TYPE bigint":                                      "rewrite",
		"ALTER TABLE t ALTER a SET NOT NULL":                                            "not-null-scan",
		"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)":                                  "constraint-scan",
		"ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES u NOT VALID":         "",
		"ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID, VALIDATE CONSTRAINT k": "validate-under-lock",
		"ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)":                                     "unique-blocks-writes",
		"ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY USING INDEX i":                      "",
		"UPDATE t SET a = 1":                                "all-rows",
		"TRUNCATE t":                                        "truncate",
		"VACUUM FULL t":                                     "rewrite",
		"LOCK TABLE t":                                      "lock-table",
		"REFRESH MATERIALIZED VIEW v":                       "refresh-locks",
		"DO $$ BEGIN DROP TABLE t; END $$":                  "opaque",
		"DROP VIEW v CASCADE":                               "drop-breaks-old-version cascade",
		"ALTER SYSTEM SET work_mem = 1":                     "cluster-wide",
		"ALTER DOMAIN d ADD CONSTRAINT k CHECK (value > 0)": "domain-scan",
		"-- ringfence:allow index-blocks-writes ten rows\nCREATE INDEX i ON t (a)":       "",
		"/* ringfence:allow index-blocks-writes */ CREATE INDEX i ON t (a)":              "index-blocks-writes", // no reason
		"SELECT 'CREATE INDEX i ON t (a)'; INSERT INTO t VALUES ('DROP TABLE t') -- x;y": "",
		"SELECT 'open": "not-closed",
	} {
		var rules []string
		for _, f := range Lint(src) {
			if f.Refuses() {
				rules = append(rules, f.Rule)
			}
		}
		if got := strings.Join(rules, " "); got != want {
			t.Errorf("%s: %q, expected %q", src, got, want)
		}
	}
}

func TestGoose(t *testing.T) {
	m, err := ParseSQL("3", []byte("-- ringfence:safe: nobody reads it\n-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n\nDROP TABLE t;\n-- +goose Down\nSELECT 2;\n"))
	if err != nil {
		t.Fatal(err)
	}
	op := m.Operations[0].(*rawSQL)
	up, _ := split(op.Up)
	down, _ := split(op.Down)
	if m.Safety != "nobody reads it" || !op.plain || len(up) != 2 || len(down) != 1 || down[0].src != "SELECT 2" {
		t.Errorf("%+v, %+v", m, op)
	}
	if f := LintMigration(m); len(f) != 1 || f[0].Line != 8 { // as in the file
		t.Errorf("%+v", f)
	}
	for src, want := range map[string]string{
		"-- +goose Up\nSELECT 1":                                                "does not say why",
		"-- ringfence:safe x\nSELECT 1":                                         "no statement behind",
		"-- ringfence:safe x\n-- +goose Sideways":                               "unknown command",
		"-- ringfence:safe x\n-- +goose StatementBegin":                         "in pairs",
		"-- ringfence:safe x\n-- +goose Up\n-- +goose StatementBegin\nSELECT 1": "no StatementEnd",
		"-- ringfence:safe x\n-- +goose ENVSUB ON":                              "variables",
	} {
		if _, err := ParseSQL("3", []byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", src, err, want)
		}
	}
}
