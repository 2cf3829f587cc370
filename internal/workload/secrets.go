package workload

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// secretsVar tells an instance where its secrets are: on a descriptor, to be read once to its end.
const secretsVar = "RINGFENCE_SECRETS_FD=3"

// secrets are what an instance is given on a descriptor: a pipe that holds all of it and has no writer any more. Neither an environment, which
// every process of the same user can read for as long as the instance lives, nor a file ever holds them, and once they are read they are gone from it.
func (i *instance) secrets(ctx context.Context, slot fleet.Slot, service string) ([]*os.File, error) {
	if len(slot.Secrets) == 0 {
		return nil, nil
	}
	if i.rt.opt.Secrets == nil {
		return nil, errs.E(errs.Unavailable, "nothing here knows secrets")
	}
	raw, err := i.rt.opt.Secrets(ctx, service, slot.Version, i.view.ID)
	if err != nil {
		return nil, err
	}
	r, err := filled(raw)
	if err != nil {
		return nil, err
	}
	return []*os.File{r}, nil
}

// filled is the end to read from of a pipe that holds this, without its ever having waited for a reader.
func filled(raw []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if len(raw) > 60<<10 { // a pipe holds 64 KiB unless it is asked for more
		if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, len(raw)+4096); err != nil {
			return nil, errors.Join(errs.E(errs.Invalid, "secrets of %d bytes are more than one instance can be given", len(raw)), r.Close(), w.Close())
		}
	}
	_, err = w.Write(raw)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}
