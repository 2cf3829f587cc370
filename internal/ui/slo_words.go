package ui

import "strconv"

func percentText(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + " %" }

func burnText(f *float64) string {
	if f == nil {
		return "no data"
	}
	return strconv.FormatFloat(*f, 'f', 2, 64) + " ×"
}

// Wanted is the target in percent.
func (r sloRow) Wanted() string { return strconv.FormatFloat(100*r.Target, 'g', 7, 64) + " %" }
