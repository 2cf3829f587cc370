package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/alert"
)

// TakeAlert takes an alert or a page.
type TakeAlert struct {
	Note  string    `json:"note,omitempty" maxLength:"2000" doc:"what is being done about it"`
	Until time.Time `json:"until,omitempty" doc:"when others are called again if it still fires; default never"`
	Undo  bool      `json:"undo,omitempty" doc:"give it back"`
}

// AlertRecords are alerts.
type AlertRecords struct {
	Items []alert.Record `json:"items"`
}

// NewSilence keeps alerts from being told for a while.
type NewSilence struct {
	Matchers []string  `json:"matchers" minItems:"1" maxItems:"64" doc:"conditions that must all be met, such as service=\"shop\"; =, !=, =~ or !~"`
	Starts   time.Time `json:"starts,omitempty" doc:"default now"`
	Until    time.Time `json:"until" doc:"when it ends"`
	Reason   string    `json:"reason" minLength:"1" maxLength:"2000" doc:"why"`
}

// MadeSilence is a silence that was made.
type MadeSilence struct {
	ID string `json:"id"`
}
