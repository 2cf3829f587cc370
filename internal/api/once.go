package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	keyHeader  = "Idempotency-Key"
	kindAnswer = "Answer"         // documents of answers already given, by caller and key
	keyLife    = 24 * time.Hour   // how long an answer is kept
	workLife   = time.Minute      // after this long without an answer, whoever began has crashed
	sweepEvery = 10 * time.Minute // between removals of old answers
	sweepPage  = 200              // looked at together
	maxKey     = 200              // characters
)

// answer is what was answered to a request; Status 0 while it is still being worked on.
type answer struct {
	Request string    `json:"request"` // hash of what was asked
	Begun   time.Time `json:"begun"`
	Status  int       `json:"status"`
	Type    string    `json:"type"`
	Body    []byte    `json:"body"`
}

// keyring remembers answers by their keys.
type keyring struct {
	store Store
	now   func() time.Time
	swept atomic.Int64
}

// once serves a request that has a key: the first time for real, afterwards from memory.
func (s *Server) once(w http.ResponseWriter, r *http.Request, who policy.Principal, key string) {
	body, p := readBody(r, key)
	if p != nil {
		writeProblem(w, p)
		return
	}
	doc, before, err := s.keys.begin(r, who, key, body)
	switch {
	case err != nil:
		writeProblem(w, s.problemOf(r.Context(), "idempotency", err))
		return
	case before != nil:
		w.Header().Set("Content-Type", before.Type)
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(before.Status)
		_, _ = w.Write(before.Body)
		return
	}
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	done := false
	defer func() { // also when the handler panics: the key must not stay taken
		s.keys.end(r.Context(), doc, rec, done)
	}()
	s.mux.ServeHTTP(rec, r)
	done = true
}

func readBody(r *http.Request, key string) ([]byte, *problem) {
	if len(key) > maxKey {
		return nil, newProblem(http.StatusUnprocessableEntity, errs.Invalid, fmt.Sprintf("%s has %d characters, expected at most %d", keyHeader, len(key), maxKey), "")
	}
	body, err := io.ReadAll(r.Body) // limited before
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, tooLarge(large.Limit)
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, errs.Invalid, "the body cannot be read: "+err.Error(), "")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// begin takes the key for this request, or returns the answer that it had before.
func (k *keyring) begin(r *http.Request, who policy.Principal, key string, body []byte) (store.Doc, *answer, error) {
	ctx := r.Context()
	k.sweep(ctx)
	now := k.now().UTC()
	mine := answer{Request: digest(r.Method, r.URL.RequestURI(), string(body)), Begun: now}
	doc := store.Doc{Kind: kindAnswer, Name: digest(who.Name, key)}
	old, err := k.store.Get(ctx, doc.Kind, doc.Name)
	if err != nil && !errs.Is(err, errs.Missing) {
		return doc, nil, err
	}
	if err == nil {
		var before answer
		if err := json.Unmarshal(old.Body, &before); err != nil {
			return doc, nil, errs.Wrap(errs.Internal, err, "a stored answer is damaged")
		}
		age := now.Sub(before.Begun)
		switch {
		case age > keyLife || before.Status == 0 && age > workLife:
			doc.Rev = old.Rev
		case before.Request != mine.Request:
			return doc, nil, errs.E(errs.Invalid, "this %s was used for another request", keyHeader).Next("Use a new key for each request.")
		case before.Status == 0:
			return doc, nil, errs.E(errs.Unavailable, "the first request of this %s is still being worked on", keyHeader).Next("Try again.")
		default:
			return doc, &before, nil
		}
	}
	if doc.Body, err = json.Marshal(mine); err != nil {
		return doc, nil, err
	}
	_, err = k.store.Commit(ctx, store.Write{Puts: []store.Doc{doc}})
	if errs.Is(err, errs.Conflict) {
		err = errs.E(errs.Unavailable, "the first request of this %s is still being worked on", keyHeader).Next("Try again.")
	}
	doc.Rev++
	return doc, nil, err
}

// end keeps the answer. A failure of ours is forgotten instead, so that the request may be tried again.
func (k *keyring) end(ctx context.Context, doc store.Doc, rec *recorder, done bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var a answer
	err := json.Unmarshal(doc.Body, &a)
	if err != nil || !done || rec.status >= http.StatusInternalServerError || rec.body.Len() > store.MaxBody/2 {
		_, _ = k.store.Commit(ctx, store.Write{Deletes: []store.Doc{doc}}) // else the key is free again after workLife
		return
	}
	a.Status, a.Type, a.Body = rec.status, rec.Header().Get("Content-Type"), rec.body.Bytes()
	if doc.Body, err = json.Marshal(a); err == nil {
		_, _ = k.store.Commit(ctx, store.Write{Puts: []store.Doc{doc}})
	}
}

// sweep removes some of the answers that are too old to be given again.
func (k *keyring) sweep(ctx context.Context) {
	now := k.now()
	last := k.swept.Load()
	if now.UnixNano()-last < int64(sweepEvery) || !k.swept.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	for after := ""; ; {
		docs, err := k.store.List(ctx, store.Page{Kind: kindAnswer, After: after, Limit: sweepPage})
		if err != nil || len(docs) == 0 {
			return
		}
		var w store.Write
		for _, d := range docs {
			if now.Sub(d.Updated) > keyLife {
				w.Deletes = append(w.Deletes, store.Doc{Kind: d.Kind, Name: d.Name, Rev: d.Rev})
			}
		}
		if len(w.Deletes) > 0 {
			if _, err := k.store.Commit(ctx, w); err != nil {
				return // next time
			}
		}
		after = docs[len(docs)-1].Name
	}
}

// digest hashes texts so that no two lists of them are taken for each other.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recorder passes an answer on and keeps a copy.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

// Unwrap lets the standard library reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// clip keeps a text from outside short.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:most]), nil)) + "…"
}
