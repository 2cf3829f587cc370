package stat

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The expected values were computed with 40 digits by mpmath.

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-10*math.Abs(want)) {
		t.Errorf("%s: got %.17g, expected %.17g", what, got, want)
	}
}

func TestNormal(t *testing.T) {
	for _, c := range [][2]float64{{-8.5, 9.4795348222033184e-18}, {-3, 0.0013498980316300945}, {0, 0.5}, {0.5, 0.6914624612740131}, {6, 0.99999999901341235}} {
		near(t, "the chance", NormalCDF(c[0]), c[1])
	}
	for _, c := range [][2]float64{{1e-20, -9.2623400897984076}, {1e-8, -5.6120012441747887}, {0.0005, -3.2905267314918948}, {0.025, -1.9599639845400542},
		{0.3, -0.52440051270804078}, {0.975, 1.9599639845400542}} {
		near(t, "the quantile", NormalQuantile(c[0]), c[1])
	}
	if q := NormalQuantile(0.5); q != 0 {
		t.Errorf("the median is %v", q)
	}
}

func TestStudent(t *testing.T) {
	for _, c := range [][3]float64{{0.1, 1, 0.46827448256944643}, {2, 1, 0.14758361765043327}, {1, 2.5, 0.20203051363913673}, {2.5, 7, 0.020496109292876448},
		{-1.3, 11.4, 0.89036439705502347}, {1.96, 50, 0.027790437027578181}, {0.001, 300, 0.49960139009905705}, {4, 1000, 3.4004959604390789e-5},
		{1.8673, 4911.3, 0.030959615388406199}, {2.3, 99999, 0.010725134564905685}, {2.3, 100001, 0.010725134544414728}, {6, 1e6, 9.8692490617721733e-10},
		{40, 12, 1.9256147903860169e-14}} {
		near(t, "the tail", StudentTail(c[0], c[1]), c[2])
	}
	for _, c := range [][3]float64{{0.025, 1, 12.706204736174705}, {0.025, 3.7, 2.8675207071911895}, {0.025, 30, 2.0422724563012383},
		{0.0005, 200, 3.3398354062756783}, {0.4, 5, 0.26718086570414513}, {0.975, 9, -2.2621571627982055}, {0.025, 4911.3, 1.9604471246518538}} {
		near(t, "the quantile", StudentQuantile(c[0], c[1]), c[2])
	}
}

func TestChiSquare(t *testing.T) {
	for _, c := range [][3]float64{{0.001, 1, 0.97477287936996039}, {3.841458820694124, 1, 0.050000000000000058}, {10.8276, 1, 0.00099998172918164191}, {4.761904761904762, 1, 0.029096331741252214}, {2.5, 3, 0.47529108334302059}, {60, 3, 5.8782307279069123e-13}, {25, 24, 0.40576068881148275}, {1500, 1400, 0.031503720989392391}, {700, 1, 2.9902269751246203e-154}} {
		near(t, "the tail", ChiSquareTail(c[0], c[1]), c[2])
	}
	if p := ChiSquareTail(0, 3); p != 1 {
		t.Errorf("the tail from 0 is %v", p)
	}
}

func TestQuantilesInvertTails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail := math.Exp(-rapid.Float64Range(0.7, 25).Draw(t, "log"))
		df := math.Exp(rapid.Float64Range(0, 16).Draw(t, "df"))
		x := StudentQuantile(tail, df)
		if back := StudentTail(x, df); math.Abs(back-tail) > 1e-8*tail {
			t.Fatalf("df %v: the tail from %v is %v, expected %v", df, x, back, tail)
		}
		if y := StudentQuantile(1-tail, df); math.Abs(x+y) > 1e-4*(1+x) && tail > 1e-9 {
			t.Fatalf("df %v: %v and %v are not opposite", df, x, y)
		}
	})
}
