package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

func (s *Server) backup() {
	register(s, operation{method: http.MethodGet, path: "/v1/backup", id: "backup", tag: "system", media: binary,
		summary: "Streams a consistent copy of all state and the whole record", about: "Artifacts and metrics are not in it.",
		route: route{action: policy.Export, stream: true}}, s.takeBackup)
}

// takeBackup records who took a copy before the first byte leaves.
func (s *Server) takeBackup(ctx context.Context, _ *none) (*huma.StreamResponse, error) {
	e, err := audit.New(s.Now(), "backup.taken", actorOf(ctx), "store/all", nil)
	if err != nil {
		return nil, err
	}
	if _, err := s.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
		return nil, err
	}
	return transfer(map[string]string{"Content-Disposition": `attachment; filename="ringfence.backup"`}, func(w io.Writer) error {
		return s.Store.Backup(ctx, w)
	}), nil
}
