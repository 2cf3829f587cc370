package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/servicing"
)

// ByDatabase is the part of a path that names a database.
type ByDatabase struct {
	Database string `path:"database" maxLength:"63" doc:"name of the database"`
}

type migrationInput struct {
	ByDatabase
	Body wire.Migration
}

type stepInput struct {
	ByDatabase
	Migration string `path:"migration" maxLength:"63" doc:"name of the migration"`
	Body      wire.SchemaStep
}

func (s *Server) databases() {
	register(s, operation{method: http.MethodGet, path: "/v1/databases", id: "listDatabases", tag: "databases",
		summary: "Lists the databases, with the versions of their schemas that are live and who uses them", route: route{action: policy.Read}},
		func(ctx context.Context, _ *none) (*answered[wire.Databases], error) {
			all, err := s.Servicing.List(ctx)
			return &answered[wire.Databases]{wire.Databases{Items: all}}, err
		})
	register(s, operation{method: http.MethodGet, path: "/v1/databases/{database}", id: "getDatabase", tag: "databases",
		summary: "Says which versions of a database's schema are live, and what is being done to it", route: route{action: policy.Read}},
		func(ctx context.Context, in *ByDatabase) (*answered[servicing.View], error) {
			v, err := s.Servicing.Show(ctx, in.Database)
			return &answered[servicing.View]{v}, err
		})
	register(s, operation{method: http.MethodPost, path: "/v1/databases/{database}/migrations", id: "startMigration", tag: "databases",
		summary: "Starts a change of a database's schema", about: "The new version is made beside the old one, in the background. 409 when another change is under way. Asking again changes nothing, and goes on " +
			"with one that has failed.", route: route{action: policy.Decide, keyed: true}},
		func(ctx context.Context, in *migrationInput) (*answered[servicing.View], error) {
			v, err := s.Servicing.Start(ctx, actorOf(ctx), in.Database, in.Body.File, in.Body.Text, servicing.Order{Why: in.Body.Reason})
			return &answered[servicing.View]{v}, err
		})
	for _, v := range []struct{ word, id, summary, about string }{
		{"complete", "completeMigration", "Takes the old version of a database's schema away", "409 while anything in production is on it, or a rollout to the new version has not passed its last ring. There is no way back from it."},
		{"rollback", "rollbackMigration", "Takes the new version of a database's schema away", "409 while anything in production is on it. What was written by it is in the old version."},
	} {
		register(s, operation{method: http.MethodPost, path: "/v1/databases/{database}/migrations/{migration}/" + v.word, id: v.id, tag: "databases", summary: v.summary,
			about: v.about + " Asking again changes nothing.", route: route{action: policy.Decide, keyed: true}},
			func(ctx context.Context, in *stepInput) (*answered[servicing.View], error) {
				o := servicing.Order{Name: in.Migration, Baked: in.Body.Baked, AllowUnknown: in.Body.AllowUnknown, Force: in.Body.Force, Why: in.Body.Reason}
				do := s.Servicing.Complete
				if v.word == "rollback" {
					do = s.Servicing.Return
				}
				view, err := do(ctx, actorOf(ctx), in.Database, o)
				return &answered[servicing.View]{view}, err
			})
	}
}
