package provider

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

func user(key string, attributes map[string]any) openfeature.EvaluationContext {
	return openfeature.NewEvaluationContext(key, attributes)
}

func TestEvaluations(t *testing.T) {
	w, ctx := use(t, Options{URL: serve(t, nil).url()}), t.Context()
	ann := user("ann", map[string]any{"email": "ann@example.com"})
	on, err := w.BooleanValueDetails(ctx, "static", false, ann)
	if err != nil || !on.Value || on.Variant != "on" || on.Reason != openfeature.StaticReason || on.FlagMetadata["team"] != "web" || on.FlagMetadata["flagSetId"] != "shop" {
		t.Errorf("static: %+v %v", on, err)
	}
	if d, err := w.BooleanValueDetails(ctx, "staff", false, ann); err != nil || !d.Value || d.Reason != openfeature.TargetingMatchReason {
		t.Errorf("staff: %+v %v", d, err)
	}
	if d, err := w.BooleanValueDetails(ctx, "staff", true, user("bob", nil)); err != nil || d.Value || d.Reason != openfeature.DefaultReason || d.Variant != "off" {
		t.Errorf("staff for bob: %+v %v", d, err)
	}
	if v, err := w.StringValue(ctx, "text", "", ann); err != nil || v != "B" {
		t.Errorf("text: %v %v", v, err)
	}
	if v, err := w.StringValue(ctx, "region", "", user("ann", map[string]any{"region": "us"})); err != nil || v != "EU" {
		t.Errorf("the server's attribute does not win: %v %v", v, err)
	}
	if v, err := w.BooleanValue(ctx, "old", false, user("ann", map[string]any{"since": time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)})); err != nil || !v {
		t.Errorf("a time in the context: %v %v", v, err)
	}
	if v, err := w.FloatValue(ctx, "number", 0, ann); err != nil || v != 10 {
		t.Errorf("float: %v %v", v, err)
	}
	if v, err := w.IntValue(ctx, "number", 0, ann); err != nil || v != 10 {
		t.Errorf("int: %v %v", v, err)
	}
	for range 2 { // what is answered belongs to the caller
		v, err := w.ObjectValue(ctx, "object", nil, ann)
		if err != nil || !reflect.DeepEqual(v, map[string]any{"x": []any{1.0, "y"}}) {
			t.Fatalf("object: %v %v", v, err)
		}
		v.(map[string]any)["x"].([]any)[0] = "written"
	}
}

func TestErrorsAndCodeDefaults(t *testing.T) {
	w, ctx := use(t, Options{URL: serve(t, nil).url()}), t.Context()
	for key, want := range map[string]openfeature.ErrorCode{
		"none": openfeature.FlagNotFoundCode, "text": openfeature.TypeMismatchCode, "broken": openfeature.ParseErrorCode, "wrong": openfeature.GeneralCode,
	} {
		d, err := w.BooleanValueDetails(ctx, key, true, user("bob", map[string]any{"choice": "third"}))
		if err == nil || !d.Value || d.ErrorCode != want || d.Reason != openfeature.ErrorReason || d.ErrorMessage == "" {
			t.Errorf("%s: %+v %v, expected %s", key, d, err, want)
		}
	}
	if d, err := w.IntValueDetails(ctx, "huge", 7, openfeature.EvaluationContext{}); err == nil || d.Value != 7 || d.ErrorCode != openfeature.TypeMismatchCode {
		t.Errorf("huge: %+v %v", d, err)
	}
	for key, reason := range map[string]openfeature.Reason{"disabled": openfeature.DisabledReason, "code": openfeature.DefaultReason} {
		for _, otherwise := range []bool{true, false} {
			if d, err := w.BooleanValueDetails(ctx, key, otherwise, openfeature.EvaluationContext{}); err != nil || d.Value != otherwise || d.Variant != "" || d.Reason != reason {
				t.Errorf("%s: %+v %v", key, d, err)
			}
		}
	}
}

// A change is told with the flags that are another; a lost server makes the flags stale, and costs no evaluation.
func TestEvents(t *testing.T) {
	s := serve(t, nil)
	w := use(t, Options{URL: s.url()})
	eventually(t, "READY is not told", func() bool { return w.heard("READY") && w.State() == openfeature.ReadyState })
	write(t, s.path, switched)
	eventually(t, "the change is not told", func() bool { return w.heard("CHANGED static") })
	if w.static() {
		t.Error("the change is told and not there")
	}
	s.stop()
	eventually(t, "STALE is not told", func() bool { return w.State() == openfeature.StaleState })
	if d, err := w.BooleanValueDetails(t.Context(), "static", true, openfeature.EvaluationContext{}); err != nil || d.Value {
		t.Errorf("without the server: %+v %v", d, err)
	}
	write(t, s.path, shop)
	s.start()
	eventually(t, "READY is not told again", func() bool { return w.State() == openfeature.ReadyState && w.static() })
	if want := []string{"READY", "CHANGED static", "STALE", "READY", "CHANGED static"}; !sameEvents(w, want) {
		t.Errorf("told %v, expected %v", w.told, want)
	}
}

