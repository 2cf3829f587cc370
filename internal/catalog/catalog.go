package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and events.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, page store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Blobs keeps artifacts under their digests. Put reads to the end and refuses more than limit bytes. Open and Size
// answer errs.Missing for an unknown digest; reading what Open returns fails when the content is not that of the digest.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, limit int64) (digest string, size int64, err error)
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
	Size(ctx context.Context, digest string) (int64, error)
}

// Catalog holds what people declared. All its methods may be called at the same time.
type Catalog struct {
	Store Store
	Blobs Blobs
	// InUse, when set, is asked before a resource is deleted and says why that must not be: something runs on it.
	InUse func(ctx context.Context, kind, name string) error
	Shown Shown // nil: no flag is exposed
	// CheckWindow, when set, says what is wrong with a window's recurrence rule.
	CheckWindow func(w resource.Window) error
	// CheckRules, when set, says what is wrong with expressions and templates of alerts' rules.
	CheckRules func(r resource.AlertRules) []resource.Problem

	// CheckAccess, when set, says what is wrong with who may do what in a whole that would be there.
	CheckAccess func(ctx context.Context, whole []resource.Resource) []resource.Problem
	// Governed, when set, says why a set of resources changes only with approval, as of what is there.
	Governed func(there, set []resource.Resource) error

	// ReadInterface says what an interface declares, as of when its release is made; nil: releases carry none.
	ReadInterface func(ctx context.Context, format, digest string, now time.Time) ([]fleet.Operation, error)

	writing sync.Mutex // writers of this process take turns; only other processes make a write stale
}

// MaxArtifact is the largest artifact.
const MaxArtifact = 2 << 30

// Get returns one resource.
func (c *Catalog) Get(ctx context.Context, kind, name string) (resource.Resource, error) {
	doc, err := c.Store.Get(ctx, kind, name)
	if errs.Is(err, errs.Missing) {
		return resource.Resource{}, errs.E(errs.Missing, "there is no %s %q", kind, name)
	}
	if err != nil {
		return resource.Resource{}, err
	}
	return decode(doc)
}

// List returns up to limit (0 means 1000) resources of a kind, by name, with names after a name.
func (c *Catalog) List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error) {
	if !slices.Contains(resource.Kinds, kind) {
		return nil, errs.E(errs.Invalid, "unknown kind %q, expected one of %s", kind, strings.Join(resource.Kinds, ", "))
	}
	docs, err := c.Store.List(ctx, store.Page{Kind: kind, After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	return decodeAll(docs)
}

// Export returns everything declared, in an order in which it can be applied again. Releases are not declared: they
// belong to their artifacts.
func (c *Catalog) Export(ctx context.Context) ([]resource.Resource, error) {
	var all []resource.Resource
	for _, kind := range resource.Declared {
		docs, err := c.every(ctx, kind, "")
		if err != nil {
			return nil, err
		}
		rs, err := decodeAll(docs)
		if err != nil {
			return nil, err
		}
		all = append(all, rs...)
	}
	return all, nil
}

// every reads all documents of a kind, page by page.
func (c *Catalog) every(ctx context.Context, kind, prefix string) ([]store.Doc, error) {
	const page = 1000
	var all []store.Doc
	after := ""
	for {
		docs, err := c.Store.List(ctx, store.Page{Kind: kind, Prefix: prefix, After: after, Limit: page})
		if err != nil {
			return nil, err
		}
		all = append(all, docs...)
		if len(docs) < page {
			return all, nil
		}
		after = docs[len(docs)-1].Name
	}
}

func decode(doc store.Doc) (resource.Resource, error) {
	var r resource.Resource
	if err := json.Unmarshal(doc.Body, &r); err != nil {
		return r, errs.Wrap(errs.Internal, err, "stored %s %s is damaged", doc.Kind, doc.Name)
	}
	return r, nil
}

func decodeAll(docs []store.Doc) ([]resource.Resource, error) {
	all := make([]resource.Resource, 0, len(docs))
	for _, d := range docs {
		r, err := decode(d)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// state is everything declared at one moment, with the revisions that a write must name.
type state struct {
	head store.Doc
	set  []resource.Resource
	docs map[string]store.Doc // by resource.Key
}

// The document that every write of declared things replaces.
const (
	HeadKind = "Catalog"
	HeadName = "head"
)

// read takes the head first: when a write names its revision and is taken, nothing declared changed since.
func (c *Catalog) read(ctx context.Context) (state, error) {
	s := state{docs: map[string]store.Doc{}}
	head, err := c.Store.Get(ctx, HeadKind, HeadName)
	if err != nil && !errs.Is(err, errs.Missing) {
		return s, err
	}
	s.head = store.Doc{Kind: HeadKind, Name: HeadName, Rev: head.Rev, Body: json.RawMessage(fmt.Sprintf(`{"writes":%d}`, head.Rev+1))}
	for _, kind := range resource.Declared {
		docs, err := c.every(ctx, kind, "")
		if err != nil {
			return s, err
		}
		for _, d := range docs {
			r, err := decode(d)
			if err != nil {
				return s, err
			}
			s.set = append(s.set, r)
			s.docs[r.Key()] = d
		}
	}
	return s, nil
}

// attempts bounds how often a write is judged again because another one was faster.
const attempts = 10

// retry runs try until it is not refused as stale.
func (c *Catalog) retry(ctx context.Context, try func() error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	var err error
	for range attempts {
		if err = try(); !errs.Is(err, errs.Conflict) || ctx.Err() != nil {
			return err
		}
	}
	return err
}
