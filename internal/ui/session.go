package ui

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	kindSession = "Session"
	sessionTime = 12 * time.Hour
)

// stored is what is kept of a session, under a hash of its id.
type stored struct {
	Sealed  []byte    `json:"sealed"` // the token, readable only with the id
	Expires time.Time `json:"expires"`
	Agent   string    `json:"agent,omitempty"` // hash of what the browser calls itself: a cookie that is carried elsewhere is worth nothing there
}

func agentOf(r *http.Request) string { return docName(r.UserAgent()) }

var idRE = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// derive gives values that tell nothing of the id or of each other.
func derive(purpose, id string) [32]byte { return sha256.Sum256([]byte(purpose + "\x00" + id)) }

func docName(id string) string {
	sum := derive("name", id)
	return hex.EncodeToString(sum[:])
}

// formToken proves that a form is from a page of the session.
func formToken(id string) string {
	sum := derive("form", id)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func sealer(id string) cipher.AEAD {
	key := derive("seal", id)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// cookieName tells the control planes of one host apart: cookies do not know ports.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil && regexp.MustCompile(`^[0-9]{1,5}$`).MatchString(port) {
		return "ringfence_" + port
	}
	return "ringfence"
}

func cookie(r *http.Request, id string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: id, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil}
}

// begin makes a session for a token that was just accepted, and clears away those that are over.
func (s *Server) begin(ctx context.Context, r *http.Request, token string, who policy.Principal) (string, error) {
	id, now := newID(), s.Now()
	body, err := json.Marshal(stored{Sealed: sealer(id).Seal(nil, nil, []byte(token), nil), Expires: now.Add(sessionTime).UTC(), Agent: agentOf(r)})
	if err != nil {
		return "", err
	}
	e, err := audit.New(now, "session.started", who.Actor(), "token/"+who.Name, map[string]string{"from": peer(r)})
	if err != nil {
		return "", err
	}
	s.sweep(ctx, now)
	_, err = s.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: kindSession, Name: docName(id), Updated: now, Body: body}}, Events: []audit.Event{e}})
	return id, err
}

// sweep removes sessions that are over; whatever it leaves is refused all the same.
func (s *Server) sweep(ctx context.Context, now time.Time) {
	docs, err := s.Store.List(ctx, store.Page{Kind: kindSession})
	if err != nil {
		return
	}
	var w store.Write
	for _, d := range docs {
		var old stored
		if json.Unmarshal(d.Body, &old) != nil || !now.Before(old.Expires) {
			w.Deletes = append(w.Deletes, store.Doc{Kind: d.Kind, Name: d.Name, Rev: d.Rev})
		}
	}
	if len(w.Deletes) > 0 {
		_, _ = s.Store.Commit(ctx, w)
	}
}

// sessionOf returns who a request is from; errs.Denied when it is from nobody.
func (s *Server) sessionOf(r *http.Request) (string, policy.Principal, error) {
	id, _, who, err := s.opened(r)
	return id, who, err
}

// opened is sessionOf with the token that the session stands for.
func (s *Server) opened(r *http.Request) (id, secret string, _ policy.Principal, _ error) {
	none := errs.E(errs.Denied, "not signed in")
	c, err := r.Cookie(cookieName(r))
	if err != nil || !idRE.MatchString(c.Value) {
		return "", "", policy.Principal{}, none
	}
	doc, err := s.Store.Get(r.Context(), kindSession, docName(c.Value))
	if errs.Is(err, errs.Missing) {
		return "", "", policy.Principal{}, none
	}
	if err != nil {
		return "", "", policy.Principal{}, err
	}
	var kept stored
	if err := json.Unmarshal(doc.Body, &kept); err != nil || !s.Now().Before(kept.Expires) {
		return "", "", policy.Principal{}, none
	}
	token, err := sealer(c.Value).Open(nil, nil, kept.Sealed, nil)
	if err != nil {
		return "", "", policy.Principal{}, none
	}
	who, err := s.Access.SignIn(r.Context(), string(token))
	if err == nil && kept.Agent != "" && kept.Agent != agentOf(r) {
		err = errs.E(errs.Denied, "the session of %s was begun in another browser", who.Name)
		s.denied(r, who.Actor(), err)
	}
	return c.Value, string(token), who, err
}

// end makes a session's cookie worth nothing.
func (s *Server) end(ctx context.Context, v *visit) error {
	doc, err := s.Store.Get(ctx, kindSession, docName(v.id))
	if err != nil {
		return err
	}
	e, err := audit.New(v.Now, "session.ended", v.Who.Actor(), "token/"+v.Who.Name, nil)
	if err != nil {
		return err
	}
	_, err = s.Store.Commit(ctx, store.Write{Deletes: []store.Doc{{Kind: kindSession, Name: doc.Name, Rev: doc.Rev}}, Events: []audit.Event{e}})
	return err
}

func (s *Server) ownForm(r *http.Request, v *visit) bool {
	return subtle.ConstantTimeCompare([]byte(r.PostFormValue("form")), []byte(v.Form)) == 1
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(cookieName(r)); err == nil {
		http.SetCookie(w, cookie(r, "", -time.Second))
	}
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// localPath takes only a path of this site, so that nobody is sent elsewhere after signing in.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || len(next) > 500 {
		return "/"
	}
	return next
}
