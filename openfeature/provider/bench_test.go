package provider

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
)

// What an evaluation costs: the provider alone, and with all that the SDK does around it.
func BenchmarkBoolean(b *testing.B) {
	path := filepath.Join(b.TempDir(), "flags.json")
	write(b, path, shop)
	w := use(b, Options{File: path})
	about := openfeature.FlattenedContext{openfeature.TargetingKey: "ann", "email": "ann@example.com"}
	ann := openfeature.NewEvaluationContext("ann", map[string]any{"email": "ann@example.com"})
	for _, key := range []string{"static", "staff", "share"} {
		b.Run("provider/"+key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.p.BooleanEvaluation(b.Context(), key, false, about)
			}
		})
		b.Run("sdk/"+key, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.BooleanValue(b.Context(), key, false, ann)
			}
		})
	}
	glad := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer glad.Close()
	counted := use(b, Options{File: path, Events: glad.URL})
	b.Run("sdk with exposures/share", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = counted.BooleanValue(b.Context(), "share", false, ann)
		}
	})
}
