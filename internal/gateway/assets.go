package gateway

import (
	"container/list"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	maxAsset         = 4 << 20 // bytes of one file
	maxAssetName     = 1024
	assetOverhead    = 512 // counted for each file besides its bytes
	defaultKeep      = 24 * time.Hour
	defaultKeepBytes = 64 << 20

	// keptFrom says which version an asset is of, where that is not the one that was asked.
	keptFrom = "Ringfence-Asset-Version"
)

// assets are copies of the static files that versions of a service have answered with, least lately used last. A page that is open asks
// for the files of the version that it came from, also when that version is gone.
type assets struct {
	paths []string
	keep  time.Duration
	most  int64

	mu    sync.Mutex
	size  int64
	files map[string]*list.Element
	order list.List // of *asset
}

// asset is one file, as the last version that had it answered with it.
type asset struct {
	name, version string
	header        http.Header
	body          []byte
	used          time.Time
}

func (a *asset) size() int64 { return int64(len(a.body)+len(a.name)) + assetOverhead }

// assetsFor keeps what is there while the rule is the same.
func assetsFor(rule *fleet.Assets, was *assets) *assets {
	if rule == nil {
		return nil
	}
	is := &assets{paths: rule.Paths, keep: rule.Keep.D(defaultKeep), most: rule.MaxBytes, files: map[string]*list.Element{}}
	if is.most <= 0 {
		is.most = defaultKeepBytes
	}
	if was != nil && slices.Equal(was.paths, is.paths) && was.keep == is.keep && was.most == is.most {
		return was
	}
	return is
}

// covers reports whether a request is for a static file.
func (a *assets) covers(r *http.Request) bool {
	if a == nil || r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header["Authorization"] != nil || len(r.RequestURI) > maxAssetName || strings.Contains(r.URL.Path, "/.") {
		return false
	}
	return slices.ContainsFunc(a.paths, func(p string) bool { return strings.HasPrefix(r.URL.Path, p) })
}

// find returns the copy of a file, nil when there is none that the client takes.
func (a *assets) find(r *http.Request, now time.Time) *asset {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.files[r.RequestURI]
	if e == nil {
		return nil
	}
	f := e.Value.(*asset)
	if now.Sub(f.used) > a.keep {
		a.drop(e)
		return nil
	}
	if coding := f.header.Get("Content-Encoding"); coding != "" && !hasToken(strings.Join(r.Header["Accept-Encoding"], ","), coding) {
		return nil
	}
	a.order.MoveToFront(e)
	f.used = now
	return f
}

// has reports whether there is a copy of a version's file, and notes that the file was asked for.
func (a *assets) has(name, version string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.files[name]
	if e == nil || e.Value.(*asset).version != version {
		return false
	}
	a.order.MoveToFront(e)
	e.Value.(*asset).used = now
	return true
}

func (a *assets) put(f *asset) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.files[f.name]; e != nil {
		a.drop(e)
	}
	if f.size() > a.most {
		return
	}
	a.files[f.name] = a.order.PushFront(f)
	for a.size += f.size(); a.size > a.most; {
		a.drop(a.order.Back())
	}
}

func (a *assets) drop(e *list.Element) {
	f := a.order.Remove(e).(*asset)
	delete(a.files, f.name)
	a.size -= f.size()
}

// keepable reports whether an answer may be kept for others: it is whole, and says nothing of who asked.
func (h *response) keepable(r *http.Request) bool {
	if h.code != http.StatusOK || r.Method != http.MethodGet || h.length > maxAsset {
		return false
	}
	for _, f := range h.fields {
		switch f.key {
		case "Set-Cookie", "Content-Range":
			return false
		case "Vary":
			if !strings.EqualFold(strings.TrimSpace(f.value), "Accept-Encoding") {
				return false
			}
		case "Cache-Control":
			if v := strings.ToLower(f.value); strings.Contains(v, "private") || strings.Contains(v, "no-store") {
				return false
			}
		}
	}
	return true
}

// teed is an answer that is kept while it is passed on.
type teed struct {
	http.ResponseWriter
	body []byte
	over bool // it is too long to be kept
}

func (w *teed) Write(b []byte) (int, error) {
	if w.over = w.over || len(w.body)+len(b) > maxAsset; !w.over {
		w.body = append(w.body, b...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets a ResponseController find what it controls.
func (w *teed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// copyAsset passes a static file on and keeps it, unless it is kept already.
func (t *turn) copyAsset() error {
	x, h := t.x, &t.c.head
	a := x.rt.assets
	version := x.last.version.name
	if !h.keepable(x.r) || a.has(x.r.RequestURI, version, x.start) {
		return t.copyBody()
	}
	w := &teed{ResponseWriter: x.w}
	x.w = w
	err := t.copyBody()
	x.w = w.ResponseWriter
	if err == nil && !w.over {
		kept := http.Header{}
		h.header(kept)
		for _, k := range []string{"Date", "Age", "Content-Length"} {
			kept.Del(k)
		}
		a.put(&asset{name: x.r.RequestURI, version: version, header: kept, body: w.body, used: x.start})
	}
	return err
}

// fromBefore answers with the copy of a file that the version which was asked does not have. It reports whether there was one.
func (t *turn) fromBefore() bool {
	x, c, h := t.x, t.c, &t.c.head
	if h.code != http.StatusNotFound && h.code != http.StatusGone {
		return false
	}
	f := x.rt.assets.find(x.r, x.start)
	if f == nil || f.version == x.last.version.name {
		return false
	}
	if h.length >= 0 && int64(c.br.Buffered()) == h.length && !h.bodyless(x.r.Method) || h.bodyless(x.r.Method) && c.br.Buffered() == 0 {
		_, _ = c.br.Discard(c.br.Buffered())
		t.keep = !h.close // what was answered is read: the connection is sound
	}
	dst := x.w.Header()
	for k, vs := range f.header {
		dst[k] = slices.Clone(vs)
	}
	dst.Set(keptFrom, f.version)
	x.begin()
	x.w.WriteHeader(http.StatusOK)
	x.code = http.StatusOK
	if x.r.Method == http.MethodGet {
		n, err := x.w.Write(f.body)
		x.log.out += int64(n)
		x.cut = err != nil
	}
	return true
}
