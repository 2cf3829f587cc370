package clientele

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// The kinds of documents that are kept: a book by service, and the key of hashes.
const (
	KindBook = "AccountBook"
	KindKey  = "AccountKey"
	keyName  = "key"
)

// Store keeps the books. Errors: errs.Missing from Get, errs.Conflict from Commit when another was faster.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Catalog holds what is declared.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
}

// Alerts take alerts again and again while they hold.
type Alerts interface {
	Send(ctx context.Context, alerts []alert.Alert) error
	Firing(ctx context.Context) ([]alert.Alert, error)
}

// Options of an engine.
type Options struct {
	Store   Store
	Catalog Catalog
	Alerts  Alerts // may be nil: nobody is told
	Logger  *slog.Logger
	Now     func() time.Time // default time.Now
}

// Engine keeps and tells. Its methods are safe for use by many goroutines.
type Engine struct {
	Options
	news chan struct{}

	mu   sync.Mutex // one writer of this process at a time: others are told by revisions
	key  []byte
	late time.Time // when it was last said that minutes came too late
}

// New makes an engine; Run lets it tell.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Engine{Options: o, news: make(chan struct{}, 1)}
}

const (
	tries   = 5
	early   = 2   // minutes that a gateway's clock may be ahead
	mostOne = 200 // minutes in one report
)

// Take stores what the gateway of a unit tells.
func (e *Engine) Take(ctx context.Context, unit string, minutes []fleet.AccountMinute) error {
	if len(minutes) > mostOne {
		return errs.E(errs.Invalid, "%d minutes at once, expected at most %d", len(minutes), mostOne)
	}
	latest := account.Minute(e.Now()) + early
	by := map[string][]fleet.AccountMinute{}
	for _, m := range minutes {
		if err := check(m, latest); err != nil {
			return err
		}
		by[m.Service] = append(by[m.Service], m)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for service, some := range by {
		if err := e.take(ctx, unit, service, some); err != nil {
			return err
		}
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
	return nil
}

func check(m fleet.AccountMinute, latest int64) error {
	if m.Minute > latest {
		return errs.E(errs.Invalid, "minute %s of %s has not been", account.At(m.Minute).Format(time.RFC3339), m.Service).Next("set the clocks of the data plane and the control plane alike")
	}
	if m.Requests < 0 || m.Bad < 0 || m.Bad > m.Requests {
		return errs.E(errs.Invalid, "%s: %d of %d requests are bad", m.Service, m.Bad, m.Requests)
	}
	for _, a := range m.Accounts {
		if a.ID == "" || len(a.ID) > account.MaxID || a.Requests < 0 || a.Failed < 0 || a.Slow < 0 || a.Bad() > a.Requests || a.Missed < 0 {
			return errs.E(errs.Invalid, "%s: an account of %d bytes with %d requests, %d of them failed, %d slow", m.Service, len(a.ID), a.Requests, a.Failed, a.Slow)
		}
	}
	return nil
}

// take writes down the minutes of one service; it does so again when another control plane was faster.
func (e *Engine) take(ctx context.Context, unit, service string, minutes []fleet.AccountMinute) error {
	spec, err := e.spec(ctx, service)
	if errs.Is(err, errs.Missing) { // it was deleted, or counts no accounts any more
		return nil
	}
	for try := 0; err == nil && try < tries; try++ {
		err = e.write(ctx, unit, service, spec, minutes)
		if !errs.Is(err, errs.Conflict) {
			return err
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return errs.E(errs.Unavailable, "the accounts of %s are written by others all the time", service).Next("they are told again by themselves")
}

func (e *Engine) write(ctx context.Context, unit, service string, spec resource.Service, minutes []fleet.AccountMinute) error {
	b, rev, err := e.book(ctx, service)
	if err != nil {
		return err
	}
	if spec.Route.Account.Hash {
		name, err := e.hasher(ctx, service)
		if err != nil {
			return err
		}
		b.Hash(name)
		for i, m := range minutes {
			all := make([]fleet.AccountCount, len(m.Accounts))
			for j, a := range m.Accounts {
				a.ID = name(a.ID)
				all[j] = a
			}
			minutes[i].Accounts = all
		}
	} else {
		b.Hashed = false
	}
	now := e.Now()
	took := false
	for _, m := range minutes {
		took = b.Take(unit, m) || took
		if m.Minute <= b.Folded && now.Sub(e.late) > time.Hour {
			e.late = now
			e.Logger.Warn("minutes of accounts came too late to be counted", "service", service, "unit", unit, "minute", account.At(m.Minute), "limit", account.Stays)
		}
	}
	if !took {
		return nil
	}
	b.Fold(now, *spec.Customers)
	return e.put(ctx, service, rev, b)
}

func (e *Engine) put(ctx context.Context, service string, rev int64, b *account.Book) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = e.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindBook, Name: service, Rev: rev, Body: body}}})
	return err
}

