package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The folder assets/vendor is filled by `make assets` and may be absent.
//
//go:embed assets templates
var embedded embed.FS

const assetPrefix = "/ui/assets/"

// files serves scripts and styles under addresses that change with their content, and so may be kept for ever.
type files struct{ by map[string]*file }

type file struct {
	body  []byte
	tag   string
	media string
	once  sync.Once
	small []byte
}

func readFiles() (*files, error) {
	all := &files{map[string]*file{}}
	return all, fs.WalkDir(embedded, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		media := mime.TypeByExtension(path.Ext(name))
		if path.Ext(name) == ".js" {
			media = "text/javascript; charset=utf-8"
		}
		all.by[strings.TrimPrefix(name, "assets/")] = &file{body: body, tag: hex.EncodeToString(sum[:8]), media: media}
		return nil
	})
}

// url is where a file is to be had; "" when it is not here.
func (f *files) url(name string) string {
	if a := f.by[name]; a != nil {
		return assetPrefix + name + "?v=" + a.tag
	}
	return ""
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, assetPrefix)
	if r.URL.Path == "/favicon.ico" {
		name = "logo.svg"
	}
	a := f.by[name]
	if a == nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.media)
	h.Set("ETag", `"`+a.tag+`"`)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "public, max-age=3600")
	if r.URL.Query().Get("v") == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+a.tag+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped()
	}
	_, _ = w.Write(body)
}

func (a *file) gzipped() []byte {
	a.once.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = z.Write(a.body)
		_ = z.Close()
		a.small = b.Bytes()
	})
	return a.small
}
