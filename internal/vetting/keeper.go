package vetting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/osv"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/supply"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Catalog holds what people declared, and releases.
type Catalog interface {
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
	Release(ctx context.Context, service, version string) (resource.Release, error)
	Resolve(ctx context.Context, service string) (resource.Resolved, error)
}

// Blobs keeps bundles.
type Blobs interface {
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
	Size(ctx context.Context, digest string) (int64, error)
}

// Checker checks bundles. Claimed is the statement in one, whoever signed it.
type Checker interface {
	Verify(bundle []byte, subject supply.Subject, signer supply.Signer) (supply.Verified, error)
	Claimed(bundle []byte) ([]byte, error)
}

// Vulnerabilities reads databases of those that are known, which are kept like artifacts, OSV's entries in a zip file. Index makes one ready, once.
type Vulnerabilities interface {
	Index(ctx context.Context, digest string) (osv.Database, error)
	Find(ctx context.Context, digest string, packages []osv.Named) ([]osv.Advisory, error)
}

// Options of a Keeper.
type Options struct {
	Store           Store
	Catalog         Catalog
	Blobs           Blobs
	Checker         Checker
	Vulnerabilities Vulnerabilities
	Running         func(ctx context.Context) ([]Running, error)
	Alerts          Alerts // nil: nobody is told
	Logger          *slog.Logger
	Every           time.Duration // between looks at what runs; default 1m
	Now             func() time.Time
}

// Keeper keeps evidence.
type Keeper struct {
	Options
	wake chan struct{}

	mu    sync.Mutex
	known map[string]checked // by signer and bundle
}

// New makes a keeper; Run watches what runs.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Keeper{Options: o, wake: make(chan struct{}, 1), known: map[string]checked{}}
}

// KindEvidence is the kind of the documents that list the bundles of an artifact, named by its digest.
const KindEvidence = "Evidence"

// The limits of evidence.
const (
	maxBundle  = 32 << 20
	maxBundles = 64
)

// Bundle is a piece of evidence.
type Bundle struct {
	Digest string    `json:"digest" doc:"sha256:… of it, kept like an artifact"`
	Type   string    `json:"type,omitempty" doc:"predicate type that it claims; empty for a signature of the artifact itself"`
	Added  time.Time `json:"added"`
	By     string    `json:"by"`
}

// Attach adds a bundle, which was put before like an artifact, to the evidence of an artifact. Doing it again changes nothing. Whether it proves
// anything is found when it is asked: who may vouch can change.
func (k *Keeper) Attach(ctx context.Context, actor, digest, bundle string) ([]Bundle, error) {
	if _, err := k.Blobs.Size(ctx, digest); err != nil {
		return nil, err
	}
	raw, err := k.read(ctx, bundle)
	if err != nil {
		return nil, err
	}
	statement, err := k.Checker.Claimed(raw)
	if err != nil {
		return nil, err
	}
	one := Bundle{Digest: bundle, Added: k.Now().UTC().Truncate(time.Microsecond), By: actor}
	if statement != nil {
		s, err := supply.ReadStatement(statement, digest)
		if err != nil {
			return nil, err
		}
		one.Type = s.PredicateType
	}
	for range 3 {
		all, rev, err := k.bundles(ctx, digest)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(b Bundle) bool { return b.Digest == bundle }) {
			return all, nil
		}
		if len(all) == maxBundles {
			return nil, errs.E(errs.Conflict, "artifact %s has %d bundles already, the most that is kept", digest, maxBundles)
		}
		all = append(all, one)
		if err = k.keep(ctx, digest, all, rev, one); !errs.Is(err, errs.Conflict) {
			return all, err
		}
	}
	return nil, errs.E(errs.Conflict, "others are adding evidence to %s at the same time, try again", digest)
}

func (k *Keeper) keep(ctx context.Context, digest string, all []Bundle, rev int64, one Bundle) error {
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	e, err := audit.New(one.Added, "artifact.attested", one.By, "artifact/"+digest, one)
	if err != nil {
		return err
	}
	_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindEvidence, Name: digest, Rev: rev, Body: body}}, Events: []audit.Event{e}})
	if err == nil {
		k.look()
	}
	return err
}

