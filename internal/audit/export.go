package audit

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The files of an export.
const (
	FileEvents     = "events.jsonl" // an event a line, its data as text, byte for byte as it was hashed
	FileLeaves     = "leaves"       // the leaves of the tree as the log has them, a line each
	FileCheckpoint = "checkpoint"   // what the log signed
	FileKeys       = "keys"         // the log's public keys, a line each
)

const maxLine = 32 << 20 // JSON text of the largest event

type exportLine struct {
	Seq     int64  `json:"seq"`
	Time    string `json:"time,omitempty"`
	Type    string `json:"type,omitempty"`
	Actor   string `json:"actor,omitempty"`
	Subject string `json:"subject,omitempty"`
	Data    string `json:"data,omitempty"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash"`
}

// ExportLine is e as a line of an export, with its newline.
func ExportLine(e Event) ([]byte, error) {
	l := exportLine{Seq: e.Seq, Type: e.Type, Actor: e.Actor, Subject: e.Subject, Data: string(e.Data), Prev: e.Prev, Hash: e.Hash}
	if !e.Removed() {
		l.Time = e.Time.UTC().Format(time.RFC3339Nano)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(l)
	return b.Bytes(), err
}

// ParseExportLine reads a line with its newline. A line that ExportLine would write in another way is refused, so that no byte of it
// can be changed without notice.
func ParseExportLine(line []byte) (Event, error) {
	var l exportLine
	if err := json.Unmarshal(line, &l); err != nil {
		return Event{}, fmt.Errorf("its line is no event: %w", err)
	}
	e := Event{Seq: l.Seq, Type: l.Type, Actor: l.Actor, Subject: l.Subject, Prev: l.Prev, Hash: l.Hash, Time: time.UnixMicro(0).UTC()}
	if l.Data != "" {
		e.Data = json.RawMessage(l.Data)
	}
	if l.Time != "" {
		at, err := time.Parse(time.RFC3339Nano, l.Time)
		if err != nil {
			return Event{}, fmt.Errorf("its line has no time: %w", err)
		}
		e.Time = at.UTC()
	}
	if again, err := ExportLine(e); err != nil || !bytes.Equal(again, line) {
		return Event{}, fmt.Errorf("its line is not written as an export writes it")
	}
	return e, nil
}

// Export is what Check reads.
type Export struct {
	Events     io.Reader
	Leaves     io.Reader
	Checkpoint []byte
	Keys       []string
	Earlier    [][]byte // checkpoints that were obtained before, each of which the export must continue
}

// Report is what was found of an export that is whole.
type Report struct {
	Origin  string  `json:"origin"`
	Events  int64   `json:"events"`
	Root    string  `json:"root"`
	Key     string  `json:"key"`
	Earlier []int64 `json:"earlier,omitempty"` // sizes of the earlier checkpoints that it continues
	Removed []Range `json:"removed,omitempty"`
}

// Check verifies an export. An error that is a *Bad names the first event that is not what it was.
func (x Export) Check() (Report, error) {
	c := checking{}
	var err error
	if c.own, err = OpenCheckpoint(x.Checkpoint, x.Keys); err != nil {
		return Report{}, err
	}
	if len(c.own.Others) > 0 {
		return Report{}, fmt.Errorf("the export's checkpoint has a signature that is not the log's")
	}
	for i, signed := range x.Earlier {
		o, err := OpenCheckpoint(signed, x.Keys)
		if err != nil {
			return Report{}, fmt.Errorf("earlier checkpoint %d: %w", i+1, err)
		}
		if o.Origin != c.own.Origin {
			return Report{}, fmt.Errorf("earlier checkpoint %d is of the log %q, the export of %q", i+1, o.Origin, c.own.Origin)
		}
		c.earlier = append(c.earlier, o.Checkpoint)
	}
	slices.SortFunc(c.earlier, func(a, b Checkpoint) int { return int(min(max(a.Size-b.Size, -1), 1)) })
	if err := c.readLeaves(x.Leaves); err != nil {
		return Report{}, err
	}
	if err := c.readEvents(x.Events); err != nil {
		return Report{}, err
	}
	if err := c.compare(); err != nil {
		return Report{}, err
	}
	r := Report{Origin: c.own.Origin, Events: c.own.Size, Root: c.own.Root.String(), Key: c.own.Key, Removed: c.chain.Removed()}
	for _, e := range c.earlier {
		r.Earlier = append(r.Earlier, e.Size)
	}
	return r, nil
}

// checking is the state of a check.
type checking struct {
	own     Opened
	earlier []Checkpoint
	leaves  []Hash
	trusted bool // the leaves lead to the checkpoint
	chain   Chain
	tree    Tree
	differs int64        // the first event whose leaf is not the one that the leaves say
	roots   map[int]Hash // by the place of an earlier checkpoint
}

func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i+1], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil // without its newline: whoever reads the line finds that
		}
		return 0, nil, nil
	})
	return s
}

