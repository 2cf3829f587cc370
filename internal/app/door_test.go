package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// While no data plane is there, connections wait at the door for the next one.
func TestConnectionsWaitAtTheDoor(t *testing.T) {
	free, err := freeAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{addr: free}
	defer d.close()
	for turn, c := range []struct {
		env    string
		listen func(string) (net.Listener, error)
	}{{doorEnv, listenGateway}, {doorEnv, listenGateway}, {flagsDoorEnv, listenFlags}, {flagsDoorEnv, listenFlags}} {
		socket := d.file()
		if socket == nil {
			t.Fatal("the address is taken")
		}
		answer := make(chan string, 1)
		go func() { // comes before anybody listens
			resp, err := http.Get("http://" + free)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			answer <- string(b)
		}()
		fd, err := unix.Dup(int(socket.Fd())) // as a child's: listenGateway closes it
		if err := errors.Join(err, socket.Close()); err != nil {
			t.Fatal(err)
		}
		t.Setenv(c.env, strconv.Itoa(fd))
		l, err := c.listen("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv(c.env) != "" {
			t.Error("the variable is left for instances to see")
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "turn ", turn) })}
		go func() { _ = server.Serve(l) }()
		select {
		case got := <-answer:
			if want := fmt.Sprint("turn ", turn); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
		_ = server.Close()
	}
}

func TestADoorThatSomebodyElseHas(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &door{addr: l.Addr().String()}
	if d.file() != nil {
		t.Error("a socket for an address that is taken")
	}
	for _, env := range []string{"x", "2", "-1"} {
		t.Setenv(doorEnv, env)
		if _, err := listenGateway("127.0.0.1:0"); err == nil {
			t.Errorf("%s=%s was accepted", doorEnv, env)
		}
	}
}