func (k *Keeper) bundles(ctx context.Context, digest string) ([]Bundle, int64, error) {
	doc, err := k.Store.Get(ctx, KindEvidence, digest)
	if errs.Is(err, errs.Missing) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var all []Bundle
	if err := json.Unmarshal(doc.Body, &all); err != nil {
		return nil, 0, errs.Wrap(errs.Internal, err, "evidence of %s", digest)
	}
	return all, doc.Rev, nil
}

// read reads a bundle, no more of it than is taken. The content is that of the digest, or reading fails.
func (k *Keeper) read(ctx context.Context, digest string) ([]byte, error) {
	in, err := k.Blobs.Open(ctx, digest)
	if errs.Is(err, errs.Missing) {
		return nil, errs.E(errs.Missing, "the bundle %s is not here", digest).Next("Upload it like an artifact before.")
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, maxBundle+1))
	if err == nil && len(raw) > maxBundle {
		err = errs.E(errs.Invalid, "the bundle has more than %d MiB", maxBundle>>20)
	}
	return raw, err
}

// checked is what came of checking a bundle for a signer, which does not change but for the clock.
type checked struct {
	verified supply.Verified
	err      error
	at       time.Time
}

// rememberFor is how long that is gone by: the validity of a key may end meanwhile.
const rememberFor = 10 * time.Second

// verify checks a bundle by the digest, and a signature of the artifact itself by its content as well: those by Ed25519 need it.
func (k *Keeper) verify(ctx context.Context, digest string, b Bundle, signer supply.Signer) (supply.Verified, error) {
	said, err := json.Marshal(signer)
	if err != nil {
		return supply.Verified{}, err
	}
	sum := sha256.Sum256(append(said, digest+b.Digest...))
	key, now := hex.EncodeToString(sum[:]), k.Now()
	k.mu.Lock()
	old, there := k.known[key]
	k.mu.Unlock()
	if there && now.Sub(old.at) < rememberFor {
		return old.verified, old.err
	}
	raw, err := k.read(ctx, b.Digest)
	if err != nil {
		return supply.Verified{}, err
	}
	c := checked{at: now}
	if c.verified, c.err = k.Checker.Verify(raw, supply.Subject{Digest: digest}, signer); b.Type == "" && errs.Is(c.err, errs.Denied) {
		c.verified, c.err = k.verifyContent(ctx, raw, digest, signer)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for old, c := range k.known {
		if now.Sub(c.at) >= rememberFor {
			delete(k.known, old)
		}
	}
	k.known[key] = c
	return c.verified, c.err
}

func (k *Keeper) verifyContent(ctx context.Context, raw []byte, digest string, signer supply.Signer) (supply.Verified, error) {
	content, err := k.Blobs.Open(ctx, digest)
	if err != nil {
		return supply.Verified{}, err
	}
	defer content.Close()
	return k.Checker.Verify(raw, supply.Subject{Content: content}, signer)
}

// KindDatabase is the kind of the document that says which database of vulnerabilities is in use.
const (
	KindDatabase = "VulnerabilityDatabase"
	currentName  = "current"
)

// Import takes a database of vulnerabilities, which was put before like an artifact, in place of the one before.
func (k *Keeper) Import(ctx context.Context, actor, digest string) (osv.Database, error) {
	db, err := k.Vulnerabilities.Index(ctx, digest)
	if err != nil {
		return db, err
	}
	was, rev, err := k.database(ctx)
	if err != nil {
		return db, err
	}
	if was != nil && was.Digest == digest {
		return *was, nil
	}
	db.By, db.Imported = actor, k.Now().UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(db)
	if err != nil {
		return db, err
	}
	e, err := audit.New(db.Imported, "vulnerabilities.imported", actor, "vulnerabilities", db)
	if err != nil {
		return db, err
	}
	_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindDatabase, Name: currentName, Rev: rev, Body: body}}, Events: []audit.Event{e}})
	if err == nil {
		k.look()
	}
	return db, err
}

// Database is the one in use, nil when none was imported.
func (k *Keeper) Database(ctx context.Context) (*osv.Database, error) {
	db, _, err := k.database(ctx)
	return db, err
}

func (k *Keeper) database(ctx context.Context) (*osv.Database, int64, error) {
	doc, err := k.Store.Get(ctx, KindDatabase, currentName)
	if errs.Is(err, errs.Missing) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	db := new(osv.Database)
	if err := json.Unmarshal(doc.Body, db); err != nil {
		return nil, 0, errs.Wrap(errs.Internal, err, "database of vulnerabilities")
	}
	return db, doc.Rev, nil
}
