package app

import (
	"context"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// bookkeeping are the kinds of documents that may be written without an event, and why. Everything else that changes says who changed
// it and why, in the same transaction, or is refused: nobody can add a path that changes state and leaves no trace.
var bookkeeping = map[string]string{
	"AccountBook":     "how customers fare, as counted",
	"AccountKey":      "what customers' names are hashed with",
	"Alert":           "when an alert was last heard of; that it fires or is over is an event",
	"AlertGroup":      "who was told of alerts so far; that they were told is an event",
	"AlertSilence":    "the end of one that ran out; making and ending one are events",
	"Answer":          "answers to requests with a key, to give them again",
	"Desired":         "what follows from decisions that are events",
	"ExperimentRun":   "what an experiment reads so far; its beginning and end are events",
	"IncidentHead":    "how far the record was read for incidents",
	"IncidentRanking": "likely causes, as computed",
	"Live":            "what follows from decisions that are events",
	"NotifierCursor":  "how far the record was told",
	"Rollout":         "evidence as it is gathered; decisions on it are events",
	"SLOBook":         "budgets, as counted",
	"SLOState":        "budgets, as counted; what follows from them are events",
	"Session":         "the end of one that ran out; signing in and out are events",
	"SignInAttempt":   "sign-ins that began; one that succeeds is an event, and so is one that is refused",
	"SpentToken":      "issuers' tokens that were exchanged; that they were is an event",
	"UnitHolder":      "which data plane has a unit at first; that another takes it is an event",
	"Upkeep":          "what data planes say of themselves; what people order are events",
	"DetectionState":  "how far the record was read for detections; what is found are events",
	"record":          "signed checkpoints of the record itself; its keys are events",
}

// recorded refuses changes of state that nothing on the record tells of.
type recorded struct{ Store }

func (r recorded) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	if len(w.Events) == 0 {
		for _, docs := range [][]store.Doc{w.Puts, w.Deletes} {
			for _, d := range docs {
				if _, ok := bookkeeping[d.Kind]; !ok {
					return nil, errs.E(errs.Internal, "%s/%s would change without an event that says who changed it and why", d.Kind, d.Name)
				}
			}
		}
	}
	return r.Store.Commit(ctx, w)
}
