package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/store"
)

// Record proves events.
type Record interface {
	Log(ctx context.Context) (record.Log, error)
	Prove(ctx context.Context, seq int64) (record.Proof, error)
	Wrong() []record.Finding
}

type eventPage struct {
	*visit
	E        entry
	Removed  bool
	Provable bool
	Before   int64 // numbers of those beside it; 0 for none
	After    int64
	Same     string // where all of the same subject are
	By       string // where all by the same actor are
}

func seqOf(r *http.Request) (int64, error) {
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 1 {
		return 0, errs.E(errs.Missing, "there is no event %.40q", r.PathValue("seq"))
	}
	return seq, nil
}

// event shows one event with its evidence.
func (s *Server) event(w http.ResponseWriter, r *http.Request, v *visit) error {
	seq, err := seqOf(r)
	if err != nil {
		return err
	}
	if err := s.readers.Note(r.Context(), s.Now(), v.Who.Actor(), record.Read{How: "show"}); err != nil {
		return err
	}
	found, err := s.Store.Events(r.Context(), store.EventQuery{After: seq - 1, Limit: 2, Removed: true})
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].Seq != seq {
		return errs.E(errs.Missing, "there is no event %d", seq)
	}
	e := found[0]
	p := eventPage{visit: v, E: entriesOf(found[:1])[0], Removed: e.Removed(), Provable: s.Record != nil, Before: seq - 1,
		Same: eventFilter{Subject: e.Subject}.url(0), By: eventFilter{Actor: e.Actor}.url(0)}
	if len(found) > 1 {
		p.After = found[1].Seq
	}
	v.Title = "Event " + strconv.FormatInt(seq, 10)
	return s.show(w, r, http.StatusOK, "event", p)
}

// checkable is what a browser needs to check a proof by itself: the event's fields as they are hashed, and the way to the checkpoint.
type checkable struct {
	record.Proof
	Micros string   `json:"micros"` // the event's time; a number would lose digits
	Data   string   `json:"data"`   // byte for byte
	Keys   []string `json:"keys"`
}

func (s *Server) proof(w http.ResponseWriter, r *http.Request, _ *visit) error {
	seq, err := seqOf(r)
	if err != nil {
		return err
	}
	p, err := s.Record.Prove(r.Context(), seq)
	if err != nil {
		return err
	}
	log, err := s.Record.Log(r.Context())
	if err != nil {
		return err
	}
	b, err := json.Marshal(checkable{Proof: p, Micros: strconv.FormatInt(p.Event.Time.UnixMicro(), 10), Data: string(p.Event.Data), Keys: log.Publics()})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(b)
	return err
}
