package fleet

import "time"

// Upgrade is a process of Ringfence that was replaced by another one while it served, or was not.
type Upgrade struct {
	Part string    `json:"part" maxLength:"20" doc:"control, data or up"`
	By   string    `json:"by" maxLength:"100" doc:"user of the machine who asked for it"`
	From string    `json:"from" maxLength:"100" doc:"version before"`
	To   string    `json:"to" maxLength:"100" doc:"version after, or that it was tried with"`
	At   time.Time `json:"at" doc:"when it was asked for"`
	Back bool      `json:"back,omitempty" doc:"it was to go back to the version before the last upgrade"`
	Why  string    `json:"why,omitempty" maxLength:"2000" doc:"why it failed; it was done when empty"`
}

// Types of the events that record an Upgrade.
const (
	EvUpgraded      = "ringfence.upgraded"
	EvUpgradeFailed = "ringfence.upgrade_failed"
)