// sameEvents leaves the order open in which the last two are told.
func sameEvents(w *world, want []string) bool {
	same := false
	eventually(w.t, "not all is told", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.told) < len(want) {
			return false
		}
		a, b := append([]string{}, w.told...), append([]string{}, want...)
		n := len(want)
		if len(a) == n && a[n-1] == b[n-2] {
			a[n-1], a[n-2] = a[n-2], a[n-1]
		}
		same = reflect.DeepEqual(a, b)
		return true
	})
	return same
}

// With a snapshot on disk a program starts when nothing can be reached, and is up to date when it can.
func TestStartsOffline(t *testing.T) {
	s := serve(t, nil)
	path := filepath.Join(t.TempDir(), "new", "flags.json")
	first := use(t, Options{URL: s.url(), Cache: path})
	eventually(t, "nothing is kept", func() bool { _, err := os.Stat(path); return err == nil })
	if err := first.api.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	begun := time.Now()
	w := use(t, Options{URL: s.url(), Cache: path})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("starting took %v", took)
	}
	if v, err := w.StringValue(t.Context(), "region", "", openfeature.EvaluationContext{}); err != nil || v != "EU" || !w.static() {
		t.Errorf("offline: %q %v", v, err)
	}
	eventually(t, "STALE is not told", func() bool { return w.State() == openfeature.StaleState })
	write(t, s.path, switched)
	s.start()
	eventually(t, "what is new is not there", func() bool { return !w.static() && w.State() == openfeature.ReadyState && w.heard("CHANGED static") })
}

// What is kept for others, or is damaged, is not used.
func TestCacheOfOthers(t *testing.T) {
	for name, content := range map[string]string{
		"damaged": `{"document": {`, "no flags": `{"environment": "production", "document": {"flags": 1}}`, "another selector": `{"environment": "production", "selector": "flagSetId=x", "document": ` + shop + `}`,
		"another environment": `{"environment": "staging", "document": ` + shop + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "flags.json")
			write(t, path, content)
			_, err := begin(t, provide(t, Options{URL: "http://127.0.0.1:1", Cache: path, Patience: 50 * time.Millisecond}))
			if e := new(openfeature.ProviderInitError); !errors.As(err, &e) || e.ErrorCode != openfeature.ProviderNotReadyCode {
				t.Errorf("started: %v", err)
			}
		})
	}
}

// A folder that cannot be written to costs the snapshot and nothing else.
func TestCacheThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	write(t, blocked, "")
	if w := use(t, Options{URL: serve(t, nil).url(), Cache: filepath.Join(blocked, "flags.json")}); !w.static() {
		t.Error("no flags")
	}
}

// Without anything to start from, starting fails, and is made up for.
func TestStartsLate(t *testing.T) {
	s := serve(t, nil)
	s.stop()
	w, err := begin(t, provide(t, Options{URL: s.url(), Patience: 50 * time.Millisecond}))
	if err == nil || w.State() != openfeature.ErrorState {
		t.Fatalf("started without flags: %v %s", err, w.State())
	}
	if d, err := w.BooleanValueDetails(t.Context(), "static", false, openfeature.EvaluationContext{}); err == nil || d.ErrorCode != openfeature.ProviderNotReadyCode {
		t.Errorf("%+v %v", d, err)
	}
	s.start()
	eventually(t, "READY is not told", func() bool { return w.State() == openfeature.ReadyState && w.static() })
}

