package experiment

import "github.com/ringfence/ringfence/internal/stat"

const (
	// MismatchAt is the p-value below which users count as wrongly split. It is stricter than alpha, since it is looked
	// at often and blocks every reading.
	MismatchAt = 0.001
	// fewestExpected is the expected count from which on the chi-square stands for counts.
	fewestExpected = 5
	// MultipleAt is the share of users seen in several variants above which there is no reading.
	MultipleAt = 0.01
)

// Mismatch is whether users landed on the variants in the shares that were meant.
type Mismatch struct {
	PValue float64 `json:"pValue"`
	Broken bool    `json:"broken,omitempty"`
}

// CheckShares compares counts of users with the shares that were meant, in any unit, by Pearson's chi-square. A variant
// without a share is left out.
func CheckShares(users []int64, shares []float64) Mismatch {
	var total, whole float64
	for i, n := range users {
		if shares[i] > 0 {
			total += float64(n)
			whole += shares[i]
		}
	}
	if total == 0 {
		return Mismatch{PValue: 1}
	}
	sum, df, enough := 0.0, -1.0, true
	for i, n := range users {
		if shares[i] <= 0 {
			continue
		}
		expected := shares[i] / whole * total
		off := float64(n) - expected
		sum += off * off / expected
		df++
		enough = enough && expected >= fewestExpected
	}
	if df < 1 {
		return Mismatch{PValue: 1}
	}
	p := stat.ChiSquareTail(sum, df)
	return Mismatch{PValue: p, Broken: enough && p < MismatchAt}
}

// Multiple is how many users were seen in several variants.
type Multiple struct {
	Users  int64   `json:"users"`
	Share  float64 `json:"share"`
	Broken bool    `json:"broken,omitempty"`
}

// CheckMultiple judges users who were seen in several variants, beside all who were seen.
func CheckMultiple(several int64, users []int64) Multiple {
	all := several
	for _, n := range users {
		all += n
	}
	m := Multiple{Users: several}
	if all > 0 {
		m.Share = float64(several) / float64(all)
	}
	m.Broken = m.Share > MultipleAt
	return m
}
