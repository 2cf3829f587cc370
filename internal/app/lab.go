package app

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/otlp"
	"github.com/ringfence/ringfence/internal/switchboard"
	"github.com/ringfence/ringfence/internal/track"
)

// environmentHeader says to which environment a caller's events belong; production without it.
const environmentHeader = "Ringfence-Environment"

// eventsFolder holds, below the data folder, exposures and metric events.
const eventsFolder = "events"

func (s *server) openEvents(ctx context.Context) error {
	folder := filepath.Join(s.Data, eventsFolder)
	var err error
	if s.events, err = track.Open(ctx, track.Options{Folder: folder, Logger: s.Logger}); err != nil {
		return err
	}
	s.since, err = firstTime(filepath.Join(folder, "since"))
	return err
}

// firstTime is when a file says that something began: now, when there is none yet.
func firstTime(path string) (time.Time, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		now := time.Now().UTC().Truncate(time.Second)
		return now, os.WriteFile(path, []byte(now.Format(time.RFC3339)), 0o600)
	} else if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, string(raw))
	if err != nil {
		return t, errs.Wrap(errs.Internal, err, "%s is damaged", path)
	}
	return t, nil
}

// intake takes exposures and metric events in. Who sends them has signed in; with a key for flags, they are of its environment.
func (s *server) intake() http.Handler {
	h, pages := s.events.Handler(track.KeysFunc(s.environmentOf), s.otherRecords()), otlp.New(otlp.Service{Origins: s.Metrics.Origins})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/logs" && pages.Preflight(w, r) {
			return
		}
		h.ServeHTTP(w, r)
	})
}

// environmentOf is to which environment a caller's events belong.
func (s *server) environmentOf(r *http.Request) (string, error) {
	said := r.Header.Get(environmentHeader)
	if key := access.BearerOf(r); strings.HasPrefix(key, flag.KeyPrefix) {
		c, err := flagClients{keys: s.serving.Keys}.Check(r.Context(), key)
		if err == nil && said != "" && said != c.Environment {
			err = errs.E(errs.Denied, "the key is for environment %s", c.Environment)
		}
		return c.Environment, err
	}
	env := cmp.Or(said, flag.Production)
	if len(env) > 200 {
		return "", errs.E(errs.Invalid, "%s: expected at most 200 characters", environmentHeader)
	}
	return env, nil
}

// inUse says why a resource must not be deleted: something runs on it.
func (s *server) inUse(ctx context.Context, kind, name string) error {
	return cmp.Or(s.controller.InUse(ctx, kind, name), s.lab.InUse(ctx, kind, name))
}

// summing fits the events to the lab.
type summing struct{ *track.Store }

func (t summing) Sum(ctx context.Context, q lab.Question) (lab.Answer, error) {
	ask := track.Query{Environment: q.Environment, Flag: q.Flag, Since: q.Since, Until: q.Until, Take: q.Take, Step: q.Step}
	if m := q.Metric; m != nil {
		ask.Measure = track.Measure{Kind: experiment.Kind(m.Kind), Event: m.Event, Denominator: m.Denominator, Quantile: m.Quantile, Window: m.Window.D(0), Cap: m.Cap, Before: m.Before.D(0)}
	}
	res, err := t.Summaries(ctx, ask)
	if err != nil {
		return lab.Answer{}, err
	}
	a := lab.Answer{Variants: res.Variants, Exposed: res.Exposed, Several: res.Several}
	for _, p := range res.Series {
		a.Series = append(a.Series, lab.Point{At: p.At, Variants: p.Variants})
	}
	return a, nil
}

// usage fits the events to the switchboard.
type usage struct {
	*track.Store
	since time.Time // when they began to be told
}

func (t usage) Usage(ctx context.Context, env string) (map[string]time.Time, time.Time, error) {
	list, err := t.Store.Usage(ctx, env)
	asked := map[string]time.Time{}
	for _, u := range list {
		asked[u.Set+"/"+u.Flag] = u.Last
	}
	return asked, t.since, err
}

// flagged fits what shows flags to the lab.
type flagged struct {
	*controller.Controller
	*switchboard.Board
}
