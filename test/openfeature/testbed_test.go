package openfeature

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cucumber/godog"
	of "github.com/open-feature/go-sdk/openfeature"
)

// TestTestbed runs those scenarios of a checkout of flagd-testbed that are about what a server answers, through each provider:
//
//	RINGFENCE_TESTBED=DIR go test -run TestTestbed .
//
// Those of other buckets than the file is served with, those about a provider's own options, and what one of the providers cannot do (context from the
// server in-process and by OFREP, events and answers without a value by OFREP), are left out.
func TestTestbed(t *testing.T) {
	dir := os.Getenv("RINGFENCE_TESTBED")
	if dir == "" {
		t.Skip("RINGFENCE_TESTBED names no checkout of flagd-testbed")
	}
	files, err := filepath.Glob(filepath.Join(dir, "flags", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no flags in %s: %v", dir, err)
	}
	s := &server{t: t, dir: t.TempDir(), args: []string{"flags", "serve", "--context-value", "injectedmetadata=set"}}
	s.write("all.json", together(t, files))
	s.args = append(s.args, "--uri", "file:"+s.path("all.json"))
	s.start()
	t.Cleanup(s.stop)
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			tags := map[string]string{"flagd rpc": "@rpc", "flagd in-process": "@in-process && ~@contextEnrichment", "ofrep": "@rpc && ~@events && ~@contextEnrichment && ~@no-default-variant"}[name]
			w := world{t: t, server: s, client: client(t, provider(t, s))}
			suite := godog.TestSuite{Name: name, ScenarioInitializer: w.steps, Options: &godog.Options{
				Format: "progress", TestingT: t, Strict: true, Output: os.Stderr,
				Paths: []string{filepath.Join(dir, "gherkin", "evaluation.feature"), filepath.Join(dir, "gherkin", "targeting.feature"), filepath.Join(dir, "gherkin", "disabled.feature"),
					filepath.Join(dir, "gherkin", "events.feature"), filepath.Join(dir, "gherkin", "contextEnrichment.feature")},
				Tags: tags + " && ~@fractional-v1 && ~@fractional-v3 && ~@deprecated && ~@grace",
			}}
			if status := suite.Run(); status != 0 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// together is one document of several, which use each other's evaluators. Those of the selector's scenarios are another set's.
func together(t *testing.T, files []string) string {
	all := map[string]map[string]any{"flags": {}, "$evaluators": {}}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "selector-") {
			continue
		}
		raw, err := os.ReadFile(file)
		var one map[string]any
		if err == nil {
			err = json.Unmarshal(raw, &one)
		}
		if err != nil {
			t.Fatal(file, err)
		}
		for field, into := range all {
			from, _ := one[field].(map[string]any)
			maps.Copy(into, from)
		}
	}
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// world is what a scenario is about.
type world struct {
	t      *testing.T
	server *server
	client *of.Client

	kind, key, fallback string
	targetingKey        string
	attributes          map[string]any
	value               any
	details             of.EvaluationDetails
	events              map[string]chan of.EventDetails
}

func (w *world) steps(sc *godog.ScenarioContext) {
	sc.Before(func(ctx context.Context, _ *godog.Scenario) (context.Context, error) {
		w.attributes, w.targetingKey, w.events = map[string]any{}, "", map[string]chan of.EventDetails{}
		return ctx, nil
	})
	sc.Step(`^an option "([^"]*)" of type "[^"]*" with value "[^"]*"$`, func(name string) error {
		if name == "selector" { // TestSelector has that
			return godog.ErrSkip
		}
		return nil
	})
	sc.Step(`^a (?:stable|metadata|syncpayload) flagd provider$`, func() {})
	sc.Step(`^a (\w+)-flag with key "([^"]*)" and a default value "([^"]*)"$`, func(kind, key, fallback string) { w.kind, w.key, w.fallback = kind, key, fallback })
	sc.Step(`^a context containing a targeting key with value "([^"]*)"$`, func(key string) { w.targetingKey = key })
	sc.Step(`^a context containing a key "([^"]*)", with type "([^"]*)" and with value "([^"]*)"$`, func(key, kind, text string) error {
		v, err := typed(kind, text)
		w.attributes[key] = v
		return err
	})
	sc.Step(`^a context containing a nested property with outer key "([^"]*)" and inner key "([^"]*)", with value "([^"]*)"$`, func(outer, inner, text string) {
		w.attributes[outer] = map[string]any{inner: text}
	})
	sc.Step(`^the flag was evaluated with details$`, w.evaluate)
	sc.Step(`^the resolved details value should be "(.*)"$`, w.valueIs)
	sc.Step(`^the reason should be "([^"]*)"$`, func(want string) error { return same(string(w.details.Reason), want) })
	sc.Step(`^the variant should be "([^"]*)"$`, func(want string) error { return same(w.details.Variant, want) })
	sc.Step(`^the error-code should be "([^"]*)"$`, func(want string) error { return same(string(w.details.ErrorCode), want) })
	sc.Step(`^a (\w+) event handler$`, w.listen)
	sc.Step(`^a (\w+) event was fired$`, w.fired)
	sc.Step(`^the (\w+) event handler should have been executed(?: within \d+ms)?$`, w.fired)
	sc.Step(`^the connection is lost for (\d+)s$`, func(seconds int) {
		w.server.stop()
		time.Sleep(time.Duration(seconds) * time.Second) // it is lost that long
		w.server.start()
	})
	sc.Step(`^the flag was modified$`, w.modify)
	sc.Step(`^the flag should be part of the event payload$`, func() error {
		if !slices.Contains(w.details.FlagMetadata["changed"].([]string), w.key) {
			return fmt.Errorf("changed: %v", w.details.FlagMetadata["changed"])
		}
		return nil
	})
}

func same(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

// typed is a value as the table has it.
func typed(kind, text string) (any, error) {
	switch kind {
	case "Boolean":
		return strconv.ParseBool(text)
	case "Integer", "Long":
		return strconv.ParseInt(text, 10, 64)
	case "Float", "Double":
		return strconv.ParseFloat(text, 64)
	case "Object":
		var v any
		err := json.Unmarshal([]byte(strings.ReplaceAll(text, `\"`, `"`)), &v)
		return v, err
	}
	return text, nil
}

func (w *world) evaluate(ctx context.Context) error {
	fallback, err := typed(w.kind, w.fallback)
	if err != nil {
		return err
	}
	about := of.NewEvaluationContext(w.targetingKey, w.attributes)
	switch v := fallback.(type) {
	case bool:
		d, _ := w.client.BooleanValueDetails(ctx, w.key, v, about) // the details say what is wrong
		w.value, w.details = d.Value, d.EvaluationDetails
	case int64:
		d, _ := w.client.IntValueDetails(ctx, w.key, v, about)
		w.value, w.details = d.Value, d.EvaluationDetails
	case float64:
		d, _ := w.client.FloatValueDetails(ctx, w.key, v, about)
		w.value, w.details = d.Value, d.EvaluationDetails
	case string:
		d, _ := w.client.StringValueDetails(ctx, w.key, v, about)
		w.value, w.details = d.Value, d.EvaluationDetails
	default:
		d, _ := w.client.ObjectValueDetails(ctx, w.key, v, about)
		w.value, w.details = d.Value, d.EvaluationDetails
	}
	return nil
}

func (w *world) valueIs(text string) error {
	want, err := typed(w.kind, text)
	if err == nil && !reflect.DeepEqual(w.value, want) {
		err = fmt.Errorf("got %#v, want %#v (%+v)", w.value, want, w.details)
	}
	return err
}

var eventTypes = map[string]of.EventType{"ready": of.ProviderReady, "error": of.ProviderError, "stale": of.ProviderStale, "change": of.ProviderConfigChange}

func (w *world) listen(kind string) {
	told := make(chan of.EventDetails, 100)
	w.events[kind] = told
	callback := func(d of.EventDetails) { told <- d }
	w.client.AddHandler(eventTypes[kind], &callback)
	w.t.Cleanup(func() { w.client.RemoveHandler(eventTypes[kind], &callback) })
}

func (w *world) fired(kind string) error {
	select {
	case d := <-w.events[kind]:
		w.details.FlagMetadata = of.FlagMetadata{"changed": d.FlagChanges}
		return nil
	case <-time.After(15 * time.Second):
		return fmt.Errorf("no %s event", kind)
	}
}

// modify turns the default of the flag that is made for it.
func (w *world) modify() error {
	const name = "all.json"
	raw, err := os.ReadFile(w.server.path(name))
	if err != nil {
		return err
	}
	var all map[string]map[string]map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	f := all["flags"]["changing-flag"]
	f["defaultVariant"] = map[any]string{"foo": "bar"}[f["defaultVariant"]]
	if f["defaultVariant"] == "" {
		f["defaultVariant"] = "foo"
	}
	if raw, err = json.Marshal(all); err == nil {
		w.server.write(name, string(raw))
	}
	return err
}
