package wire

import "time"

// NotifierTest is what came of a test message.
type NotifierTest struct {
	Notifier  string `json:"notifier" doc:"who was to be told"`
	Channel   string `json:"channel" enum:"slack,teams,email,webhook,alertmanager" doc:"how"`
	Delivered bool   `json:"delivered" doc:"the receiver took it"`
	Error     string `json:"error,omitempty" doc:"why it did not"`
}

// Notifiers are all notifiers, and how they stand.
type Notifiers struct {
	Items []NotifierStatus `json:"items"`
}

// NotifierStatus is how a notifier stands.
type NotifierStatus struct {
	Name     string    `json:"name"`
	Channel  string    `json:"channel" enum:"slack,teams,email,webhook,alertmanager"`
	Waiting  int       `json:"waiting" doc:"events on the record of which it is still to be told; no more than 1000 are counted"`
	Failing  time.Time `json:"failing,omitzero" doc:"since when its receiver takes nothing; nothing while it does"`
	Error    string    `json:"error,omitempty" doc:"of the last attempt"`
	Attempts int       `json:"attempts,omitempty" doc:"to send the message that is next"`
	Next     time.Time `json:"next,omitzero" doc:"when the next attempt may begin"`
}
