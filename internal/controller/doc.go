// Package controller carries rollouts: observe, rollout.Next, record, act.
//
// For each service it keeps one Live document (which version is stable, which rollout is in flight) and, for
// its unit, one Desired document (what the data plane shall run). A step reads them, gathers evidence, asks
// rollout.Next, and writes the events, the new state and the new Desired in one transaction. Publishing what
// was written is the act: it only wakes the data plane, which reads Desired whenever it likes, so acting twice
// is harmless and a crash between record and act loses nothing. When another process was faster, the write is
// refused as a whole and the step is taken again on the new state.
//
// Evidence is rebuilt from the metrics since the stage began; nothing that decides lives in memory only.
package controller
