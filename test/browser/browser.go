// Package browser looks at the pages in a real browser, over a real Ringfence under real traffic: what is drawn moves
// while it is looked at, what is pressed happens, keys work, nothing is refused by the Content-Security-Policy, and
// every page fits a phone and a desk, by day and by night. RINGFENCE_SHOTS names a folder in which the pictures stay.
package browser
