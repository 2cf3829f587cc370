package fleet

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Dur is a duration that reads and writes itself as "1m30s"; numbers are refused, as they have no unit.
type Dur time.Duration

// D returns d as a time.Duration, or def when d is zero.
func (d Dur) D(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// String leaves out the zeros that time.Duration writes after minutes and hours: 30m, not 30m0s.
func (d Dur) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON writes "1m30s".
func (d Dur) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads "1m30s".
func (d *Dur) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("expected a duration such as \"30m\", got %s", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("expected a duration such as \"30m\", got %q", s)
	}
	*d = Dur(v)
	return nil
}
