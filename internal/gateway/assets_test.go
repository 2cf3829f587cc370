package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// static is a version whose only file carries its name.
func static(version string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/assets/app-"+version+".js" {
			http.Error(w, "there is no "+r.URL.Path+" in "+version, http.StatusNotFound)
			return
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Etag", `"`+version+`"`)
		fmt.Fprintf(w, "console.log(%q)", version)
	}
}

func withAssets(exposed string, a fleet.Assets) fleet.Service {
	return shop(func(s *fleet.Service) { s.Exposure, s.Route.Assets = []string{exposed}, &a })
}

// A page that is open gets the files of its own version, also when that version is gone.
func TestOpenPagesKeepTheirAssets(t *testing.T) {
	r := newRig(t, Options{})
	rule := fleet.Assets{Paths: []string{"/assets/"}}
	r.apply(withAssets("v1", rule))
	old := r.backend("v1", static("v1"))
	if res, _ := r.get("/assets/app-v1.js"); res.StatusCode != 200 || res.Header.Get(keptFrom) != "" {
		t.Fatal(res.Status, res.Header)
	}
	r.backend("v2", static("v2"))
	r.apply(withAssets("v2", rule))
	r.ready("v1")
	old.Close()
	for range 3 { // on connections that were used before, too
		res, body := r.get("/assets/app-v1.js")
		if res.StatusCode != 200 || body != `console.log("v1")` || res.Header.Get(keptFrom) != "v1" || res.Header.Get("Content-Type") != "text/javascript" || res.Header.Get("Etag") != `"v1"` || len(res.Header["Date"]) != 1 {
			t.Fatal(res.Status, body, res.Header)
		}
		if res, body := r.get("/assets/app-v2.js"); res.StatusCode != 200 || body != `console.log("v2")` || res.Header.Get(keptFrom) != "" {
			t.Fatal(res.Status, body)
		}
	}
	if res, body := r.do("HEAD", "/assets/app-v1.js", nil); res.StatusCode != 200 || body != "" {
		t.Error(res.Status, body)
	}
	for path, header := range map[string][]string{"/assets/app-v0.js": nil, "/app-v1.js": nil, "/assets/../assets/app-v1.js": nil} {
		if res, _ := r.get(path, header...); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if res, _ := r.get("/assets/app-v1.js", "Authorization", "Bearer x"); res.StatusCode != http.StatusNotFound {
		t.Errorf("asked for by somebody in particular: %s", res.Status)
	}
	if res, _ := r.do("POST", "/assets/app-v1.js", strings.NewReader("x")); res.StatusCode != http.StatusNotFound {
		t.Errorf("POST: %s", res.Status)
	}
}

func TestWhatIsNotKept(t *testing.T) {
	rule := fleet.Assets{Paths: []string{"/assets/"}, MaxBytes: 8 << 20}
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc
		request []string
		kept    bool
	}{
		"plain":              {static("v1"), nil, true},
		"cacheable":          {static("v1", "Cache-Control", "public, max-age=31536000, immutable", "Vary", "Accept-Encoding"), nil, true},
		"private":            {static("v1", "Cache-Control", "max-age=60, Private"), nil, false},
		"no-store":           {static("v1", "Cache-Control", "no-store"), nil, false},
		"a cookie":           {static("v1", "Set-Cookie", "a=b"), nil, false},
		"by cookie":          {static("v1", "Vary", "Cookie"), nil, false},
		"packed, not taken":  {static("v1", "Content-Encoding", "br"), []string{"Accept-Encoding", "gzip"}, false},
		"packed, taken":      {static("v1", "Content-Encoding", "br"), []string{"Accept-Encoding", "gzip, br"}, true},
		"too large":          {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", maxAsset+1)) }, nil, false},
		"as large as may be": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", maxAsset)) }, nil, true},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "x")
			panic(http.ErrAbortHandler)
		}, nil, false},
		"in pieces": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "a")
			_ = http.NewResponseController(w).Flush()
			fmt.Fprint(w, "b")
		}, nil, true},
		"an error of its own": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.apply(withAssets("v1", rule))
			r.backend("v1", tt.answer)
			req, _ := http.NewRequest("GET", r.url+"/assets/app-v1.js", nil)
			req.Header.Set("Accept-Encoding", "br")
			if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
				for b := make([]byte, 1<<16); err == nil; {
					_, err = res.Body.Read(b)
				}
				res.Body.Close()
			}
			r.backend("v2", static("v2"))
			r.apply(withAssets("v2", rule))
			if res, _ := r.get("/assets/app-v1.js", tt.request...); (res.StatusCode == 200) != tt.kept {
				t.Errorf("%s, kept shall be %v", res.Status, tt.kept)
			}
		})
	}
}

// Copies are bounded in bytes and in time.
func TestAssetsAreBounded(t *testing.T) {
	now := time.Now()
	a := assetsFor(&fleet.Assets{Paths: []string{"/a/"}, MaxBytes: 10_000, Keep: fleet.Dur(time.Hour)}, nil)
	if assetsFor(&fleet.Assets{Paths: []string{"/a/"}, MaxBytes: 10_000, Keep: fleet.Dur(time.Hour)}, a) != a {
		t.Error("the same rule forgets what is there")
	}
	ask := func(n int) *asset {
		return a.find(&http.Request{RequestURI: fmt.Sprint("/a/", n)}, now)
	}
	for n := range 100 {
		a.put(&asset{name: fmt.Sprint("/a/", n), version: "v1", body: make([]byte, 1000), used: now})
		if n >= 3 && ask(1) == nil {
			t.Fatal("what is asked for goes first")
		}
	}
	if a.size > 10_000 || len(a.files) != a.order.Len() || len(a.files) != 6 || ask(50) != nil || ask(99) == nil {
		t.Errorf("%d bytes of %d files", a.size, len(a.files))
	}
	a.put(&asset{name: "/a/99", version: "v2", body: make([]byte, 20_000), used: now})
	if ask(99) != nil {
		t.Error("a file larger than all may be")
	}
	now = now.Add(2 * time.Hour)
	if ask(1) != nil {
		t.Error("it was kept for longer than it shall be")
	}
}
