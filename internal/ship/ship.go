package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// Outputs are the files that instances write to.
type Outputs interface {
	// Streams lists them. Size is where the next byte will be.
	Streams() []logs.Stream
	// Read returns bytes from at on, or from later on when those are gone.
	Read(id string, at int64, most int) (b []byte, from int64, err error)
}

// Sender takes a part of a stream to the control plane, and returns how far that has it.
type Sender interface {
	SendLogs(ctx context.Context, unit string, b logs.Batch) (int64, error)
}

// Disk keeps the places.
type Disk interface {
	Save(b []byte) error
	Load() ([]byte, error)
}

// Options configure a shipper.
type Options struct {
	Unit    string
	Boot    string // different in each run of the process: names the stream of notes
	Outputs Outputs
	Notes   func() []logs.Entry // takes what the gateway noted since
	Sender  Sender
	Disk    Disk
	Logger  *slog.Logger

	Every   time.Duration // between looks; default 500ms
	Backlog int64         // of one stream, in bytes; what is before is passed over; default 8 MiB
}

const (
	chunk     = 256 << 10 // read of one stream at once
	longLine  = 16 << 10
	mostNotes = 4000
	saveEvery = 2 * time.Second
	mostPause = 15 * time.Second
	together  = 1000 // entries in a batch
)

// Shipper sends logs.
type Shipper struct {
	Options
	places map[string]int64
	notes  []logs.Entry
	sent   int64 // notes so far: the place in their stream
	lost   int64 // notes that had no room, not said yet
	dirty  bool
	refuse string // why nothing is taken, once said
}

// New makes a shipper; Run starts it.
func New(o Options) *Shipper {
	if o.Every <= 0 {
		o.Every = 500 * time.Millisecond
	}
	if o.Backlog <= 0 {
		o.Backlog = 8 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Notes == nil {
		o.Notes = func() []logs.Entry { return nil }
	}
	s := &Shipper{Options: o, places: map[string]int64{}}
	b, err := o.Disk.Load()
	if err == nil && b != nil {
		err = json.Unmarshal(b, &s.places)
	}
	if err != nil {
		o.Logger.Warn("how far logs were sent is not known; the control plane knows it too", "err", err)
	}
	return s
}

// Run sends until ctx ends.
func (s *Shipper) Run(ctx context.Context) error {
	pause, saved := s.Every, time.Now()
	for {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			s.save()
			return nil
		case <-t.C:
		}
		s.gather()
		if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
			pause = min(mostPause, 2*max(pause, time.Second))
			s.trouble(err)
		} else {
			pause = s.Every
			s.trouble(nil)
		}
		if time.Since(saved) >= saveEvery {
			saved = time.Now()
			s.save()
		}
	}
}

func (s *Shipper) trouble(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != "" && s.refuse == "" {
		s.Logger.Warn("logs wait: the control plane does not take them", "err", err)
	} else if why == "" && s.refuse != "" {
		s.Logger.Info("logs are taken again")
	}
	s.refuse = why
}

func (s *Shipper) save() {
	if !s.dirty {
		return
	}
	b, err := json.Marshal(s.places)
	if err == nil {
		err = s.Disk.Save(b)
	}
	if err != nil {
		s.Logger.Debug("how far logs were sent is not saved", "err", err)
		return
	}
	s.dirty = false
}

// gather takes what the gateway noted. When too much of it waits, new notes are counted instead of kept.
func (s *Shipper) gather() {
	for _, e := range s.Notes() {
		if len(s.notes) >= mostNotes {
			s.lost++
			continue
		}
		s.notes = append(s.notes, e)
	}
}

// Pass sends what there is, a chunk of each stream at a time, until all are at their end.
func (s *Shipper) Pass(ctx context.Context) error {
	if err := s.sendNotes(ctx); err != nil {
		return err
	}
	streams := s.Outputs.Streams()
	s.forget(streams)
	for range 64 { // then the gateway's notes have their turn again
		more := false
		for _, st := range streams {
			if s.places[st.ID] >= st.Size {
				continue
			}
			again, err := s.one(ctx, st)
			if err != nil {
				return err
			}
			more = more || again
		}
		if !more {
			return nil
		}
	}
	return nil
}

