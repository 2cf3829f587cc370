package ui

import "strconv"

func percentText(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + " %" }

// leftText says what is left of a budget, or how often it is spent.
func leftText(remaining float64) string {
	if remaining >= 0 {
		return percentText(remaining)
	}
	return "spent " + strconv.FormatFloat(1-remaining, 'g', 3, 64) + " ×"
}

func burnText(f *float64) string {
	if f == nil {
		return "no data"
	}
	return strconv.FormatFloat(*f, 'f', 2, 64) + " ×"
}

// Wanted is the target in percent.
func (r sloRow) Wanted() string { return strconv.FormatFloat(100*r.Target, 'g', 7, 64) + " %" }
