package wire

import "github.com/ringfence/ringfence/internal/record"

// Record is the log over the record.
type Record struct {
	record.Log
	Wrong []record.Finding `json:"wrong" doc:"what is wrong with the record; none when all is whole"`
}