func TestStartIsCancelled(t *testing.T) {
	p := provide(t, Options{URL: "http://127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := p.InitWithContext(ctx, openfeature.EvaluationContext{}); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	p.Shutdown()
}

// keys knows one token.
type keys struct{}

func (keys) Check(_ context.Context, key string) (flag.Client, error) {
	if key == "right" {
		return flag.Client{Name: "it", Selector: "flagSetId=shop"}, nil
	}
	return flag.Client{}, errs.E(errs.Missing, "nobody has it")
}

func TestToken(t *testing.T) {
	s := serve(t, keys{})
	if w := use(t, Options{URL: s.url(), Token: "right", Selector: "flagSetId=shop"}); !w.static() {
		t.Error("no flags with the token")
	}
	begun := time.Now()
	w, err := begin(t, provide(t, Options{URL: s.url(), Token: "wrong"}))
	if err == nil || !strings.Contains(err.Error(), "nobody has this key") || time.Since(begun) > 5*time.Second {
		t.Errorf("with a wrong token: %v after %v", err, time.Since(begun))
	}
	if w.State() != openfeature.ErrorState {
		t.Error(w.State())
	}
}

func TestSelector(t *testing.T) {
	s := serve(t, nil)
	w := use(t, Options{URL: s.url(), Selector: "flagSetId=other"})
	if _, err := w.BooleanValue(t.Context(), "static", false, openfeature.EvaluationContext{}); err == nil {
		t.Error("a flag of another set is there")
	}
}

// A file is enough.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flags.yaml")
	text := func(value string) string {
		return "flags:\n  static:\n    state: ENABLED\n    variants: {\"on\": true, \"off\": false}\n    defaultVariant: \"" + value +
			"\"\n    owner: web\n    environments: {staging: {defaultVariant: \"off\"}}\n"
	}
	write(t, path, text("on"))
	w := use(t, Options{File: path})
	if !w.static() {
		t.Error("not on")
	}
	if staging := use(t, Options{File: path, Environment: "staging"}); staging.static() {
		t.Error("the environment's state is not taken")
	}
	write(t, path, text("off"))
	eventually(t, "the change is not told", func() bool { return w.heard("CHANGED static") && !w.static() })
	write(t, path, "flags: [")
	eventually(t, "STALE is not told", func() bool { return w.State() == openfeature.StaleState })
	if d, err := w.BooleanValueDetails(t.Context(), "static", true, openfeature.EvaluationContext{}); err != nil || d.Value {
		t.Errorf("with a damaged file: %+v %v", d, err)
	}
	write(t, path, text("on"))
	eventually(t, "READY is not told again", func() bool { return w.State() == openfeature.ReadyState && w.static() })
	begun := time.Now()
	if _, err := begin(t, provide(t, Options{File: filepath.Join(t.TempDir(), "none.json")})); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("without a file: %v after %v", err, time.Since(begun))
	}
}

// One provider may serve several domains, and come back after it was shut down.
func TestDomainsAndRestart(t *testing.T) {
	s := serve(t, nil)
	w := use(t, Options{URL: s.url()})
	if err := w.api.SetProviderAndWait(t.Context(), w.p, openfeature.WithDomain("second")); err != nil {
		t.Fatal(err)
	}
	if v, err := w.api.NewClient(openfeature.WithDomain("second")).BooleanValue(t.Context(), "static", false, openfeature.EvaluationContext{}); err != nil || !v {
		t.Errorf("second domain: %v %v", v, err)
	}
	for range 2 {
		if err := w.p.ShutdownWithContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !w.static() {
		t.Error("the last flags are gone")
	}
	write(t, s.path, switched)
	if err := w.p.InitWithContext(t.Context(), openfeature.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it does not follow again", func() bool { return !w.static() })
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"neither a URL nor a File":    {},
		"a URL and a File":            {URL: "http://127.0.0.1:8015", File: "flags.json"},
		"URL: expected an address":    {URL: "127.0.0.1:8015"},
		"by https only":               {URL: "http://flags.example.com", Token: "x"},
		"Events:":                     {File: "flags.json", Events: "ftp://x"},
		"there are 17 Attributes":     {File: "flags.json", Attributes: make([]string, 17)},
		`Events: "http://10.0.0.1:1"`: {File: "flags.json", Events: "http://10.0.0.1:1", EventsToken: "x"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, expected %s", o, err, want)
		}
	}
	t.Setenv("FLAGD_HOST", "127.0.0.1")
	t.Setenv("FLAGD_SYNC_PORT", "7402")
	if p := provide(t, Options{}); p.o.URL != "http://127.0.0.1:7402" {
		t.Error(p.o.URL)
	}
}

// What was kept can be read by whoever has the format.
func TestCacheIsWhatWasSent(t *testing.T) {
	s := serve(t, nil)
	path := filepath.Join(t.TempDir(), "flags.json")
	use(t, Options{URL: s.url(), Cache: path})
	var got struct {
		Document json.RawMessage `json:"document"`
	}
	eventually(t, "nothing is kept", func() bool {
		raw, err := os.ReadFile(path)
		return err == nil && json.Unmarshal(raw, &got) == nil
	})
	set, problems := flag.Parse(got.Document)
	if set == nil || set.Flag("share") == nil {
		t.Errorf("%s: %v", got.Document, problems)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
