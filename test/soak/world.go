package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// streamTimeout is how long streams may go on after their version has left; gentle is how often one is left alone for as long.
const (
	streamTimeout = 2 * time.Second
	gentle        = 10
)

// world is a gateway and the version that it serves.
type world struct {
	address string
	gateway *gateway.Gateway
	served  chan error
	stop    context.CancelFunc
	turns   int
	kills   int // of them, those whose old version was killed as soon as they had returned
	now     *process
	later   sync.WaitGroup

	mu   sync.Mutex
	ends map[string]ending // of versions
}

// ending is what is known of a version that has left.
type ending struct{ left, killed time.Time }

type process struct {
	version, address string
	cmd              *exec.Cmd
}

func newWorld(ctx context.Context) (*world, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &world{address: ln.Addr().String(), gateway: gateway.New(gateway.Options{}), served: make(chan error, 1), ends: map[string]ending{}}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { w.served <- w.gateway.Serve(ctx, ln) }()
	return w, nil
}

// turn takes the next version into service, and ends the one before.
func (w *world) turn(ctx context.Context) error {
	w.turns++
	next, err := start("v" + strconv.Itoa(w.turns))
	if err != nil {
		return err
	}
	old := w.now
	w.now = next
	services := []fleet.Service{w.service("shop", "http"), w.service("calls", "h2c")}
	for _, s := range services {
		w.gateway.SetEndpoints(s.Name, next.version, []fleet.Endpoint{{Service: s.Name, Version: next.version, ID: next.version, Address: next.address}})
	}
	left := time.Now() // its streams' time runs from now on, also while the switch waits for slow clients
	if old != nil {
		w.note(old.version, ending{left: left})
	}
	if err := w.gateway.Apply(ctx, services); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	for _, s := range services {
		select {
		case <-w.gateway.Drained(s.Name, old.version):
		case <-time.After(time.Minute):
			return fmt.Errorf("%s %s has %d requests in flight a minute after it left", s.Name, old.version, w.gateway.InFlight(s.Name, old.version))
		}
	}
	if w.turns%gentle != 0 {
		w.kills++
		return w.kill(old, left)
	}
	w.later.Go(func() {
		time.Sleep(2 * streamTimeout) // the time that its streams have, and the time over which they are closed
		_ = w.kill(old, left)
	})
	return nil
}

func (w *world) service(name, protocol string) fleet.Service {
	return fleet.Service{
		Name: name, Generation: int64(w.turns), Salt: "s", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{w.now.version},
		Route: fleet.Route{Host: name + ".localhost", Protocol: protocol, StreamTimeout: fleet.Dur(streamTimeout)},
		Slots: []fleet.Slot{{Version: w.now.version}},
	}
}

func (w *world) note(version string, e ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[version] = e
}

func (w *world) ending(version string) ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[version]
}

// kill ends a version at once. The gateway is told afterwards, as it would be by whoever watches the process.
func (w *world) kill(p *process, left time.Time) error {
	w.note(p.version, ending{left, time.Now()})
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	for _, s := range []string{"shop", "calls"} {
		w.gateway.SetEndpoints(s, p.version, nil)
	}
	return err
}

// end stops the gateway, which must not find anything left to do, and the last version.
func (w *world) end() error {
	w.later.Wait()
	w.stop()
	err := <-w.served
	if w.now != nil {
		err = errors.Join(err, w.kill(w.now, time.Now()))
	}
	return err
}

// start runs an instance and waits until it answers.
func start(version string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), instanceEnv+"="+version)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("version %s did not start: %w", version, err), cmd.Process.Kill(), cmd.Wait())
	}
	p := &process{version, strings.TrimSpace(line), cmd}
	res, err := http.Get("http://" + p.address + "/")
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return p, res.Body.Close()
}
