package app

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/access/oidc"
	"github.com/ringfence/ringfence/internal/errs"
)

// identity signs in whom the declared identity providers vouch for.
func (s *server) identity() access.Identity {
	s.issuing.Do(func() {
		s.issuers = &oidc.Issuers{Secret: func(file string) (string, error) { return clientSecret(filepath.Join(s.Data, secretsFolder), file) }}
	})
	return access.Identity{Tokens: access.Tokens{Store: s.store}, Providers: s.catalog, Issuers: s.issuers}
}

// clientSecret reads a file in the folder of secrets; nothing of its content is in an error.
func clientSecret(folder, file string) (string, error) {
	missing := errs.E(errs.Unavailable, "the client's secret cannot be read").Next("Put it into the file secrets/%s of the control plane's data folder.", file)
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", missing
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(file))
	if err != nil {
		return "", missing
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil || len(strings.TrimSpace(string(b))) == 0 {
		return "", missing
	}
	return strings.TrimSpace(string(b)), nil
}
