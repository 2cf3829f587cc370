// Package stat holds the distributions that statistics are read from: the normal, Student's t, the chi-square, and the incomplete
// beta function below them. Tails are computed as such rather than as 1 minus the rest, so that small chances keep
// their digits. Arguments must be finite and degrees of freedom above 0; nothing here fails or panics.
package stat
