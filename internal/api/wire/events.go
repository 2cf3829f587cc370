package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

// Events are some entries of the record.
type Events struct {
	Items []audit.Event `json:"items"`
	Next  int64         `json:"next,omitempty" doc:"where to go on: the next request's after, or before when newest come first; 0 at the end"`
}

// EventQuery asks for entries of the record. Zero fields ask for nothing in particular.
type EventQuery struct {
	After   int64
	Before  int64
	Subject string
	Type    string
	Actor   string
	Since   time.Time
	Until   time.Time
	Limit   int
	Newest  bool // newest first
}
