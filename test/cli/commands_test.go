package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringfence/ringfence/internal/demo"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/test/sandbox"
)

// state is what a script has running.
type state struct {
	up    *sandbox.Up
	quiet func() (demo.Counts, string) // stops the traffic
	ebb   func() string                // stops the flood of logs

	receiver *receiver
}

type stateKey struct{}

func of(ts *testscript.TestScript) *state { return ts.Value(stateKey{}).(*state) }

// running is the script's Ringfence.
func running(ts *testscript.TestScript) *sandbox.Up {
	u := of(ts).up
	if u == nil {
		ts.Fatalf("nothing runs: use up first")
	}
	return u
}

// up starts `ringfence up` on ports of its own, in the script's data folder, until the script ends:
//
//	up [flags]
//
// It sets $API, $GATEWAY and $FLAGS (host:port) and $ADMIN.
func up(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || s.up != nil {
		ts.Fatalf("usage: up [flags], once")
	}
	env := append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	u, err := sandbox.Start(programs, ts.Getenv("RINGFENCE_DATA"), env, append(sandbox.Quick, args...)...)
	ts.Check(err)
	s.up = u
	ts.Defer(func() {
		if s.quiet != nil {
			s.quiet()
		}
		u.Stop()
		ts.Logf("%s", u.Logs()) // shown when the script fails
	})
	ts.Setenv("API", u.API)
	ts.Setenv("GATEWAY", u.Gateway)
	ts.Setenv("FLAGS", u.Flags)
	ts.Setenv("ADMIN", u.Admin)
}

// quit ends what up started, in good order, so that it may be started again.
func quit(ts *testscript.TestScript, _ bool, _ []string) {
	running(ts).Stop()
	of(ts).up = nil
}

// await runs a command again and again until it succeeds or, with !, until it fails; with -stdout, also until its output
// matches:
//
//	await [-stdout regexp] command…
func await(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile("")
	if len(args) > 2 && args[0] == "-stdout" {
		re, err := regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		pattern, args = re, args[2:]
	}
	if len(args) == 0 {
		ts.Fatalf("usage: await [-stdout regexp] command…")
	}
	err := sandbox.Await(func() error {
		err := ts.Exec(args[0], args[1:]...)
		switch {
		case neg == (err == nil):
			return fmt.Errorf("ended with: %v", err)
		case !pattern.MatchString(ts.ReadFile("stdout")):
			return fmt.Errorf("no match for %s", pattern)
		}
		return nil
	})
	if err != nil {
		ts.Fatalf("%v: %v", args, err)
	}
}

// status runs a command and compares its exit status:
//
//	status 2 ringfence frobnicate
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			got = exit.ExitCode()
		}
	}
	if want := args[0]; strconv.Itoa(got) != want {
		ts.Fatalf("%v: exit status %d, expected %s", args[1:], got, want)
	}
}

// kill9 kills a process of the script's data folder with SIGKILL: server, dataplane, or a process by its number.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 server|dataplane|PID")
	}
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		p, err := sandbox.ReadPlane(ts.Getenv("RINGFENCE_DATA"), args[0])
		ts.Check(err)
		pid = p.PID
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// visit sends one request through the gateway as a user of the shop and prints status, Proxy-Status and body:
//
//	visit [-host host] user path
//
// The user - has no key.
func visit(ts *testscript.TestScript, neg bool, args []string) {
	host := "shop.localhost"
	if len(args) > 2 && args[0] == "-host" {
		host, args = args[1], args[2:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: visit [-host host] user path")
	}
	seen, err := get(ts.Getenv("GATEWAY"), host, args[0], args[1])
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), seen)
}

// get is one request as a user, and what the user saw.
func get(gateway, host, user, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sandbox.Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+gateway+path, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	if user != "-" {
		req.Header.Set("X-User-ID", user)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var seen strings.Builder
	fmt.Fprintln(&seen, resp.Status)
	for _, h := range []string{"Proxy-Status", "Set-Cookie"} {
		if v := resp.Header.Get(h); v != "" {
			fmt.Fprintf(&seen, "%s: %s\n", h, v)
		}
	}
	return seen.String() + string(body), err
}

// served waits until a user of the shop is answered by the service, as after a restart:
//
//	served user path
func served(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: served user path")
	}
	var seen string
	err := sandbox.Await(func() (err error) {
		seen, err = get(ts.Getenv("GATEWAY"), "shop.localhost", args[0], args[1])
		if err == nil && !strings.HasPrefix(seen, "200 ") {
			err = errors.New(seen)
		}
		return err
	})
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), seen)
}

// traffic sends the shop's users' requests, N a second, until the script ends or it is stopped. Stopped, it prints what
// the users saw; that Ringfence failed any of their requests fails the script.
//
//	traffic N
//	traffic stop
func traffic(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) != 1 || (args[0] == "stop") != (s.quiet != nil) {
		ts.Fatalf("usage: traffic N, then traffic stop")
	}
	if s.quiet == nil {
		n, err := strconv.ParseFloat(args[0], 64)
		ts.Check(err)
		s.quiet = sandbox.Drive(ts.Getenv("GATEWAY"), n, 200)
		return
	}
	counts, loss := s.quiet()
	s.quiet = nil
	fmt.Fprintf(ts.Stdout(), "requests %d, failed by the service %d, failed by Ringfence %d\n", counts.Requests, counts.FailedByService, counts.FailedByRingfence)
	if loss != "" {
		ts.Fatalf("Ringfence failed %s", strings.TrimSpace(loss))
	}
}

// where waits until a plane that the script started itself says where it is, and sets $API or $GATEWAY, $FLAGS and $ADMIN:
//
//	where server|dataplane
//
// Of one that was started again it waits for the new process.
func where(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: where server|dataplane")
	}
	last := ts.Getenv("PID_" + args[0])
	var p sandbox.Plane
	ts.Check(sandbox.Await(func() (err error) {
		p, err = sandbox.ReadPlane(ts.Getenv("RINGFENCE_DATA"), args[0])
		if err == nil && strconv.Itoa(p.PID) == last {
			err = fmt.Errorf("%s is not there yet", args[0])
		}
		return err
	}))
	ts.Setenv("PID_"+args[0], strconv.Itoa(p.PID))
	if args[0] == "server" {
		ts.Setenv("API", p.URL)
		return
	}
	ts.Setenv("GATEWAY", p.Gateway)
	ts.Setenv("FLAGS", p.Flags)
	ts.Setenv("ADMIN", p.URL)
}

// instance sets a variable to the process of a ready instance, as the data plane's health page tells it without any
// control plane. With an old process, it waits for another one:
//
//	instance PID shop/v1/1 [old]
func instance(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: instance variable service/version/n [old]")
	}
	ts.Check(sandbox.Await(func() error {
		pid, err := readyInstance(ts.Getenv("ADMIN"), args[1])
		if err == nil && len(args) == 3 && strconv.Itoa(pid) == args[2] {
			err = fmt.Errorf("still process %d", pid)
		}
		ts.Setenv(args[0], strconv.Itoa(pid))
		return err
	}))
}

func readyInstance(admin, id string) (int, error) {
	resp, err := http.Get(admin + "/healthz")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var page struct{ Observed fleet.Observed }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return 0, err
	}
	for _, s := range page.Observed.Services {
		for _, slot := range s.Slots {
			for _, in := range slot.Instances {
				if in.ID == id && in.Ready {
					return in.PID, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("no ready instance %s", id)
}
