package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

// email sends one mail to all. When the server does not take some of the addresses, each gets a mail of its own, so that
// one that is wrong keeps nobody else from being told.
func (s *Sender) email(ctx context.Context, to *resource.EmailTo, m notify.Message, hidden *hidden) error {
	server, err := s.mailServer(to, hidden)
	if err != nil {
		return err
	}
	err = server.deliver(ctx, to, to.To, m)
	if !errors.Is(err, errRecipients) || len(to.To) == 1 {
		return server.failure(err)
	}
	var refused []string
	var last error
	for _, one := range to.To {
		err := server.deliver(ctx, to, []string{one}, m)
		if err != nil {
			refused, last = append(refused, one), err
		}
	}
	f := server.failure(last)
	var failure *notify.Failure
	if len(refused) < len(to.To) && errors.As(f, &failure) {
		failure.Partly = true
		failure.Text = "not taken for " + strings.Join(refused, ", ") + ": " + failure.Text
	}
	return f
}

// mailServer is how to reach the server.
type mailServer struct {
	host    string
	options []mail.Option
	dial    mail.DialContextFunc
	auth    []mail.SMTPAuthType // to be tried in order
	agent   string
}

func (s *Sender) mailServer(to *resource.EmailTo, hidden *hidden) (*mailServer, error) {
	host, port, err := net.SplitHostPort(to.Server)
	if err != nil {
		return nil, fmt.Errorf("server: expected host and port, got %q", to.Server)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("server: expected a port, got %q", port)
	}
	secure := s.secure.Clone()
	secure.ServerName = host
	server := &mailServer{host: host, agent: s.agent(), auth: []mail.SMTPAuthType{mail.SMTPAuthNoAuth}}
	implicit, policy := false, mail.TLSMandatory
	switch to.TLS {
	case "implicit":
		implicit, policy = true, mail.NoTLS
	case "none":
		policy = mail.NoTLS
	}
	server.dial = dialMail(implicit, secure)
	server.options = []mail.Option{mail.WithPort(number), mail.WithTLSConfig(secure), mail.WithTLSPolicy(policy), mail.WithoutNoop()}
	if to.User == "" {
		return server, nil
	}
	password, err := s.line(to.PasswordFile, hidden)
	if err != nil {
		return nil, err
	}
	hidden.add("\x00" + to.User + "\x00" + password)
	server.options = append(server.options, mail.WithUsername(to.User), mail.WithPassword(password))
	server.auth = []mail.SMTPAuthType{mail.SMTPAuthPlain, mail.SMTPAuthLogin} // within TLS, or on this machine
	return server, nil
}

// dialMail makes connections that end with the attempt and bring in a limited amount.
func dialMail(implicit bool, secure *tls.Config) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer().DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn = &bounded{Conn: conn, in: io.LimitReader(conn, maxAnswer)}
		if !implicit {
			return conn, nil
		}
		inner := tls.Client(conn, secure)
		if err := inner.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return inner, nil
	}
}

type bounded struct {
	net.Conn
	in io.Reader
}

func (b *bounded) Read(p []byte) (int, error) { return b.in.Read(p) }

var errRecipients = errors.New("the server does not take all recipients")

// deliver makes one mail and brings it to the server.
func (s *mailServer) deliver(ctx context.Context, from *resource.EmailTo, to []string, m notify.Message) error {
	var err error
	for _, auth := range s.auth {
		msg, err2 := compose(from.From, to, m, s.agent)
		if err2 != nil {
			return err2
		}
		err = s.attempt(ctx, auth, msg)
		if msg.IsDelivered() { // what went wrong after that, in taking leave, does not matter
			return nil
		}
		if !errors.Is(err, mail.ErrPlainAuthNotSupported) {
			break
		}
	}
	return err
}

func (s *mailServer) attempt(ctx context.Context, auth mail.SMTPAuthType, msg *mail.Msg) error {
	var conn net.Conn // the library leaves it open when the server offers no TLS
	dial := func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		conn, err = s.dial(ctx, network, address)
		return conn, err
	}
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	options := append([]mail.Option{mail.WithSMTPAuth(auth), mail.WithDialContextFunc(dial)}, s.options...)
	if deadline, ok := ctx.Deadline(); ok {
		options = append(options, mail.WithTimeout(max(time.Until(deadline), time.Millisecond)))
	}
	client, err := mail.NewClient(s.host, options...)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, msg)
	var refused *mail.SendError
	if errors.As(err, &refused) && refused.Reason == mail.ErrSMTPRcptTo && refused.ErrorCode()/100 == 5 {
		return errors.Join(errRecipients, err)
	}
	return err
}

// compose makes the mail. Its Message-ID is the same at every attempt: mailboxes drop what they have already.
func compose(from string, to []string, m notify.Message, agent string) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.FromFormat("Ringfence", from); err != nil {
		return nil, err
	}
	if err := msg.To(to...); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDateWithValue(m.At)
	msg.Subject(m.Title)
	msg.SetUserAgent(agent)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no answers from those who are away
	msg.SetBodyString(mail.TypeTextPlain, plain(m))
	return msg, nil
}

// failure says what is known when a mail was not taken.
func (s *mailServer) failure(err error) error {
	if err == nil {
		return nil
	}
	f := &notify.Failure{Text: s.host + ": " + wordsOf(err)}
	var sent *mail.SendError
	if !errors.As(err, &sent) {
		return f
	}
	code := sent.ErrorCode()
	f.Refused = code/100 == 5
	f.Unsure = code == 0 && sent.Reason == mail.ErrSMTPDataClose // it was sent whole, and nothing came back
	return f
}
