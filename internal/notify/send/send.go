package send

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
)

// Options configure a Sender.
type Options struct {
	Secrets string           // folder with the files that notifiers name
	Version string           // of Ringfence, for the receivers' logs
	Now     func() time.Time // for signatures; default time.Now
}

// Sender sends messages. It may be used concurrently.
type Sender struct {
	Options
	secure    *tls.Config
	transport *http.Transport
}

// New makes a Sender.
func New(o Options) *Sender {
	if o.Now == nil {
		o.Now = time.Now
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	return &Sender{Options: o, secure: secure, transport: newTransport(secure.Clone())}
}

// Send makes one attempt. Its errors are *notify.Failure, without secrets.
func (s *Sender) Send(ctx context.Context, to resource.Receiver, m notify.Message) error {
	var hidden hidden
	var err error
	switch {
	case to.Slack != nil:
		err = s.slack(ctx, to.Slack, m, &hidden)
	case to.Teams != nil:
		err = s.teams(ctx, to.Teams, m, &hidden)
	case to.Email != nil:
		err = s.email(ctx, to.Email, m, &hidden)
	case to.Webhook != nil:
		err = s.webhook(ctx, to.Webhook, m, &hidden)
	case to.Alertmanager != nil:
		err = s.alertmanager(ctx, to.Alertmanager, testNotice(m), &hidden)
	default:
		err = &notify.Failure{Text: "the notifier names no receiver"}
	}
	if err == nil {
		return nil
	}
	f := &notify.Failure{}
	if !errors.As(err, &f) {
		f = &notify.Failure{Text: err.Error()} // before anything was sent
	}
	f.Text = cmp.Or(oneLine(hidden.hide(f.Text), 500), "failed without a word")
	return f
}

func (s *Sender) agent() string { return "Ringfence/" + cmp.Or(s.Version, "dev") }
