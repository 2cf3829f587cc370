package openfeature

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	flagd "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	of "github.com/open-feature/go-sdk/openfeature"
)

// kinds are the providers: how each is made for a server.
var kinds = map[string]func(t *testing.T, s *server, options ...flagd.ProviderOption) of.FeatureProvider{
	"flagd rpc": func(t *testing.T, s *server, options ...flagd.ProviderOption) of.FeatureProvider {
		return flagdProvider(t, append(options, flagd.WithRPCResolver(), flagd.WithHost("127.0.0.1"), flagd.WithPort(s.ports[0]))...)
	},
	"flagd in-process": func(t *testing.T, s *server, options ...flagd.ProviderOption) of.FeatureProvider {
		return flagdProvider(t, append(options, flagd.WithInProcessResolver(), flagd.WithHost("127.0.0.1"), flagd.WithPort(s.ports[2]))...)
	},
	"ofrep": func(_ *testing.T, s *server, _ ...flagd.ProviderOption) of.FeatureProvider {
		return ofrep.NewProvider(fmt.Sprintf("http://127.0.0.1:%d", s.ports[3]))
	},
}

func flagdProvider(t *testing.T, options ...flagd.ProviderOption) of.FeatureProvider {
	t.Helper()
	p, err := flagd.NewProvider(append(options, flagd.WithLogger(logr.Discard()), flagd.WithRetryBackoffMs(100), flagd.WithRetryBackoffMaxMs(200))...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProviders(t *testing.T) {
	s := serve(t)
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			c, ctx := client(t, provider(t, s)), t.Context()
			staff := of.NewEvaluationContext("carol", map[string]any{"email": "carol@example.com"})
			guest := of.NewEvaluationContext("bob", map[string]any{"email": "bob@example.org"})
			on, err := c.BooleanValueDetails(ctx, "on", false, guest)
			if err != nil || !on.Value || on.Variant != "on" || on.Reason != of.StaticReason || on.FlagMetadata["team"] != "web" || on.FlagMetadata["flagSetId"] != "shop" {
				t.Errorf("boolean: %+v %v", on, err)
			}
			for who, want := range map[*of.EvaluationContext]string{&staff: "b", &guest: "a"} {
				if text, err := c.StringValueDetails(ctx, "text", "", *who); err != nil || text.Value != want || (text.Reason == of.TargetingMatchReason) != (want == "b") {
					t.Errorf("text for %s: %+v %v", who.TargetingKey(), text, err)
				}
			}
			if n, err := c.IntValue(ctx, "whole", 0, guest); err != nil || n != 10 {
				t.Errorf("int: %v %v", n, err)
			}
			if f, err := c.FloatValue(ctx, "part", 0, guest); err != nil || f != 0.5 {
				t.Errorf("float: %v %v", f, err)
			}
			if o, err := c.ObjectValue(ctx, "object", nil, guest); err != nil || !reflect.DeepEqual(o, map[string]any{"x": "y", "n": 3.0}) {
				t.Errorf("object: %v %v", o, err)
			}
			if _, err := c.BooleanValueDetails(ctx, "none", true, guest); err == nil || !strings.Contains(err.Error(), string(of.FlagNotFoundCode)) {
				t.Errorf("none: %v", err)
			}
			if d, err := c.BooleanValueDetails(ctx, "text", true, guest); err == nil || d.ErrorCode != of.TypeMismatchCode {
				t.Errorf("another type: %+v %v", d, err)
			}
		})
	}
}

// Flags that have no value leave the choice to the default in the code. OFREP's provider takes them so, too.
func TestCodeDefaults(t *testing.T) {
	s := serve(t)
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			c := client(t, provider(t, s))
			for _, key := range []string{"disabled", "code"} {
				for _, fallback := range []bool{true, false} {
					if v, _ := c.BooleanValue(t.Context(), key, fallback, of.NewEvaluationContext("x", nil)); v != fallback {
						t.Errorf("%s: %v instead of the code's default", key, v)
					}
				}
			}
		})
	}
}

// Everyone is in the same share, whoever evaluates.
func TestSameShares(t *testing.T) {
	s := serve(t)
	seen := map[string][]string{}
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			c := client(t, provider(t, s))
			for i := range 200 {
				d, err := c.BooleanValueDetails(t.Context(), "share", false, of.NewEvaluationContext(fmt.Sprint("user-", i), nil))
				if err != nil {
					t.Fatal(err)
				}
				seen[name] = append(seen[name], d.Variant)
			}
		})
	}
	first := seen["ofrep"]
	if n := strings.Count(strings.Join(first, " "), "on"); n < 60 || n > 140 {
		t.Errorf("%d of 200 in a half", n)
	}
	for name, variants := range seen {
		if !reflect.DeepEqual(variants, first) {
			t.Errorf("%s puts users into other shares than OFREP", name)
		}
	}
}

// A change is there for everyone soon, and providers that listen tell of it.
func TestChanges(t *testing.T) {
	s := serve(t)
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			s.write("flags.json", flags)
			c := client(t, provider(t, s))
			eventually(t, "the first flags are not there", func() bool { v, _ := c.BooleanValue(t.Context(), "on", false, of.EvaluationContext{}); return v })
			var told atomic.Int64
			callback := func(d of.EventDetails) {
				if slices.Contains(d.FlagChanges, "on") && !slices.Contains(d.FlagChanges, "whole") {
					told.Add(1)
				}
			}
			c.AddHandler(of.ProviderConfigChange, &callback)
			s.write("flags.json", strings.Replace(flags, `"defaultVariant": "on", "metadata"`, `"defaultVariant": "off", "metadata"`, 1))
			eventually(t, "the change is not there", func() bool { v, _ := c.BooleanValue(t.Context(), "on", true, of.EvaluationContext{}); return !v })
			if name != "ofrep" {
				eventually(t, "the change was not told", func() bool { return told.Load() > 0 })
			}
		})
	}
}

// Providers survive a restart of the server.
func TestRestart(t *testing.T) {
	for name, provider := range kinds {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			c := client(t, provider(t, s))
			s.stop()
			s.write("flags.json", strings.Replace(flags, `"defaultVariant": "on", "metadata"`, `"defaultVariant": "off", "metadata"`, 1))
			s.start()
			eventually(t, "the provider does not come again", func() bool {
				v, err := c.BooleanValue(t.Context(), "on", true, of.EvaluationContext{})
				return err == nil && !v
			})
		})
	}
}

func TestSelector(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"flagd rpc", "flagd in-process"} {
		t.Run(name, func(t *testing.T) {
			c := client(t, kinds[name](t, s, flagd.WithSelector("source="+s.path("second.json"))))
			if v, err := c.StringValue(t.Context(), "only", "", of.EvaluationContext{}); err != nil || v != "second" {
				t.Errorf("%q %v", v, err)
			}
			if _, err := c.BooleanValue(t.Context(), "on", false, of.EvaluationContext{}); err == nil {
				t.Error("a flag of another source is there")
			}
		})
	}
}
