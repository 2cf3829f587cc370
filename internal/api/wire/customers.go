package wire

import "github.com/ringfence/ringfence/internal/account"

// Customers is how the accounts of services fare.
type Customers struct {
	Items []account.Report `json:"items" doc:"one for each service"`
}
