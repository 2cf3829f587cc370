package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Live says what of a service is in production.
type Live struct {
	Service string                `json:"service"`
	Unit    string                `json:"unit" doc:"where it runs; empty when nothing runs"`
	Stable  string                `json:"stable" doc:"the version that everyone has or returns to; empty before the first release"`
	Rollout string                `json:"rollout" doc:"the newest rollout; it may have ended"`
	Count   int                   `json:"count" doc:"rollouts so far"`
	Slots   map[string]fleet.Slot `json:"slots" doc:"how to run the versions that may be needed, as they were released"`
}

// versioned is a document read from the store with the revision that a write must name.
type versioned[T any] struct {
	value T
	rev   int64
	body  []byte // as stored: what is written again only when it differs
}

func read[T any](ctx context.Context, s Store, kind, name string) (versioned[T], error) {
	doc, err := s.Get(ctx, kind, name)
	if err != nil {
		return versioned[T]{}, err
	}
	return decode[T](doc)
}

func decode[T any](doc store.Doc) (versioned[T], error) {
	v := versioned[T]{rev: doc.Rev, body: doc.Body}
	if err := json.Unmarshal(doc.Body, &v.value); err != nil {
		return v, fmt.Errorf("%s %s: %w", doc.Kind, doc.Name, err)
	}
	return v, nil
}

// readOrNew returns the zero value at revision 0 when there is no such document.
func readOrNew[T any](ctx context.Context, s Store, kind, name string) (versioned[T], error) {
	v, err := read[T](ctx, s, kind, name)
	if errs.Is(err, errs.Missing) {
		return versioned[T]{}, nil
	}
	return v, err
}

func (c *Controller) lives(ctx context.Context) ([]versioned[Live], error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	return listAll[Live](ctx, c.Store, KindLive, "")
}

func listAll[T any](ctx context.Context, s Store, kind, prefix string) ([]versioned[T], error) {
	var all []versioned[T]
	for after := ""; ; {
		docs, err := s.List(ctx, store.Page{Kind: kind, Prefix: prefix, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			v, err := decode[T](d)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		after = docs[len(docs)-1].Name
	}
}

// RolloutID names a service's nth rollout for people: shop-3.
func RolloutID(service string, n int) string { return fmt.Sprintf("%s-%d", service, n) }

// rolloutName is the document name of a rollout: numbers padded, so that names sort as they were made.
func rolloutName(id string) (string, error) {
	i := strings.LastIndexByte(id, '-')
	if i > 0 {
		if n, err := strconv.Atoi(id[i+1:]); err == nil && n > 0 {
			return fmt.Sprintf("%s/%06d", id[:i], n), nil
		}
	}
	return "", errs.E(errs.Missing, "there is no rollout %q", id)
}

// record turns a rollout's events into entries of the record.
func record(id string, events []rollout.Event) ([]audit.Event, error) {
	out := make([]audit.Event, 0, len(events))
	for _, e := range events {
		actor := e.Actor
		if actor == "" {
			actor = "system:controller"
		}
		a, err := audit.New(e.Time, e.Type, actor, "rollout/"+id, e)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
