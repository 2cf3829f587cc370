package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// stall is how long a transfer may stand still.
const stall = 30 * time.Second

const binary = "application/octet-stream"

func (s *Server) artifacts() {
	const path = "/v1/artifacts/{digest}"
	register(s, operation{method: http.MethodPut, path: path, id: "putArtifact", tag: "artifacts",
		summary: "Keeps an artifact under its digest", about: "The body is the artifact itself. It is kept only when it has the digest; putting it again changes nothing.",
		route: route{action: policy.Decide, maxBody: catalog.MaxArtifact, stream: true}}, s.putArtifact)
	register(s, operation{method: http.MethodHead, path: path, id: "headArtifact", tag: "artifacts", summary: "Says whether an artifact is here",
		route: route{action: policy.Decide}}, s.headArtifact)
	register(s, operation{method: http.MethodGet, path: path, id: "getArtifact", tag: "artifacts", summary: "Answers an artifact", media: binary,
		about: "An answer that breaks off was damaged; whoever reads checks the digest.",
		route: route{action: policy.Fetch, stream: true}}, s.getArtifact)
}

// ByDigest is the part of a path that names an artifact.
type ByDigest struct {
	Digest string `path:"digest" pattern:"^sha256:[0-9a-f]{64}$" doc:"sha256: and 64 hexadecimal digits"`
}

// uploadInput takes the body as it comes.
type uploadInput struct {
	ByDigest
	body io.Reader
}

// Resolve is how the library hands the request over.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	_, w := humago.Unwrap(ctx)
	in.body = &moving{r: ctx.BodyReader(), control: http.NewResponseController(w)}
	return nil
}

func (s *Server) putArtifact(ctx context.Context, in *uploadInput) (*answered[wire.Artifact], error) {
	if !resource.ValidDigest(in.Digest) {
		return nil, errs.E(errs.Invalid, "digest %q: expected sha256: and 64 hexadecimal digits", clip(in.Digest, 100))
	}
	if size, err := s.Artifacts.Size(ctx, in.Digest); err == nil {
		return &answered[wire.Artifact]{wire.Artifact{Digest: in.Digest, Size: size}}, nil
	}
	digest, size, err := s.Artifacts.Put(ctx, &checked{r: in.body, sum: sha256.New(), want: in.Digest}, catalog.MaxArtifact)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, tooLarge(large.Limit)
	}
	if err != nil {
		return nil, err
	}
	return &answered[wire.Artifact]{wire.Artifact{Digest: digest, Size: size}}, nil
}

// checked fails instead of ending when what was read has another digest than wanted, so that nothing of it is kept.
type checked struct {
	r    io.Reader
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if got := "sha256:" + hex.EncodeToString(c.sum.Sum(nil)); got != c.want {
			return n, errs.E(errs.Invalid, "the artifact has digest %s, expected %s", got, c.want).Next("Upload it again; it was changed on the way.")
		}
	}
	return n, err
}

// moving lets a transfer take its time for as long as it gets on.
type moving struct {
	r       io.Reader
	control *http.ResponseController
}

func (m *moving) Read(p []byte) (int, error) {
	_ = m.control.SetReadDeadline(time.Now().Add(stall))
	return m.r.Read(p)
}

type sizeAnswer struct {
	Size string `header:"X-Artifact-Size" doc:"bytes"`
}

func (s *Server) headArtifact(ctx context.Context, in *ByDigest) (*sizeAnswer, error) {
	size, err := s.Artifacts.Size(ctx, in.Digest)
	return &sizeAnswer{Size: strconv.FormatInt(size, 10)}, err
}

func (s *Server) getArtifact(ctx context.Context, in *ByDigest) (*huma.StreamResponse, error) {
	size, err := s.Artifacts.Size(ctx, in.Digest)
	if errs.Is(err, errs.Missing) { // asked for because a release names it: the folder lacks what the database knows
		return nil, errs.E(errs.Missing, "artifact %s is not in this control plane's artifacts folder, which is to be shared by all control planes of a database and kept with it", in.Digest)
	}
	if err != nil {
		return nil, err
	}
	content, err := s.Artifacts.Open(ctx, in.Digest)
	if err != nil {
		return nil, err
	}
	return transfer(map[string]string{"Content-Length": strconv.FormatInt(size, 10)}, func(w io.Writer) error {
		_, err := io.Copy(w, content)
		return errors.Join(err, content.Close())
	}), nil
}
