package manifest

import (
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
)

// ReadMigration reads a migration of a database's schema: pgroll's format in YAML or JSON, or, when its name ends in .sql, plain SQL.
// The file's name without its ending is the migration's.
func ReadMigration(src Source) (ddl.Migration, error) {
	base := filepath.Base(src.Name)
	ext := filepath.Ext(base)
	name := strings.TrimSuffix(base, ext)
	if strings.EqualFold(ext, ".sql") {
		return ddl.ParseSQL(name, src.Data)
	}
	doc, problems := ReadDocument(src, ddl.MaxFile)
	if len(problems) > 0 {
		return ddl.Migration{}, errs.Wrap(errs.Invalid, Problems(problems), "migration %s", name)
	}
	return ddl.Parse(name, doc.Raw)
}
