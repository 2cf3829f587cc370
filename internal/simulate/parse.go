package simulate

import (
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

var perSecond = map[string]float64{"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}

// ParseTraffic reads requests a second from 500/s, 2000/min, 40/h or 300/d.
func ParseTraffic(s string) (float64, error) {
	count, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(count, 64)
	over := perSecond[unit]
	if err != nil || over == 0 || !(n > 0 && n/over <= maxTraffic) {
		return 0, errs.E(errs.Invalid, "traffic %q: expected requests by time such as 500/s, 2000/min or 40/h, at most %d/s", clip(s), maxTraffic)
	}
	return n / over, nil
}

// ParseShare reads a share from 0.5% or 0.005.
func ParseShare(s string) (float64, error) {
	number, isPercent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, errs.E(errs.Invalid, "%q: expected a share such as 0.5%% or 0.005", clip(s))
	}
	return v, nil
}

// ParseChange reads a regression from 2x, a multiple of the baseline, or from 3%, the share that is bad then.
func ParseChange(s string) (Change, error) {
	if times, ok := strings.CutSuffix(s, "x"); ok {
		v, err := strconv.ParseFloat(times, 64)
		if err != nil || !(v > 0 && v <= 1e6) {
			return Change{}, errs.E(errs.Invalid, "%q: expected a multiple of the baseline such as 2x", clip(s))
		}
		return Change{Times: v}, nil
	}
	share, err := ParseShare(s)
	if err != nil {
		return Change{}, errs.E(errs.Invalid, "%q: expected a multiple of the baseline such as 2x, or a share such as 3%%", clip(s))
	}
	return Change{Share: share}, nil
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 60)], "") }