// book reads what is known of a service's accounts.
func (e *Engine) book(ctx context.Context, service string) (*account.Book, int64, error) {
	b := &account.Book{}
	doc, err := e.Store.Get(ctx, KindBook, service)
	switch {
	case errs.Is(err, errs.Missing):
		return b, 0, nil
	case err != nil:
		return nil, 0, err
	}
	if err := json.Unmarshal(doc.Body, b); err != nil {
		return nil, 0, errs.Wrap(errs.Internal, err, "accounts of %s", service)
	}
	return b, doc.Rev, nil
}

// spec is a service that counts its accounts, with defaults filled in.
func (e *Engine) spec(ctx context.Context, service string) (resource.Service, error) {
	r, err := e.Catalog.Get(ctx, resource.KindService, service)
	if err != nil {
		return resource.Service{}, err
	}
	s, err := resource.As[resource.Service](r)
	if err == nil && s.Route.Account == nil {
		err = errs.E(errs.Missing, "service %s does not say to which account a request belongs", service).Next("declare spec.route.account, such as {header: X-Tenant}")
	}
	return s.Defaults(), err
}

// hasher names accounts of a service by a keyed hash; the key is made when there is none.
func (e *Engine) hasher(ctx context.Context, service string) (func(id string) string, error) {
	if e.key == nil {
		key, err := e.readKey(ctx)
		if err != nil {
			return nil, err
		}
		e.key = key
	}
	return func(id string) string {
		h := hmac.New(sha256.New, e.key)
		h.Write([]byte(service + "\x00" + id))
		return "~" + hex.EncodeToString(h.Sum(nil)[:10])
	}, nil
}

func (e *Engine) readKey(ctx context.Context) ([]byte, error) {
	var key []byte
	for range tries {
		doc, err := e.Store.Get(ctx, KindKey, keyName)
		if err == nil {
			return key, json.Unmarshal(doc.Body, &key)
		}
		if !errs.Is(err, errs.Missing) {
			return nil, err
		}
		made := make([]byte, 32)
		rand.Read(made) // never fails
		body, err := json.Marshal(made)
		if err != nil {
			return nil, err
		}
		_, err = e.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindKey, Name: keyName, Body: body}}})
		if err != nil && !errs.Is(err, errs.Conflict) {
			return nil, err
		}
	}
	return nil, errs.E(errs.Unavailable, "the key of accounts' hashes cannot be read")
}

// Asked is what is asked of the accounts of a service.
type Asked struct {
	Since   time.Duration // default 24h
	Account string        // only this one, by its name or hash
	Limit   int           // default 50
}

// Report says how the accounts of a service fared.
func (e *Engine) Report(ctx context.Context, service string, q Asked) (account.Report, error) {
	spec, err := e.spec(ctx, service)
	if err != nil {
		return account.Report{}, err
	}
	b, _, err := e.book(ctx, service)
	if err != nil {
		return account.Report{}, err
	}
	if q.Since <= 0 {
		q.Since = 24 * time.Hour
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	if q.Account != "" && b.Hashed && q.Account[0] != '~' {
		e.mu.Lock()
		name, err := e.hasher(ctx, service)
		e.mu.Unlock()
		if err != nil {
			return account.Report{}, err
		}
		q.Account = name(q.Account)
	}
	r := b.View(*spec.Customers, e.Now(), min(q.Since, account.Window), q.Account, q.Limit)
	r.Service, r.SlowOver = service, spec.Route.Account.SlowOver.String()
	return r, nil
}

// Suffered are the accounts of a service that suffered between two times while others did not; none when it counts no accounts.
func (e *Engine) Suffered(ctx context.Context, service string, from, to time.Time) ([]account.Sufferer, error) {
	spec, err := e.spec(ctx, service)
	if errs.Is(err, errs.Missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, _, err := e.book(ctx, service)
	if err != nil {
		return nil, err
	}
	return b.Suffered(*spec.Customers, from, to, 3), nil
}
