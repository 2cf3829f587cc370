package app

import (
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// measured fits the metrics to what is measured here.
func measured(*tsdb.DB) probing.Metrics { return nil }
