// Package incident says what an incident is and what follows from what is known of it.
//
// An incident is a State that changes by events alone: Decide turns what somebody asks for into events or says why it
// cannot be so, Fold applies them. It goes from open over acknowledged, mitigated and resolved to closed, never past
// one of these unseen, and is closed only when Checklist has nothing left to do.
//
// Times are counted from the first bad event in the data, not from when somebody noticed: Onset finds it in counts of
// requests by version and ring. It is a sequential likelihood-ratio test (Page's CUSUM) of each part of the traffic
// against how that part was before; the first bad event is the first one of the climb that crosses the threshold.
//
// Rank orders what may be the cause. Each candidate gets the logarithm of its odds: how close it was and how near to
// the service (a prior), and how well it explains where the bad events are. For the second it compares two models of
// the counts since the onset: that only what the change exposed got worse, and that everything got worse alike. The
// shares of all candidates, with "none of these" among them, add up to one.
//
// Measures (DORA's four), trends and rotations are arithmetic over what is handed in. Nothing here asks a clock.
package incident
