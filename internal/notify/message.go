package notify

import (
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

// Mood says how a message is meant, for its colour.
type Mood string

// The moods.
const (
	Calm Mood = "calm"
	Good Mood = "good"
	Warn Mood = "warn"
	Bad  Mood = "bad"
)

// Message is what one receiver is told at once. People read the words; programs read Events.
type Message struct {
	ID     string // the same at every attempt
	Title  string // what happened to what, in one line
	Mood   Mood
	Why    string // one sentence, may be empty
	Facts  []Fact
	Lines  []Line // what happened, in order, when there is more to it than the title
	Next   string // what to do now
	Link   string // page with all of it; empty when the address of the pages is not known
	Repeat bool   // it may have been sent before
	At     time.Time
	Events []Event
}

// Fact is a detail with its name.
type Fact struct{ Name, Value string }

// Line is one thing that happened.
type Line struct {
	At   time.Time
	Text string
}

// Event is an entry of the record with what a reader would have to look up. It is the same however often it is made.
type Event struct {
	audit.Event
	ID      string // unlike that of any other event, of this or another database
	Source  string // the control plane's address
	Service string // empty when it is not about one
	Rollout string // empty when it is not about one
	Plan    string // and further, of a rollout
	Lane    string
	From    string   // what ran before, as release or release@config
	To      string   // what is rolled out
	Digest  string   // of the release that this leaves running
	Units   []string // where the service runs
	By      string   // who released it
	Text    string   // what happened, in a sentence
	Link    string
}
