package blob

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
)

// Source brings an artifact from where it is kept.
type Source func(ctx context.Context, digest string) (io.ReadCloser, error)

// Cache has artifacts at hand where they run.
type Cache struct {
	store  *Store
	source Source
	limit  int64

	mu     sync.Mutex
	flying map[string]*flight
}

// flight is a download that several callers may wait for. It goes on while at least one of them does.
type flight struct {
	done    chan struct{}
	err     error
	waiting int
	cancel  context.CancelFunc
}

// DefaultLimit is the largest artifact when nothing else is said.
const DefaultLimit = 2 << 30

// NewCache makes a cache in store that fetches artifacts of at most limit bytes from source; 0 means DefaultLimit.
func NewCache(store *Store, source Source, limit int64) *Cache {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Cache{store: store, source: source, limit: limit, flying: map[string]*flight{}}
}

// Fetch returns the path of the artifact, downloading it first when it is not here, and checks its content against the
// digest in either case: what is about to run is what was released. A damaged file is fetched anew.
func (c *Cache) Fetch(ctx context.Context, digest string) (string, error) {
	path, err := c.store.Path(digest)
	if err != nil {
		return "", err
	}
	if err := c.store.Verify(ctx, digest); err == nil {
		return path, nil
	} else if ctx.Err() != nil {
		return "", ctx.Err()
	}
	f := c.join(ctx, digest)
	select {
	case <-f.done:
		c.leave(digest, f)
		return path, f.err
	case <-ctx.Done():
		c.leave(digest, f)
		return "", ctx.Err()
	}
}

// join starts a download of digest, or takes part in the one under way. The download does not end with the caller who
// happened to start it.
func (c *Cache) join(ctx context.Context, digest string) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flying[digest]; ok {
		f.waiting++
		return f
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), waiting: 1, cancel: cancel}
	c.flying[digest] = f
	go func() {
		f.err = c.download(own, digest)
		c.mu.Lock()
		if c.flying[digest] == f {
			delete(c.flying, digest)
		}
		c.mu.Unlock()
		close(f.done)
		cancel()
	}()
	return f
}

// leave ends a download that nobody waits for any more.
func (c *Cache) leave(digest string, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	if c.flying[digest] == f {
		delete(c.flying, digest)
	}
	f.cancel()
}

func (c *Cache) download(ctx context.Context, digest string) error {
	r, err := c.source(ctx, digest)
	if err != nil {
		return fmt.Errorf("fetch artifact %s: %w", digest, err)
	}
	defer r.Close()
	if _, _, err = c.store.put(ctx, r, c.limit, digest); err != nil {
		if errs.Is(err, errs.Internal) {
			return errs.Wrap(errs.Unavailable, err, "fetch artifact %s", digest)
		}
		return err
	}
	return nil
}
