package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestPagesOpenToANetworkNeedTLS(t *testing.T) {
	for addr, open := range map[string]bool{
		"127.0.0.1:7400": true, "[::1]:7400": true, "localhost:7400": true, "127.8.8.8:1": true,
		"0.0.0.0:7400": false, ":7400": false, "[::]:7400": false, "10.0.0.1:7400": false, "example.com:7400": false,
	} {
		if err := guardAddress("API", addr, false); (err == nil) != open || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s without TLS: %v", addr, err)
		}
		if err := guardAddress("API", addr, true); err != nil {
			t.Errorf("%s with TLS: %v", addr, err)
		}
	}
}

func TestTheTokenIsNotSentInTheClear(t *testing.T) {
	for server, fine := range map[string]bool{
		"http://127.0.0.1:7400": true, "http://[::1]:7400": true, "http://localhost:7400": true, "https://control.example.com": true,
		"http://control.example.com:7400": false, "http://10.0.0.1": false, "control:7400": false, "": false, "ftp://127.0.0.1": false,
	} {
		if err := guardServer(server); (err == nil) != fine {
			t.Errorf("%q: %v", server, err)
		}
	}
}

// writePair writes a self-signed certificate for name.
func writePair(t *testing.T, files TLSFiles, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &cert, &cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPagesSpeakTLS(t *testing.T) {
	dir := t.TempDir()
	files := TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	writePair(t, files, "ringfence")
	secure, err := files.Config(tls.VersionTLS13, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- serveHTTP(t.Context(), l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), secure)
	}()
	pool := x509.NewCertPool()
	b, _ := os.ReadFile(files.Cert)
	pool.AppendCertsFromPEM(b)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := client.Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("TLS version %x", resp.TLS.Version)
	}
	select {
	case err := <-ended:
		t.Errorf("it ended: %v", err)
	default:
	}
}
