package drill

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// outside is what stands around the services: another company's server, a name server, a server with a certificate.
type outside struct {
	ill     atomic.Bool // the other company's server fails
	unnamed atomic.Bool // the name is gone
	expired atomic.Bool // the certificate has expired
	http    *http.Server
	api     string // URL
	names   net.PacketConn
	tls     net.Listener
}

func newOutside() (*outside, error) {
	o := &outside{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.api = "http://" + l.Addr().String() + "/charge"
	o.http = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if o.ill.Load() {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}
	})}
	go func() { _ = o.http.Serve(l) }()
	if o.names, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go o.answerNames()
	return o, o.serveTLS()
}

func (o *outside) close() {
	_, _, _ = o.http.Close(), o.names.Close(), o.tls.Close()
}

// answerNames answers every question for an address with one, until the name is gone.
func (o *outside) answerNames() {
	buf := make([]byte, 1500)
	for {
		n, from, err := o.names.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		q := m.Questions[0]
		switch {
		case o.unnamed.Load():
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}}
		}
		if b, err := m.Pack(); err == nil {
			_, _ = o.names.WriteTo(b, from)
		}
	}
}

// serveTLS shakes hands with a good certificate, and later with one that has expired.
func (o *outside) serveTLS() error {
	now := time.Now()
	good, err1 := certificate(now.Add(90 * 24 * time.Hour))
	old, err2 := certificate(now.Add(-time.Minute))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var err error
	o.tls, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if o.expired.Load() {
			return old, nil
		}
		return good, nil
	}})
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := o.tls.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = c.Read(make([]byte, 1))
			}()
		}
	}()
	return nil
}

func certificate(until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: "shop.example"}, DNSNames: []string{"shop.example"},
		NotBefore: until.Add(-91 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(crand.Reader, t, t, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
