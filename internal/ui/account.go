package ui

import (
	"net/http"
	"time"
)

type accountView struct {
	*visit
	Secret  string // a token that was made just now, shown this once
	Expires time.Time
	Server  string
}

// account says who one is here.
func (s *Server) account(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title = "Your account"
	return s.show(w, r, http.StatusOK, "account", accountView{visit: v, Server: origin(r)})
}

func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// lend makes a token for the command line and shows it, this once.
func (s *Server) lend(w http.ResponseWriter, r *http.Request, v *visit) error {
	_, token, _, err := s.opened(r)
	if err != nil {
		return err
	}
	secret, made, err := s.Identity.Lend(r.Context(), token, peer(r), v.Now)
	if err != nil {
		return err
	}
	v.Title = "A token for the command line"
	return s.show(w, r, http.StatusOK, "account", accountView{visit: v, Secret: secret, Expires: made.Expires, Server: origin(r)})
}
