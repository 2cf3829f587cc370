package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// dial connects and times it: the name first, then the connection.
func (a *attempt) dial(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(address, "http://"), "https://"))
	if err != nil {
		return nil, errors.New("the address has no port")
	}
	began := time.Now()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) == nil {
		a.round.Phases.DNS = time.Since(began).Seconds()
	}
	began = time.Now()
	var conn net.Conn
	for _, ip := range ips {
		if conn, err = dialer().DialContext(ctx, "tcp", net.JoinHostPort(ip, port)); err == nil {
			break
		}
	}
	a.round.Phases.Connect = time.Since(began).Seconds()
	return conn, err
}

func (a *attempt) tcp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.spec.Timeout))
	defer cancel()
	conn, err := a.dial(ctx, a.target.Address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	began := time.Now()
	if s := a.spec.TCP.Send; s != "" {
		if _, err := io.WriteString(conn, a.put(s, func(v string) string { return v })); err != nil {
			return err
		}
	}
	want := []byte(a.spec.TCP.Contains)
	if len(want) == 0 {
		return nil
	}
	var seen []byte
	part := make([]byte, 4<<10)
	for len(seen) < maxStream {
		n, err := conn.Read(part)
		if seen = append(seen, part[:n]...); len(seen) == n && n > 0 {
			a.round.Phases.FirstByte = time.Since(began).Seconds()
		}
		if bytes.Contains(seen, want) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("what came back does not hold %q", oneLine(a.spec.TCP.Contains, 100))
}

func (a *attempt) tls(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.spec.Timeout))
	defer cancel()
	raw, err := a.dial(ctx, a.target.Address)
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	began := time.Now()
	err = tls.Client(raw, a.config(a.name())).HandshakeContext(ctx)
	a.round.Phases.TLS = time.Since(began).Seconds()
	return err
}

// name is whom a certificate of the target must be for.
func (a *attempt) name() string {
	address := a.target.Host
	if address == "" {
		address = strings.TrimPrefix(strings.TrimPrefix(a.target.Address, "http://"), "https://")
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func (a *attempt) grpc(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.spec.Timeout))
	defer cancel()
	creds := insecure.NewCredentials()
	if a.spec.GRPC.TLS {
		creds = credentials.NewTLS(a.config(a.name()))
	}
	raw, err := a.dial(ctx, a.target.Address)
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	once := make(chan net.Conn, 1)
	once <- raw
	options := []grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithUserAgent(userAgent),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxStream)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case conn := <-once:
				return conn, nil
			default:
				return nil, errors.New("the connection was closed before the answer was complete")
			}
		})}
	if a.target.Host != "" {
		options = append(options, grpc.WithAuthority(a.target.Host))
	}
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(a.target.Address, "http://"), options...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	said, err := health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: a.spec.GRPC.Service})
	a.round.Phases.FirstByte = time.Since(began).Seconds()
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		return errors.New("the server has no health check")
	case codes.NotFound:
		return fmt.Errorf("the server knows no service %q", a.spec.GRPC.Service)
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	default:
		return errors.New(status.Convert(err).Message())
	}
	if said.Status != health.HealthCheckResponse_SERVING {
		return fmt.Errorf("the server says %s", said.Status)
	}
	return nil
}

func (a *attempt) dns(ctx context.Context) error {
	q := a.spec.DNS
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.spec.Timeout))
	defer cancel()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if q.Server != "" {
			address = q.Server
		}
		return dialer().DialContext(ctx, network, address)
	}}
	began := time.Now()
	found, err := lookup(ctx, r, q.Type, q.Name)
	a.round.Phases.DNS = time.Since(began).Seconds()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("there is no answer for %s", q.Name)
	}
	for _, want := range q.Expect {
		if !slices.ContainsFunc(found, func(s string) bool {
			return strings.EqualFold(strings.TrimSuffix(s, "."), strings.TrimSuffix(want, "."))
		}) {
			return fmt.Errorf("answered %s, expected %s", strings.Join(found, ", "), want)
		}
	}
	return nil
}

func lookup(ctx context.Context, r *net.Resolver, kind, name string) ([]string, error) {
	if !strings.HasSuffix(name, ".") {
		name += "." // as it stands, whatever this machine searches
	}
	var all []string
	var err error
	switch kind {
	case "CNAME":
		var one string
		one, err = r.LookupCNAME(ctx, name)
		all = []string{one}
	case "MX":
		var mx []*net.MX
		mx, err = r.LookupMX(ctx, name)
		for _, m := range mx {
			all = append(all, m.Host)
		}
	case "NS":
		var ns []*net.NS
		ns, err = r.LookupNS(ctx, name)
		for _, n := range ns {
			all = append(all, n.Host)
		}
	case "TXT":
		all, err = r.LookupTXT(ctx, name)
	case "SRV":
		var srv []*net.SRV
		_, srv, err = r.LookupSRV(ctx, "", "", name)
		for _, s := range srv {
			all = append(all, fmt.Sprintf("%s:%d", s.Target, s.Port))
		}
	default:
		network := "ip4"
		if kind == "AAAA" {
			network = "ip6"
		}
		var ips []net.IP
		ips, err = r.LookupIP(ctx, network, name)
		for _, ip := range ips {
			all = append(all, ip.String())
		}
	}
	return all, err
}
