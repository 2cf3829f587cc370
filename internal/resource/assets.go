package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

func (p *problems) assets(r *fleet.Route) {
	a := r.Assets
	if a == nil {
		return
	}
	at := "spec.route.assets"
	for i, folder := range a.Paths {
		ok := len(folder) > 1 && strings.HasSuffix(folder, "/")
		p.need(ok, item(at+".paths", i), "a folder such as /assets/", "got %q", clip(folder))
		if ok {
			p.urlPath(strings.TrimSuffix(folder, "/"), item(at+".paths", i), false)
		}
		p.need(slices.Index(a.Paths, folder) == i, item(at+".paths", i), "each once", "%q stands twice", clip(folder))
	}
	p.need(r.Protocol != "h2c", at, "a service that speaks http", "stands next to protocol h2c")
	p.within(a.Keep, 30*24*time.Hour, at+".keep")
}
