package ui

// Charts is what charts are drawn from.
type Charts = charts
