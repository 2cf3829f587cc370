package wire

import "github.com/ringfence/ringfence/internal/objective"

// SLOs are all objectives as they are now.
type SLOs struct {
	Items []objective.Status `json:"items"`
}
