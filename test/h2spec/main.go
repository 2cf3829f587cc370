// Command h2spec runs summerwind/h2spec against the gateway, in clear and within TLS, and prints what fails. Its exit code is 1 when more than two
// cases fail in either.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// The version that is fetched when there is none at hand.
const module = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// allowed is how many cases may fail of those that there are, about 146.
const allowed = 2

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "h2spec")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := find(dir)
	if err != nil {
		return err
	}
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_ = http.Serve(service, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "hello")
		}))
	}()
	var all error
	for _, secure := range []bool{false, true} {
		all = errors.Join(all, against(program, dir, service.Addr().String(), secure))
	}
	return all
}

// find returns the program: the one that H2SPEC or PATH names, else one that is built of its module.
func find(dir string) (string, error) {
	if p := os.Getenv("H2SPEC"); p != "" {
		return p, nil
	}
	if p, err := exec.LookPath("h2spec"); err == nil {
		return p, nil
	}
	get := exec.Command("go", "install", module)
	get.Dir = dir
	get.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("h2spec is missing and cannot be had by go install %s: %s", module, bytes.TrimSpace(out))
	}
	return filepath.Join(dir, "h2spec"), nil
}

// against runs the cases once, and prints those that fail.
func against(program, dir, service string, secure bool) error {
	o, way := gateway.Options{Limits: gateway.Limits{LameDuck: time.Millisecond}}, "in clear"
	args := []string{"--host", "127.0.0.1", "--timeout", "3", "--junit-report", filepath.Join(dir, "report.xml")}
	if secure {
		cert, err := certificate()
		if err != nil {
			return err
		}
		o.TLS, way = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, "within TLS"
		args = append(args, "--tls", "--insecure")
	}
	g := gateway.New(o)
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{{Service: "shop", Version: "v1", ID: "1", Address: service}})
	err := g.Apply(context.Background(), []fleet.Service{{Name: "shop", Salt: "s", Rings: []fleet.Ring{{Name: "all"}}, Exposure: []string{"v1"}}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, ln) }()
	defer func() { end(); <-served }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	out, failed := exec.Command(program, append(args, "--port", port)...).CombinedOutput()
	cases, lost, err := read(filepath.Join(dir, "report.xml"))
	if err != nil {
		return fmt.Errorf("h2spec %s: %w\n%s", way, errors.Join(err, failed), out)
	}
	fmt.Printf("%-10s  %d of %d cases pass\n", way, cases-len(lost), cases)
	for _, l := range lost {
		fmt.Println("            fails:", l)
	}
	if len(lost) > allowed {
		return fmt.Errorf("%s more than %d cases fail", way, allowed)
	}
	return nil
}

// read reads h2spec's report.
func read(path string) (cases int, lost []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	var report struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Package string    `xml:"package,attr"`
				Class   string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &report); err != nil {
		return 0, nil, err
	}
	for _, s := range report.Suites {
		for _, c := range s.Cases {
			cases++
			if c.Failure != nil || c.Error != nil {
				lost = append(lost, c.Package+": "+c.Class)
			}
		}
	}
	if cases == 0 {
		return 0, nil, errors.New("it ran no case")
	}
	return cases, lost, nil
}

func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
