package flagserve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	v2pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
)

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pool
}

// With a certificate all ports that have flags speak TLS, and HTTP/2 over it.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	_, at := start(t, func(s *Server) { s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	b, err := evaluationv2connect.NewServiceClient(c, "https://"+at.Evaluation, connect.WithGRPC()).ResolveBoolean(t.Context(), connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: "static"}))
	if err != nil || b.Msg.GetVariant() != "off" {
		t.Errorf("%v %v", b, err)
	}
	resp, err := c.Post("https://"+at.OFREP+"/ofrep/v1/evaluate/flags/static", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
	resp, err = http.Post("http://"+at.OFREP+"/ofrep/v1/evaluate/flags/static", "application/json", strings.NewReader(`{}`))
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("flags are served without TLS, too")
		}
	}
	if code, _ := get(t, "http://"+at.Management+"/readyz"); code != 200 {
		t.Errorf("management: %d", code)
	}
}
