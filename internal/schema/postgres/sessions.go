package postgres

import (
	"context"
	"strings"

	"github.com/ringfence/ringfence/internal/schema"
)

// Sessions are the sessions of programs in this database. Who may not see what kind a session is takes it for a program's.
func (d *Database) Sessions(ctx context.Context) ([]schema.Session, error) {
	rows, err := d.pool.Query(ctx, `WITH live AS (
			SELECT n.oid, n.nspname::text AS version FROM pg_namespace AS n WHERE n.nspname = $1 OR obj_description(n.oid, 'pg_namespace') = $2)
		SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(host(a.client_addr), ''), coalesce(a.backend_start, now()),
			coalesce((SELECT v.version FROM live AS v JOIN pg_locks AS l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.database = a.datid AND l.objsubid = 2 AND l.granted
				AND l.classid::bigint = $3::bigint AND l.objid::bigint = hashtext(v.version)::bigint & 4294967295 LIMIT 1), ''),
			coalesce((SELECT v.version FROM live AS v WHERE right(a.application_name, length(v.version) + 1) = '@' || v.version LIMIT 1), ''),
			coalesce((SELECT v.version FROM live AS v JOIN pg_class AS c ON c.relnamespace = v.oid AND c.relkind = 'v' JOIN pg_locks AS l ON l.relation = c.oid AND l.pid = a.pid AND l.database = a.datid
				ORDER BY v.version LIMIT 1), ''),
			coalesce((SELECT s FROM pg_db_role_setting AS rs, unnest(rs.setconfig) AS s WHERE rs.setrole = a.usesysid AND rs.setdatabase IN (0, a.datid) AND s LIKE 'search_path=%'
				ORDER BY rs.setdatabase DESC LIMIT 1), ''),
			coalesce((SELECT array_agg(v.version ORDER BY v.version DESC) FROM live AS v JOIN pg_locks AS l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.database = a.datid AND l.objsubid = 2 AND l.granted
				AND l.classid::bigint = $5::bigint AND l.objid::bigint = hashtext(v.version)::bigint & 4294967295), '{}')
		FROM pg_stat_activity AS a
		WHERE a.datname = current_database() AND coalesce(a.backend_type, 'client backend') = 'client backend' AND a.application_name <> $4 AND a.pid <> pg_backend_pid()
		ORDER BY a.pid`, d.schema, versionMark+d.schema, versionClass, application, knownClass)
	if err != nil {
		return nil, kindOf(err, "read the sessions")
	}
	defer rows.Close()
	all := []schema.Session{}
	for rows.Next() {
		var s schema.Session
		var lock, name, views, path string
		if err := rows.Scan(&s.PID, &s.Application, &s.User, &s.Client, &s.Since, &lock, &name, &views, &path, &s.Calls); err != nil {
			return nil, kindOf(err, "read the sessions")
		}
		for _, by := range []struct{ how, version string }{{"lock", lock}, {"application_name", name}, {"views", views}, {"role", d.first(path)}} {
			if len(s.Calls) > 0 {
				s.How, s.Version = "call", "" // it has none between calls
				break
			}
			if by.version != "" {
				s.How, s.Version = by.how, by.version
				break
			}
		}
		all = append(all, s)
	}
	return all, kindOf(rows.Err(), "read the sessions")
}

// first is the version that a role's search_path names first, if it names one.
func (d *Database) first(setting string) string {
	path, ok := strings.CutPrefix(setting, "search_path=")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(path, ",")
	first = strings.Trim(strings.TrimSpace(first), `"`)
	if first == d.schema || strings.HasPrefix(first, d.schema+"_") {
		return first
	}
	return ""
}
