package app

import "github.com/ringfence/ringfence/internal/pager"

// openPager makes what takes alerts of all sources.
func (s *server) openPager() {
	s.pager = pager.New(pager.Options{Store: s.store, Catalog: s.catalog, Logger: s.Logger})
}