// readLeaves takes what can be read of the leaves; whether they are the log's is seen at their root.
func (c *checking) readLeaves(r io.Reader) error {
	var tree Tree
	s := lines(r)
	exact := true
	for s.Scan() {
		raw, err := hex.DecodeString(string(bytes.TrimSuffix(s.Bytes(), []byte("\n"))))
		if err != nil || len(raw) != HashSize || hex.EncodeToString(raw)+"\n" != string(s.Bytes()) {
			raw, exact = make([]byte, HashSize), false
		}
		c.leaves = append(c.leaves, Hash(raw))
		tree.Append(Hash(raw))
	}
	if err := s.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("read the leaves: %w", err)
	}
	c.trusted = exact && s.Err() == nil && tree.Size == c.own.Size && tree.Root() == c.own.Root
	return nil
}

func (c *checking) readEvents(r io.Reader) error {
	c.roots = map[int]Hash{}
	c.passed()
	s := lines(r)
	for s.Scan() {
		seq := c.tree.Size + 1
		e, err := ParseExportLine(s.Bytes())
		if err != nil {
			return bad(seq, "%v", err)
		}
		if seq > c.own.Size {
			return bad(seq, "was added: the checkpoint has %d events", c.own.Size)
		}
		if err := c.chain.Add(e); err != nil {
			return err
		}
		leaf, err := Leaf(e.Hash)
		if err != nil {
			return bad(seq, "%v", err)
		}
		if c.differs == 0 && (seq > int64(len(c.leaves)) || c.leaves[seq-1] != leaf) {
			if c.differs = seq; c.trusted {
				return bad(seq, "is not the one that the log has: it was rewritten")
			}
		}
		c.tree.Append(leaf)
		c.passed()
	}
	if err := s.Err(); err != nil {
		return bad(c.tree.Size+1, "cannot be read: %v", err)
	}
	return c.chain.End()
}

// passed keeps the hash of the tree where an earlier checkpoint was.
func (c *checking) passed() {
	for i, e := range c.earlier {
		if e.Size == c.tree.Size {
			c.roots[i] = c.tree.Root()
		}
	}
}

func (c *checking) compare() error {
	if c.tree.Size < c.own.Size {
		return bad(c.tree.Size+1, "is missing: the checkpoint has %d events", c.own.Size)
	}
	good := int64(0)
	for i, e := range c.earlier {
		switch {
		case e.Size > c.tree.Size:
			return bad(c.tree.Size+1, "is missing: an earlier checkpoint has %d events, the end was cut off", e.Size)
		case c.roots[i] != e.Root:
			return bad(good+1, "or one after it, up to event %d, was rewritten: an earlier checkpoint of %d events has another hash", e.Size, e.Size)
		}
		good = e.Size
	}
	switch {
	case c.tree.Root() != c.own.Root:
		return bad(max(good+1, c.differs), "or one after it was rewritten: the events do not lead to the hash that the log signed")
	case !c.trusted:
		return bad(max(1, c.differs), "its line in the file %s was changed", FileLeaves)
	}
	return nil
}

// ParseKeys reads public keys, a line each.
func ParseKeys(b []byte) ([]string, error) {
	if len(b) == 0 || len(b) > MaxCheckpoint {
		return nil, fmt.Errorf("there is no key of the log: expected lines NAME+HASH+KEY")
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return nil, fmt.Errorf("the last key of the log is cut off")
	}
	keys := strings.Split(text, "\n")
	for _, k := range keys {
		if _, err := OriginOf(k); err != nil {
			return nil, err
		}
	}
	return keys, nil
}
