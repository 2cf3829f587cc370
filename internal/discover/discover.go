package discover

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/tsdb"
)

const (
	maxList    = 16 << 20 // bytes of a file or an answer
	maxTargets = 2000     // of one list
	askTime    = 10 * time.Second
	lookEvery  = 2 * time.Second // at a file
)

// Named is a Scrape with its name.
type Named struct {
	Name string
	Spec resource.Scrape
}

// Options of a discovery.
type Options struct {
	Files   string // folder of the files of targets
	Secrets string // folder of the files of tokens
	Client  *http.Client
	Logger  *slog.Logger
}

// Discovery finds targets.
type Discovery struct {
	Options
	mu     sync.Mutex
	lists  map[string]*list // by where they come from
	last   []tsdb.Target
	work   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

// group is what a list has, as Prometheus' file_sd and http_sd.
type group struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels"`
}

// list is what was last read of a file or an address.
type list struct {
	groups []group
	sum    [sha256.Size]byte
	next   time.Time // when to look again
	busy   bool
	failed bool
	used   bool
}

// New makes a discovery; Close ends what it does in the background.
func New(o Options) *Discovery {
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Discovery{Options: o, lists: map[string]*list{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close ends questions in flight.
func (d *Discovery) Close() {
	d.cancel()
	d.work.Wait()
}

// Targets are those of all scrapes, as known now.
func (d *Discovery) Targets(all []Named) []tsdb.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lists {
		l.used = false
	}
	var out []tsdb.Target
	for _, n := range all {
		n.Spec = n.Spec.Defaults()
		out = append(out, d.targets(n)...)
	}
	maps.DeleteFunc(d.lists, func(_ string, l *list) bool { return !l.used && !l.busy })
	d.last = out
	return out
}

// Again are the targets that were found last.
func (d *Discovery) Again() []tsdb.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *Discovery) targets(n Named) (out []tsdb.Target) {
	token := ""
	if n.Spec.TokenFile != "" {
		raw, err := os.ReadFile(filepath.Join(d.Secrets, filepath.FromSlash(n.Spec.TokenFile)))
		if err != nil {
			d.Logger.Warn("scrape: token", "scrape", n.Name, "err", err)
			return nil // without its token a target would say no
		}
		token = strings.TrimSpace(string(raw))
	}
	rules, err := rulesOf(n.Spec.Relabel)
	if err != nil {
		d.Logger.Warn("scrape: relabel", "scrape", n.Name, "err", err)
		return nil
	}
	for _, s := range n.Spec.Static {
		out = append(out, expand(n, group(s), rules, token)...)
	}
	for _, f := range n.Spec.Files {
		for _, g := range d.list("file "+f, lookEvery, func(context.Context) ([]byte, error) { return d.readFile(f) }, true) {
			out = append(out, expand(n, g, rules, token)...)
		}
	}
	for _, h := range n.Spec.HTTP {
		for _, g := range d.list("http "+h.URL, h.Every.D(time.Minute), func(ctx context.Context) ([]byte, error) { return d.ask(ctx, h.URL) }, false) {
			out = append(out, expand(n, g, rules, token)...)
		}
	}
	return out
}

// list is what is known of a list. When it is time a look is taken: at once when it is quick, else in the background.
func (d *Discovery) list(key string, every time.Duration, get func(context.Context) ([]byte, error), quick bool) []group {
	l := d.lists[key]
	if l == nil {
		l = &list{}
		d.lists[key] = l
	}
	l.used = true
	if l.busy || time.Now().Before(l.next) {
		return l.groups
	}
	l.next = time.Now().Add(every)
	if quick {
		raw, err := get(d.ctx)
		d.take(l, key, raw, err)
		return l.groups
	}
	l.busy = true
	d.work.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, askTime)
		defer cancel()
		raw, err := get(ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		l.busy = false
		if d.ctx.Err() == nil {
			d.take(l, key, raw, err)
		}
	})
	return l.groups
}

// take makes raw the list, unless it is none.
func (d *Discovery) take(l *list, key string, raw []byte, err error) {
	sum := sha256.Sum256(raw)
	if err == nil && sum == l.sum && !l.failed {
		return
	}
	var groups []group
	if err == nil {
		groups, err = parse(raw)
	}
	if err != nil {
		if !l.failed {
			d.Logger.Warn("scrape: targets stay as they were", "from", key, "err", err)
		}
		l.failed = true
		return
	}
	l.groups, l.sum, l.failed = groups, sum, false
}

// parse reads a list in JSON or YAML.
func parse(raw []byte) ([]group, error) {
	var groups []group
	if err := yaml.Unmarshal(raw, &groups); err != nil {
		return nil, err
	}
	n := 0
	for _, g := range groups {
		for _, t := range g.Targets {
			if t == "" || len(t) > 300 {
				return nil, fmt.Errorf("target %.100q: expected host and port", t)
			}
			n++
		}
	}
	if n > maxTargets {
		return nil, fmt.Errorf("%d targets, expected at most %d", n, maxTargets)
	}
	return groups, nil
}

func (d *Discovery) readFile(name string) ([]byte, error) {
	root, err := os.OpenRoot(d.Files) // nothing outside of the folder, by links either
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f)
}

func (d *Discovery) ask(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ringfence")
	resp, err := d.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s, expected 200", resp.Status)
	}
	return limited(resp.Body)
}

func limited(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err == nil && len(raw) > maxList {
		err = fmt.Errorf("larger than %d MiB", maxList>>20)
	}
	return raw, err
}
