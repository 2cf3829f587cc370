package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/ringfence/ringfence/bench/child"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// drainLimit is what a switch waits for requests of the old version.
const drainLimit = 30 * time.Second

// serveRingfence runs the gateway as the data plane does. POST /swap?to=VERSION&at=ADDRESS at the control address switches all
// rings to a version and answers when nothing is in flight to the one before.
func serveRingfence(address, first, control string) error {
	debug.SetGCPercent(400) // as the data plane
	g := gateway.New(gateway.Options{})
	version, generation := "v0", int64(1)
	show := func(name, at string) error {
		g.SetEndpoints("shop", name, []fleet.Endpoint{{Service: "shop", Version: name, ID: "shop/" + name + "/1", Address: at}})
		return g.Apply(context.Background(), []fleet.Service{{
			Name: "shop", Generation: generation, Salt: "swap", Route: fleet.Route{TargetingKey: fleet.Source{Header: "X-User-ID"}},
			Rings: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "all"}}, Exposure: []string{name, name},
			SlowOver: []fleet.Dur{fleet.Dur(300 * time.Millisecond)},
		}})
	}
	if err := show(version, first); err != nil {
		return err
	}
	go func() {
		log.Fatal(http.ListenAndServe(control, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			old := version
			generation++
			version = fmt.Sprint("v", generation)
			err := show(version, r.FormValue("at"))
			if err == nil {
				err = g.Drain(r.Context(), "shop", old, drainLimit)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			g.SetEndpoints("shop", old, nil)
		})))
	}()
	ln, err := child.Listen(address)
	if err != nil {
		return err
	}
	return g.Serve(context.Background(), ln)
}
