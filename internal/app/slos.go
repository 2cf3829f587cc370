package app

import (
	"net/url"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/objective"
)

// openSLOs makes what watches SLOs. Alerts of it go where all alerts go.
func (s *server) openSLOs() {
	s.slos = objective.New(objective.Options{Store: s.store, Metrics: s.metrics, Catalog: s.catalog, Alerts: s.pager,
		HeadKind: catalog.HeadKind, HeadName: catalog.HeadName, URL: s.pageURL, Logger: s.Logger, Every: min(3*s.Scrape, 15*time.Second)})
}

// pageURL is the address of a page for people, "" while it is not known.
func (s *server) pageURL(path string) string {
	base := strings.TrimSuffix(s.URL, "/")
	if base == "" {
		return ""
	}
	return base + (&url.URL{Path: path}).EscapedPath()
}

// declared tells who goes by what is declared that it has changed.
func (s *server) declared() {
	s.controller.Declared()
	if s.servicing != nil {
		s.servicing.Wake()
	}
	if s.slos != nil {
		s.slos.Wake()
	}
}
