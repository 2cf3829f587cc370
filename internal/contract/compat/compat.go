package compat

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// MaxDocument is the largest document.
const MaxDocument = 4 << 20

// Blobs keeps documents under their digests.
type Blobs interface {
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Reader reads interfaces.
type Reader struct{ Blobs Blobs }

// reader is a format that is known.
type reader interface {
	operations(doc []byte, now time.Time) ([]fleet.Operation, error)
	breaks(before, after []byte) ([]contract.Found, error)
}

var formats = map[string]reader{"openapi": openAPI{}, "protobuf": protobuf{}}

func (r Reader) read(ctx context.Context, format, digest string) (reader, []byte, error) {
	f := formats[format]
	if f == nil {
		return nil, nil, errs.E(errs.Invalid, "interface: format %.40q, expected openapi or protobuf", format)
	}
	in, err := r.Blobs.Open(ctx, digest)
	if errs.Is(err, errs.Missing) {
		return nil, nil, errs.E(errs.Missing, "the interface %s is not here", digest).Next("Upload the document before making a release with it.")
	}
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	doc, err := io.ReadAll(io.LimitReader(in, MaxDocument+1))
	if err == nil && len(doc) > MaxDocument {
		err = errs.E(errs.Invalid, "the interface has more than %d MiB", MaxDocument>>20)
	}
	return f, doc, err
}

// Operations are what a document declares, in order of their names. What is deprecated without a date is so from now on.
func (r Reader) Operations(ctx context.Context, format, digest string, now time.Time) (all []fleet.Operation, err error) {
	f, doc, err := r.read(ctx, format, digest)
	if err != nil {
		return nil, err
	}
	defer stumbled(&err)
	if all, err = f.operations(doc, now.UTC().Truncate(time.Second)); err != nil {
		return nil, err
	}
	if len(all) == 0 || len(all) > fleet.MostOperations {
		return nil, errs.E(errs.Invalid, "the interface declares %d operations, expected 1 to %d", len(all), fleet.MostOperations)
	}
	for _, op := range all {
		if len(op.Name) > 500 {
			return nil, errs.E(errs.Invalid, "an operation's name has %d bytes, expected at most 500: %.60s…", len(op.Name), op.Name)
		}
	}
	slices.SortFunc(all, func(a, b fleet.Operation) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Breaks are what callers of one document would notice of another.
func (r Reader) Breaks(ctx context.Context, format, before, after string) (found []contract.Found, err error) {
	f, old, err := r.read(ctx, format, before)
	if err != nil {
		return nil, err
	}
	_, next, err := r.read(ctx, format, after)
	if err != nil {
		return nil, err
	}
	defer stumbled(&err)
	found, err = f.breaks(old, next)
	slices.SortStableFunc(found, func(a, b contract.Found) int {
		return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(found), err
}

// stumbled makes an error of a library's panic: what people send ends no process.
func stumbled(err *error) {
	if p := recover(); p != nil {
		*err = errs.E(errs.Invalid, "the interface cannot be read: %.200v", p)
	}
}
