package openfeature

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// launchpad starts, stops and restarts a server as the testbed's launchpad does with flagd: with the testbed's configurations, in a folder that has the
// flags where they say they are. Stopped is killed, and what was to be served is gone until the server is there again.
type launchpad struct {
	t       *testing.T
	dir     string
	command []string
	ports   [4]int // evaluation, management, sync, OFREP
	log     *os.File

	mu      sync.Mutex
	config  string // that the server runs with, empty when none runs
	cmd     *exec.Cmd
	pending context.CancelFunc // of a restart that is to come
	coming  sync.WaitGroup
}

const combined = "flags/allFlags.json"

// newLaunchpad prepares a folder from a checkout of the testbed.
func newLaunchpad(t *testing.T, testbed string, command []string) *launchpad {
	t.Helper()
	l := &launchpad{t: t, dir: t.TempDir(), command: command}
	must(t, os.CopyFS(l.path("rawflags"), os.DirFS(filepath.Join(testbed, "flags"))))
	must(t, os.CopyFS(l.path("configs"), os.DirFS(filepath.Join(testbed, "launchpad", "configs"))))
	must(t, os.Mkdir(l.path("flags"), 0o700))
	must(t, certify(filepath.Join(testbed, "ssl"), l.path("ssl")))
	must(t, l.configure())
	for i := range l.ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer listener.Close() // all at once, so that no two are the same
		l.ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	log, err := os.Create(l.path("server.log"))
	must(t, err)
	l.log = log
	t.Cleanup(func() {
		l.stop()
		_ = log.Close()
	})
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *launchpad) path(name string) string { return filepath.Join(l.dir, name) }

// configure says where the certificate is, and adds what the testbed has scenarios but no configuration for: a Unix socket, and the buckets to come.
func (l *launchpad) configure() error {
	var plain map[string]any
	for _, name := range []string{"ssl", "default"} {
		raw, err := os.ReadFile(l.path("configs/" + name + ".json"))
		if err != nil {
			return err
		}
		raw = []byte(strings.ReplaceAll(string(raw), `"/ssl/`, `"`+l.path("ssl")+`/`))
		if err := os.WriteFile(l.path("configs/"+name+".json"), raw, 0o600); err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &plain); err != nil {
			return err
		}
	}
	delete(plain, "server-cert-path")
	delete(plain, "server-key-path")
	raw, err := json.Marshal(plain)
	if err == nil {
		err = os.WriteFile(l.path("configs/v3.json"), raw, 0o600)
	}
	plain["socket-path"], plain["sync-socket-path"] = l.path("rpc.sock"), l.path("sync.sock")
	if raw, wrong := json.Marshal(plain); wrong == nil && err == nil {
		err = os.WriteFile(l.path("configs/socket.json"), raw, 0o600)
	}
	return err
}

// certify makes a certificate by the testbed's authority. The testbed's own names no host but by its common name, which Go and node do not look at.
func certify(authority, to string) error {
	pair := map[string][]byte{}
	for _, name := range []string{"custom-root-cert.crt", "custom-ca.key"} {
		raw, err := os.ReadFile(filepath.Join(authority, name))
		if err != nil {
			return err
		}
		block, _ := pem.Decode(raw)
		if block == nil {
			return errors.New(name + " is no PEM")
		}
		pair[name] = block.Bytes
	}
	parent, err := x509.ParseCertificate(pair["custom-root-cert.crt"])
	if err != nil {
		return err
	}
	signer, err := x509.ParsePKCS8PrivateKey(pair["custom-ca.key"])
	if err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(to, 0o700),
		os.WriteFile(filepath.Join(to, "server-cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(filepath.Join(to, "server-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// combine writes all flags but those for selectors into one file.
func (l *launchpad) combine(config string) error {
	files, err := filepath.Glob(l.path("rawflags/*.json"))
	if err != nil {
		return err
	}
	all := map[string]map[string]any{"flags": {}, "$evaluators": {}}
	if config == "v3" {
		all["metadata"] = map[string]any{"ringfence.bucketing": "v3"}
	}
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
			return err
		}
		for field, into := range all {
			from, _ := one[field].(map[string]any)
			maps.Copy(into, from)
		}
	}
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return l.replace(combined, raw)
}

func (l *launchpad) replace(name string, raw []byte) error {
	if err := os.WriteFile(l.path(name)+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(l.path(name)+".new", l.path(name))
}

// start has the server run with a configuration; it goes on when it does already.
func (l *launchpad) start(config string) error {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.config == config {
		return nil
	}
	l.kill()
	return l.run(config)
}

// run is start with the lock held.
func (l *launchpad) run(config string) error {
	if err := l.combine(config); err != nil {
		return err
	}
	args := append(l.command[1:len(l.command):len(l.command)], "--config", "configs/"+config+".json")
	for i, option := range []string{"--port", "--management-port", "--sync-port", "--ofrep-port"} {
		args = append(args, option, fmt.Sprint(l.ports[i]))
	}
	l.cmd = exec.Command(l.command[0], args...)
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = l.dir, l.log, l.log
	if err := l.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", l.ports[1])); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				l.config = config
				return nil
			}
		}
	}
	l.kill()
	raw, _ := os.ReadFile(l.log.Name())
	return fmt.Errorf("the server is not ready with %s: %s", config, raw)
}

// kill is stop with the lock held.
func (l *launchpad) kill() {
	if l.cmd != nil && l.cmd.Process != nil {
		_ = l.cmd.Process.Kill()
		_ = l.cmd.Wait() // it was killed, and says so
	}
	l.cmd, l.config = nil, ""
}

func (l *launchpad) stop() {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kill()
}

// cancel ends a restart that is to come, and waits for one that is under way.
func (l *launchpad) cancel() {
	l.mu.Lock()
	if l.pending != nil {
		l.pending()
		l.pending = nil
	}
	l.mu.Unlock()
	l.coming.Wait()
}

// restart takes the server away, at once, and brings it back after a while.
func (l *launchpad) restart(after time.Duration) {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	config := l.config
	l.kill()
	_ = os.Remove(l.path(combined))
	ctx, cancel := context.WithCancel(context.Background())
	l.pending = cancel
	l.coming.Go(func() {
		select {
		case <-time.After(after): // the connection is lost that long
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.run(config); err != nil {
			l.t.Error(err)
		}
	})
}

// change turns the default of the flag that is made for it.
func (l *launchpad) change() error {
	const name = "rawflags/changing-flag.json"
	raw, err := os.ReadFile(l.path(name))
	if err != nil {
		return err
	}
	other := map[bool][]byte{true: []byte(`"defaultVariant": "bar"`), false: []byte(`"defaultVariant": "foo"`)}
	foo := strings.Contains(string(raw), string(other[false]))
	if err := l.replace(name, []byte(strings.Replace(string(raw), string(other[!foo]), string(other[foo]), 1))); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.combine(l.config)
}
