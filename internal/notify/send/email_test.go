package send_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/notify/send"
	"github.com/ringfence/ringfence/internal/resource"
)

const password = "a password, unsayable"

// mailbox is a mail server that answers as it is told to.
type mailbox struct {
	address  string
	secure   *tls.Config // nil: it does not offer TLS
	implicit bool
	answers  map[string]string // by the beginning of a command; "." is the end of a mail, and "" as an answer hangs up
	mu       sync.Mutex
	mails    []string
	auth     string // as it was sent
	inClear  bool   // it was sent without TLS
	left     bool   // a connection was neither used nor closed
}

func newMailbox(t *testing.T, m *mailbox) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
		if m.left {
			t.Error("a connection was left open")
		}
	})
	return m
}

func (m *mailbox) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	encrypted := m.implicit
	if m.implicit {
		conn = tls.Server(conn, m.secure)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	say := func(s string) { _, _ = fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 mail.example.com")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			m.mu.Lock()
			m.left = m.left || errors.Is(err, os.ErrDeadlineExceeded)
			m.mu.Unlock()
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		answer, told := m.told(line)
		switch {
		case told && answer == "":
			return
		case told:
			say(answer)
		case verb == "EHLO":
			offers := "250-mail.example.com\r\n"
			if m.secure != nil && !encrypted {
				offers += "250-STARTTLS\r\n"
			}
			say(offers + "250 AUTH PLAIN LOGIN")
		case verb == "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, m.secure)
			in, encrypted = bufio.NewReader(conn), true
		case verb == "AUTH":
			m.mu.Lock()
			m.auth, m.inClear = line, !encrypted
			m.mu.Unlock()
			say("235 welcome")
		case verb == "DATA":
			say("354 go on")
			if !m.take(in, say) {
				return
			}
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (m *mailbox) told(line string) (string, bool) {
	for command, answer := range m.answers {
		if strings.HasPrefix(line, command) {
			return answer, true
		}
	}
	return "", false
}

func (m *mailbox) take(in *bufio.Reader, say func(string)) bool {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(line)
	}
	answer, told := m.told(".")
	if told {
		if answer != "" {
			say(answer)
		}
		return answer != ""
	}
	m.mu.Lock()
	m.mails = append(m.mails, b.String())
	m.mu.Unlock()
	say("250 taken")
	return true
}

func (m *mailbox) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails
}

// certificate is one for 127.0.0.1, with those who vouch for it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

func mailer(t *testing.T, roots *x509.CertPool) *send.Sender {
	t.Helper()
	s := send.New(send.Options{Secrets: secrets(t, map[string]string{"password": password + "\n"}), Version: "v1"})
	if roots != nil {
		s.Trust(roots)
	}
	return s
}

func mailTo(m *mailbox, how string, to ...string) resource.Receiver {
	return resource.Receiver{Email: &resource.EmailTo{Server: m.address, TLS: how, From: "ringfence@example.com", To: to}}
}

func TestMail(t *testing.T) {
	m := newMailbox(t, &mailbox{})
	msg := message()
	msg.Repeat = true
	msg.Title += "\r\nBcc: eve@example.com"
	for range 2 {
		if got := try(t, mailer(t, nil), mailTo(m, "none", "ann@example.com", "bob@example.com"), msg, 10*time.Second); got != nil {
			t.Fatal(got)
		}
	}
	mails := m.all()
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	head, body, _ := strings.Cut(mails[0], "\r\n\r\n")
	for _, want := range []string{"Message-ID: <42-abc.1.chat@example.com>", "Date: Sun, 01 Mar 2026 12:00:05 +0000", "Auto-Submitted: auto-generated",
		`From: "Ringfence" <ringfence@example.com>`, "To: <ann@example.com>, <bob@example.com>", "User-Agent: Ringfence/v1"} {
		if !strings.Contains(head+"\r\n", want+"\r\n") {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if strings.Contains("\r\n"+head, "\r\nBcc:") {
		t.Errorf("a title became a header:\n%s", head)
	}
	for _, want := range []string{"This may be a repeat", "12:00:10  Everyone has v2 again", "Users who got it: 118", "https://ringfence.example.com/rollouts/shop-7"} {
		if !strings.Contains(strings.ReplaceAll(body, "=\r\n", ""), want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
}

// A password goes only to a server that has shown who it is.
func TestMailIsSentWithinTLS(t *testing.T) {
	secure, roots := certificate(t)
	for name, tt := range map[string]struct {
		box   *mailbox
		how   string
		roots *x509.CertPool
		want  string // why it is not sent
	}{
		"starttls":            {&mailbox{secure: secure}, "starttls", roots, ""},
		"implicit":            {&mailbox{secure: secure, implicit: true}, "implicit", roots, ""},
		"no TLS is offered":   {&mailbox{}, "starttls", roots, "STARTTLS"},
		"no TLS is spoken":    {&mailbox{}, "implicit", roots, "does not speak TLS"},
		"nobody vouches":      {&mailbox{secure: secure}, "starttls", nil, "authority that is not known"},
		"nor for implicit":    {&mailbox{secure: secure, implicit: true}, "implicit", nil, "authority that is not known"},
		"the name is refused": {&mailbox{secure: secure, answers: map[string]string{"AUTH": "535 no " + password}}, "starttls", roots, "535"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailbox(t, tt.box)
			to := mailTo(m, tt.how, "ann@example.com")
			to.Email.User, to.Email.PasswordFile = "shop", "password"
			got := try(t, mailer(t, tt.roots), to, message(), 10*time.Second)
			if tt.want != "" {
				if got == nil || !strings.Contains(got.Text, tt.want) || got.Unsure || len(m.all()) > 0 || m.auth != "" {
					t.Errorf("%+v, signed in with %q", got, m.auth)
				}
				return
			}
			if want := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00shop\x00"+password)); got != nil || m.auth != want || m.inClear || len(m.all()) != 1 {
				t.Errorf("%v, signed in with %q, in clear %v", got, m.auth, m.inClear)
			}
		})
	}
}

func TestMailAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answers map[string]string
		want    *notify.Failure
		text    string
		mails   int
	}{
		"busy":                    {map[string]string{"MAIL": "451 come back later"}, &notify.Failure{}, "451", 0},
		"refused":                 {map[string]string{"MAIL": "550 not from you"}, &notify.Failure{Refused: true}, "550", 0},
		"hung up early":           {map[string]string{"MAIL": ""}, &notify.Failure{}, "", 0},
		"the mail is refused":     {map[string]string{".": "554 spam"}, &notify.Failure{Refused: true}, "554", 0},
		"hung up at the end":      {map[string]string{".": ""}, &notify.Failure{Unsure: true}, "", 0},
		"hung up after the end":   {map[string]string{"QUIT": ""}, nil, "", 1},
		"one address is unknown":  {map[string]string{"RCPT TO:<bob@": "550 no such user"}, &notify.Failure{Refused: true, Partly: true}, "not taken for bob@example.com: ", 1},
		"all of them are unknown": {map[string]string{"RCPT": "550 no such user"}, &notify.Failure{Refused: true}, "550", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailbox(t, &mailbox{answers: tt.answers})
			got := try(t, mailer(t, nil), mailTo(m, "none", "ann@example.com", "bob@example.com"), message(), 10*time.Second)
			checkFailure(t, got, tt.want, tt.text)
			if n := len(m.all()); n != tt.mails {
				t.Errorf("%d mails", n)
			}
		})
	}
}
