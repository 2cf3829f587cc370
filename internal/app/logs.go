package app

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/workload"
)

// logs streams instances' output to whoever has the data plane's token.
func (d *dataPlane) logs(w http.ResponseWriter, r *http.Request) {
	if !access.Bearer(r, d.token) {
		http.Error(w, "the data plane's token is needed", http.StatusUnauthorized)
		return
	}
	q := r.URL.Query()
	instance, _ := strconv.Atoi(q.Get("instance"))
	tail, _ := strconv.Atoi(q.Get("tail"))
	ask := workload.LogQuery{Service: q.Get("service"), Version: q.Get("version"), Instance: instance, Tail: tail, Follow: q.Get("follow") == "true"}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := flushing{w, http.NewResponseController(w)}
	var err error
	if ask.Version != "" {
		err = d.logsOf(r.Context(), ask, out)
	} else {
		err = d.logsOfAll(r.Context(), ask, out)
	}
	if errs.Is(err, errs.Missing) {
		http.Error(w, err.Error(), http.StatusNotFound)
	}
}

func (d *dataPlane) logsOf(ctx context.Context, q workload.LogQuery, out io.Writer) error {
	logs, err := d.keeper.Load().runtime.Logs(ctx, q)
	if err != nil {
		return err
	}
	defer logs.Close()
	_, err = io.Copy(out, logs)
	return err
}

// logsOfAll joins the output of all versions that run, each line led by its version; followed, also of those that
// are started later.
func (d *dataPlane) logsOfAll(ctx context.Context, q workload.LogQuery, out io.Writer) error {
	joined := &lines{out: out}
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for begun := map[string]bool{}; ; {
		for _, v := range d.versions(q.Service) {
			if begun[v] {
				continue
			}
			of := q
			of.Version = v
			logs, err := d.keeper.Load().runtime.Logs(ctx, of)
			if errs.Is(err, errs.Missing) {
				continue
			}
			if err != nil {
				return err
			}
			begun[v] = true
			group.Go(func() error { return joined.copy(v, logs) })
		}
		if !q.Follow && len(begun) == 0 {
			return errs.E(errs.Missing, "no version of %s has a log in this unit now; name one that has ended", q.Service)
		}
		if !q.Follow {
			return group.Wait()
		}
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-tick.C:
		}
	}
}

// versions are those of a service that have slots now.
func (d *dataPlane) versions(service string) []string {
	var all []string
	for _, s := range d.keeper.Load().agent.Observe().Services {
		if s.Name != service {
			continue
		}
		for _, slot := range s.Slots {
			all = append(all, slot.Version)
		}
	}
	return all
}

// lines joins what several write, line by line.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) copy(name string, from io.ReadCloser) error {
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			l.mu.Lock()
			_, failed := io.WriteString(l.out, name+" "+line)
			l.mu.Unlock()
			if failed != nil {
				return failed
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type flushing struct {
	io.Writer
	control *http.ResponseController
}

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	_ = f.control.Flush()
	return n, err
}
