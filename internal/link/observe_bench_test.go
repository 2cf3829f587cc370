package link

import (
	"context"
	"fmt"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

// What is asked of one service costs the same however many others its unit runs.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n, " services"), func(b *testing.B) {
			h := NewHub(nil, "Desired", func() {})
			o := fleet.Observed{Unit: "local", Services: make([]fleet.ServiceStatus, n)}
			for i := range o.Services {
				o.Services[i].Name = fmt.Sprint("s", i)
			}
			if err := h.Report(context.Background(), o); err != nil {
				b.Fatal(err)
			}
			last := o.Services[n-1].Name
			for b.Loop() {
				if s, _ := h.Observe("local", last); s.Name != last {
					b.Fatal("not found")
				}
			}
		})
	}
}
