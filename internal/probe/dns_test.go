package probe

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// nameServer answers for shop.test over UDP, as a real one does.
func nameServer(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
				continue
			}
			if text, err := reply(q).Pack(); err == nil {
				_, _ = conn.WriteTo(text, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func reply(q dnsmessage.Message) *dnsmessage.Message {
	ask := q.Questions[0]
	a := &dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: q.Questions}
	say := func(b dnsmessage.ResourceBody) {
		a.Answers = append(a.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: ask.Name, Class: ask.Class, TTL: 60}, Body: b})
	}
	name := dnsmessage.MustNewName
	switch host := ask.Name.String(); {
	case strings.HasPrefix(host, "gone."):
		a.RCode = dnsmessage.RCodeNameError
	case strings.HasPrefix(host, "sick."):
		a.RCode = dnsmessage.RCodeServerFailure
	case strings.HasPrefix(host, "www."):
		say(&dnsmessage.CNAMEResource{CNAME: name("shop.test.")})
		if ask.Type == dnsmessage.TypeA {
			a.Answers = append(a.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name("shop.test."), Class: ask.Class, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}})
		}
	case ask.Type == dnsmessage.TypeA:
		say(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}})
		say(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 8}})
	case ask.Type == dnsmessage.TypeAAAA:
		say(&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0x0d, 0xb8, 15: 7}})
	case ask.Type == dnsmessage.TypeMX:
		say(&dnsmessage.MXResource{Pref: 10, MX: name("mail.shop.test.")})
	case ask.Type == dnsmessage.TypeNS:
		say(&dnsmessage.NSResource{NS: name("ns1.shop.test.")})
	case ask.Type == dnsmessage.TypeTXT:
		say(&dnsmessage.TXTResource{TXT: []string{"v=spf1 -all"}})
	case ask.Type == dnsmessage.TypeSRV:
		say(&dnsmessage.SRVResource{Port: 5432, Target: name("db.shop.test.")})
	}
	return a
}

func TestDNS(t *testing.T) {
	server := nameServer(t)
	for _, c := range []struct {
		name, kind string
		expect     []string
		wrong      string // "" for well
	}{
		{"shop.test", "", nil, ""},
		{"shop.test", "A", []string{"192.0.2.8"}, ""},
		{"shop.test", "A", []string{"192.0.2.9"}, "answered 192.0.2.7, 192.0.2.8, expected 192.0.2.9"},
		{"shop.test", "AAAA", []string{"2001:db8::7"}, ""},
		{"www.shop.test", "CNAME", []string{"SHOP.test"}, ""},
		{"shop.test", "MX", []string{"mail.shop.test"}, ""},
		{"shop.test", "NS", []string{"ns1.shop.test."}, ""},
		{"shop.test", "TXT", []string{"v=spf1 -all"}, ""},
		{"shop.test", "TXT", []string{"v=spf1 ~all"}, "answered v=spf1 -all, expected v=spf1 ~all"},
		{"shop.test", "SRV", []string{"db.shop.test.:5432"}, ""},
		{"gone.shop.test", "A", nil, "there is no address for gone.shop.test"},
		{"sick.shop.test", "A", nil, "server misbehaving"},
	} {
		r := once(t, &Runner{}, resource.Probe{DNS: &resource.DNSProbe{Name: c.name, Type: c.kind, Server: server, Expect: c.expect}}, synthetic.Target{Address: "-"})
		if r.OK != (c.wrong == "") || !strings.Contains(r.Reason, c.wrong) || r.Phases.DNS <= 0 {
			t.Errorf("%s %s %v: %+v", c.kind, c.name, c.expect, r)
		}
	}
}