// forget drops the places of files that are gone.
func (s *Shipper) forget(streams []logs.Stream) {
	if len(s.places) <= len(streams) {
		return
	}
	for id := range s.places {
		if !slices.ContainsFunc(streams, func(st logs.Stream) bool { return st.ID == id }) {
			delete(s.places, id)
			s.dirty = true
		}
	}
}

func (s *Shipper) sendNotes(ctx context.Context) error {
	for len(s.notes) > 0 {
		part := s.notes[:min(len(s.notes), together)]
		n := int64(len(part))
		has, err := s.Sender.SendLogs(ctx, s.Unit, logs.Batch{Stream: "gateway " + s.Boot, From: s.sent, To: s.sent + n, Entries: part})
		if hopeless(err) {
			has = s.sent + n
		} else if err != nil {
			return err
		}
		taken := max(0, min(n, has-s.sent)) // fewer than were sent, when some of them had come before
		s.sent += taken
		s.notes = slices.Delete(s.notes, 0, int(taken))
	}
	if s.lost > 0 {
		s.notes = append(s.notes, s.note(logs.Labels{}, fmt.Sprintf("%d entries of the gateway were dropped: the control plane was away for too long", s.lost)))
		s.lost = 0
	}
	return nil
}

// hopeless says whether sending the same again would not help.
func hopeless(err error) bool { return errs.Is(err, errs.Invalid) }

func (s *Shipper) note(l logs.Labels, text string) logs.Entry {
	l.Unit, l.Source = s.Unit, logs.Notes
	return logs.Entry{Time: time.Now(), Severity: logs.Warn, Labels: l, Text: text}
}

// one sends a chunk of a stream, and reports whether there is more.
func (s *Shipper) one(ctx context.Context, st logs.Stream) (bool, error) {
	at := s.places[st.ID]
	start := at
	var entries []logs.Entry
	if st.Size-at > s.Backlog {
		start = st.Size - s.Backlog/2
	}
	b, from, err := s.Outputs.Read(st.ID, start, chunk)
	if err != nil || len(b) == 0 {
		return false, nil // the file may be gone for now; the next look will tell
	}
	if from > at && (start > at || at > 0) {
		if i := bytes.IndexByte(b, '\n'); i >= 0 { // begins in the middle of a line
			b, from = b[i+1:], from+int64(i)+1
		}
		entries = append(entries, s.note(st.Labels, fmt.Sprintf("%d bytes of output were passed over: more was written than could be sent", from-at)))
	}
	lines, taken := split(b)
	if taken == 0 && len(entries) == 0 {
		return false, nil
	}
	now := time.Now()
	for _, line := range lines {
		e := logs.Line(string(bytes.TrimRight(line, "\r")), now)
		e.Labels = st.Labels
		e.Unit, e.Source = s.Unit, logs.Output
		entries = append(entries, e)
	}
	to := from + int64(taken)
	if len(entries) == 0 { // nothing but empty lines
		s.places[st.ID], s.dirty = to, true
		return to < st.Size, nil
	}
	has, err := s.Sender.SendLogs(ctx, s.Unit, logs.Batch{Stream: st.ID, From: at, To: to, Entries: entries})
	if hopeless(err) {
		s.Logger.Warn("a piece of a log was not taken", "stream", st.ID, "err", err)
		has = to
	} else if err != nil {
		return false, err
	}
	s.places[st.ID], s.dirty = has, true // less than was sent, when a part of it had come before
	return s.places[st.ID] < st.Size, nil
}

// split takes whole lines off b, at most as many as go into a batch. A line that is very long is cut.
func split(b []byte) (lines [][]byte, taken int) {
	for taken < len(b) && len(lines) < together-1 {
		i := bytes.IndexByte(b[taken:], '\n')
		end := i
		if i < 0 || i > longLine {
			if len(b)-taken < longLine {
				break
			}
			end = longLine
		}
		if line := b[taken : taken+end]; len(bytes.TrimSpace(line)) > 0 {
			lines = append(lines, line)
		}
		taken += end
		if end == i {
			taken++
		}
	}
	return lines, taken
}
