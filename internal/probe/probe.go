package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

const (
	maxBody   = 1 << 20
	maxStream = 64 << 10
	atOnce    = 8 // targets of one job
	maxReason = 300
)

// Runner looks. It may be used concurrently.
type Runner struct {
	Secrets string // the folder of secrets; empty: there are none
}

// Run looks at every target of a job, and answers with a round for each version, in the order of the targets.
func (r *Runner) Run(ctx context.Context, job synthetic.Job) []synthetic.Round {
	rounds := make([]synthetic.Round, len(job.Targets))
	room := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, t := range job.Targets {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			rounds[i] = r.look(ctx, job, t)
		})
	}
	all.Wait()
	var versions []string
	by := map[string][]synthetic.Round{}
	for _, one := range rounds {
		if by[one.Version] == nil {
			versions = append(versions, one.Version)
		}
		by[one.Version] = append(by[one.Version], one)
	}
	out := make([]synthetic.Round, len(versions))
	for i, v := range versions {
		out[i] = synthetic.Together(by[v])
	}
	return out
}

// attempt is one look at one target.
type attempt struct {
	spec   resource.Probe
	target synthetic.Target
	round  *synthetic.Round
	vars   map[string]string
	hidden []string // values that must not be told
	roots  *x509.CertPool

	mu sync.Mutex // of round.Expires: handshakes have goroutines of their own
}

func (r *Runner) look(ctx context.Context, job synthetic.Job, t synthetic.Target) (round synthetic.Round) {
	round = synthetic.Round{Probe: job.Probe, Service: job.Spec.Service, Version: t.Version, At: time.Now().UTC()}
	if t.Broken != "" {
		round.Reason = t.Broken
		return round
	}
	a := &attempt{spec: job.Spec, target: t, round: &round, vars: map[string]string{"service": job.Spec.Service, "version": t.Version}}
	began := time.Now()
	err := r.prepare(a)
	if err == nil {
		began = time.Now()
		err = a.ask(ctx)
	}
	round.Seconds = time.Since(began).Seconds()
	round.OK = err == nil
	if err != nil {
		round.Reason = a.tell(why(err, time.Duration(a.spec.Timeout)))
		if t.Instance != "" {
			round.Reason = t.Instance + ": " + round.Reason
		}
	}
	return round
}

// prepare reads what the probe takes from the folder of secrets.
func (r *Runner) prepare(a *attempt) error {
	for name, file := range a.spec.Secrets {
		value, err := r.secret(file)
		if err != nil {
			return err
		}
		a.set(name, value)
	}
	if t := a.spec.Trust; t != nil && t.CAFile != "" {
		pem, err := r.secret(t.CAFile)
		if err != nil {
			return err
		}
		a.roots = x509.NewCertPool()
		if !a.roots.AppendCertsFromPEM([]byte(pem)) {
			return fmt.Errorf("secret %s holds no certificate", t.CAFile)
		}
	}
	return nil
}

// set keeps a variable, whose value is not told from then on.
func (a *attempt) set(name, value string) {
	a.vars[name] = value
	if len(value) >= 4 {
		a.hidden = append(a.hidden, value, url.QueryEscape(value), url.PathEscape(value))
	}
}

func (a *attempt) ask(ctx context.Context) error {
	switch {
	case a.spec.DNS != nil:
		return a.dns(ctx)
	case a.spec.TCP != nil:
		return a.tcp(ctx)
	case a.spec.TLS != nil:
		return a.tls(ctx)
	case a.spec.GRPC != nil:
		return a.grpc(ctx)
	}
	return a.web(ctx)
}

// tell makes a text fit for a log and hides secrets in it.
func (a *attempt) tell(s string) string {
	for _, h := range a.hidden {
		s = strings.ReplaceAll(s, h, "[secret]")
	}
	return oneLine(s, maxReason)
}

func oneLine(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// put puts the variables into a text.
func (a *attempt) put(text string, escape func(string) string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var pairs []string
	for name, v := range a.vars {
		pairs = append(pairs, "{"+name+"}", escape(v))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

var errLinkLocal = errors.New("link-local addresses are not asked")

// metadata is where one cloud keeps over IPv6 what others keep at a link-local address.
var metadata = netip.MustParseAddr("fd00:ec2::254")

func refuseLinkLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := to.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.WithZone("") == metadata {
		return errLinkLocal
	}
	return nil
}

func dialer() *net.Dialer {
	return &net.Dialer{Timeout: 30 * time.Second, ControlContext: refuseLinkLocal}
}

// config is TLS that checks the chain itself, so that a chain that is refused still says when it expires.
func (a *attempt) config(host string) *tls.Config {
	trust := a.spec.Trust
	if trust == nil {
		trust = &resource.ProbeTrust{}
	}
	name := host
	if trust.ServerName != "" {
		name = trust.ServerName
	}
	least := uint16(tls.VersionTLS12)
	if a.spec.TLS != nil && a.spec.TLS.MinVersion == "1.3" {
		least = tls.VersionTLS13
	}
	return &tls.Config{ServerName: name, MinVersion: least, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error { // checked below
		if len(s.PeerCertificates) == 0 {
			return errors.New("no certificate was shown")
		}
		a.expires(s.PeerCertificates)
		if trust.Any {
			return nil
		}
		o := x509.VerifyOptions{Roots: a.roots, DNSName: name, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		chains, err := s.PeerCertificates[0].Verify(o)
		if err == nil {
			a.expires(chains[0])
		}
		return err
	}}
}

// expires notes when the first certificate of a chain expires.
func (a *attempt) expires(chain []*x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range chain {
		if a.round.Expires.IsZero() || c.NotAfter.Before(a.round.Expires) {
			a.round.Expires = c.NotAfter.UTC()
		}
	}
}

// why says what went wrong, without the URL: there may be a secret in it.
func why(err error, timeout time.Duration) string {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var timed net.Error
	var name *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return "the probe was withdrawn"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.Is(err, errLinkLocal):
		return errLinkLocal.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &name) && name.IsNotFound:
		return "there is no address for " + name.Name
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed before the answer was complete"
	}
	return err.Error()
}
