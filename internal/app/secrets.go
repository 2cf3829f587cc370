package app

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/sealing"
	"github.com/ringfence/ringfence/internal/secrecy"
)

// openSecrets makes what keeps secrets, under the key in the data folder.
func (s *server) openSecrets() error {
	key, err := sealing.Open(filepath.Join(s.Data, "secret.key"))
	if err != nil {
		return err
	}
	s.secrets = secrecy.New(secrecy.Options{Store: s.store, Catalog: s.catalog, Sealer: key})
	return nil
}

// lease is how long a data plane may give instances what it was given itself, while the control plane does not answer.
const lease = 24 * time.Hour

// secretCache brings instances their secrets. What it was given it remembers, in memory alone, for a crashed instance to be started while
// the control plane is away.
type secretCache struct {
	unit    string
	control *client.Client

	mu    sync.Mutex
	known map[string]leased // by service
}

type leased struct {
	raw   []byte
	until time.Time
}

func newSecretCache(unit string, control *client.Client) *secretCache {
	return &secretCache{unit: unit, control: control, known: map[string]leased{}}
}

func (c *secretCache) get(ctx context.Context, service, version, instance string) ([]byte, error) {
	values, err := c.control.InstanceSecrets(ctx, c.unit, secrecy.Instance{Service: service, Version: version, ID: instance})
	c.mu.Lock()
	defer c.mu.Unlock()
	if errs.Is(err, errs.Unavailable) {
		if old, there := c.known[service]; there && time.Now().Before(old.until) {
			return old.raw, nil
		}
	}
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(values)
	if err == nil {
		c.known[service] = leased{raw, time.Now().Add(lease)}
	}
	return raw, err
}
