package schema

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// work fills for a while in a database whose small writes take so long during batches and during pauses. They are asked for at
// all times alike.
func work(p *pace, during, pauses time.Duration) {
	busy := 0.0
	for range 5000 {
		if busy += p.duty; busy >= 1 {
			busy--
			p.answer(during, true)
		} else {
			p.answer(pauses, false)
		}
		p.filled(p.batch, 100)
	}
}

func TestPace(t *testing.T) {
	p := newPace(25*time.Millisecond, 0)
	work(p, time.Millisecond, time.Millisecond)
	if p.duty != dutyMost {
		t.Errorf("nobody is slowed down, and a share of %.2f of the time is used", p.duty)
	}
	work(p, 5*time.Millisecond, time.Millisecond)
	if p.duty < 0.05 || p.duty > 0.15 {
		t.Errorf("a write in ten may be slow, all are during batches, and a share of %.2f of the time is used", p.duty)
	}
	work(p, 50*time.Millisecond, 50*time.Millisecond) // others load the machine: that is no reason to wait
	if p.duty != dutyMost {
		t.Errorf("batches slow nobody down on a loaded machine, and a share of %.2f of the time is used", p.duty)
	}
}

func TestPaceNeverStops(t *testing.T) {
	p := newPace(25*time.Millisecond, 0)
	for range 5000 {
		p.answer(time.Second, true)
		p.answer(time.Millisecond, false)
	}
	if p.duty != dutyLeast {
		t.Errorf("half of all writes are slow, and a share of %.2f of the time is used", p.duty)
	}
}

func TestPaceOfBatches(t *testing.T) {
	p := newPace(25*time.Millisecond, 1000)
	for range 100 {
		p.filled(time.Millisecond, 10)
	}
	large := p.blocks
	for range 100 {
		p.filled(time.Second, 10)
	}
	if large != 4096 || p.blocks != 1 {
		t.Errorf("%d blocks while batches are quick, %d while they are slow", large, p.blocks)
	}
	if rest := p.filled(20*time.Millisecond, 500); rest < 480*time.Millisecond {
		t.Errorf("a pause of %s behind 500 rows, of which 1000 a second are allowed", rest)
	}
}

func TestInUse(t *testing.T) {
	sessions := []Session{{PID: 1, Version: "public_02"}, {PID: 2, Application: "psql"}}
	for _, c := range []struct {
		version string
		unknown bool
		kind    errs.Kind
		ok      bool
	}{{"public_02", true, errs.Conflict, false}, {"public_01", false, errs.Conflict, false}, {"public_01", true, 0, true}} {
		err := InUse(sessions, c.version, "public_03", c.unknown)
		if (err == nil) != c.ok || err != nil && !errs.Is(err, c.kind) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := InUse(nil, "public_01", "public_02", false); err != nil {
		t.Error(err)
	}
	calls := []Session{{PID: 3, How: "call", Calls: []string{"public_02", "public_01"}}}
	if err := InUse(calls, "public_01", "public_02", false); err != nil {
		t.Errorf("a program that understands what stays is in the way: %v", err)
	}
	calls[0].Calls = []string{"public_01"}
	if err := InUse(calls, "public_01", "public_02", true); !errs.Is(err, errs.Conflict) {
		t.Errorf("a program that only understands what goes: %v", err)
	}
}

func TestProgress(t *testing.T) {
	p := Progress{Block: 25, Blocks: 100, Took: time.Minute}
	if p.Share() != 0.25 || p.Left() != 3*time.Minute || (Progress{}).Left() != 0 || (Progress{}).Share() != 0 {
		t.Errorf("%v done, %s left", p.Share(), p.Left())
	}
}
