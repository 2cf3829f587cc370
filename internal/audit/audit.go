package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Event is one entry of the record. Seq, Prev and Hash are set by Seal; everything else by whoever records it.
type Event struct {
	Seq     int64           `json:"seq" doc:"position in the record, from 1 without gaps"`
	Time    time.Time       `json:"time" doc:"when it was decided, UTC, to the microsecond"`
	Type    string          `json:"type" doc:"what happened, as subject.verb in the past tense: rollout.started"`
	Actor   string          `json:"actor" doc:"who did it: user:admin, or system:controller for an automatic decision"`
	Subject string          `json:"subject" doc:"what it happened to, as kind/name: service/shop, rollout/shop-3"`
	Data    json.RawMessage `json:"data,omitempty" doc:"the details and the evidence"`
	Prev    string          `json:"prev" doc:"hash of the event before, 64 zeros for the first"`
	Hash    string          `json:"hash" doc:"SHA-256 over this event and prev, in hexadecimal"`
}

// Genesis is the hash before the first event.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// New makes an unsealed event. Data is marshalled to JSON; nil leaves it out.
func New(now time.Time, typ, actor, subject string, data any) (Event, error) {
	e := Event{Time: now.UTC().Truncate(time.Microsecond), Type: typ, Actor: actor, Subject: subject}
	if data == nil {
		return e, nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("event %s: %w", typ, err)
	}
	e.Data = b
	return e, nil
}

// Seal gives e its place: the sequence number after seq and the hash after prev.
func Seal(seq int64, prev string, e Event) Event {
	e.Seq, e.Prev = seq+1, prev
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	e.Hash = hashOf(e)
	return e
}

// hashOf hashes the fields length-prefixed, so that no two different events have the same input.
func hashOf(e Event) string {
	h := sha256.New()
	var n [8]byte
	put := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	put([]byte(e.Prev))
	binary.BigEndian.PutUint64(n[:], uint64(e.Seq))
	h.Write(n[:])
	binary.BigEndian.PutUint64(n[:], uint64(e.Time.UnixMicro()))
	h.Write(n[:])
	put([]byte(e.Type))
	put([]byte(e.Actor))
	put([]byte(e.Subject))
	put(e.Data)
	return hex.EncodeToString(h.Sum(nil))
}

// Verify checks that events continue the chain after (seq, prev). It returns the first event that does not fit.
func Verify(seq int64, prev string, events []Event) error {
	for _, e := range events {
		switch {
		case e.Seq != seq+1:
			return fmt.Errorf("event %d: expected number %d: an event is missing or out of order", e.Seq, seq+1)
		case e.Prev != prev:
			return fmt.Errorf("event %d: does not continue event %d", e.Seq, seq)
		case e.Hash != hashOf(e):
			return fmt.Errorf("event %d: its content does not match its hash", e.Seq)
		}
		seq, prev = e.Seq, e.Hash
	}
	return nil
}
