package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/rollout"
)

// sighting is when and by what a fault was seen.
type sighting struct {
	At     time.Time
	By     string
	Ticket bool // by an alert that calls nobody
}

// cause is the first-ranked cause of an incident.
type cause struct {
	incident.Candidate
	Incident string // the service that the incident is of
	ID       string
}

func (c cause) String() string {
	if c.ID == "" {
		return "no incident"
	}
	return fmt.Sprintf("%s (%.0f %%)", c.Title, 100*c.Share)
}

// get asks the API.
func (r *rig) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, resp.Status, b)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// settle is how long a cause may be weighed until it is read.
const settle = 20 * time.Second

// watch waits until the fault is seen, and then until its incident names a cause.
func (r *run) watch(ctx context.Context, t *trial) error {
	if err := r.until(ctx, patience+time.Until(t.start), func() (bool, error) { return r.sight(ctx, t) }); err != nil {
		return err
	}
	if t.seen.At.IsZero() {
		return nil
	}
	if t.seen.Ticket { // who takes the ticket opens an incident
		if _, err := r.rig.command(ctx, "incident", "open", t.about, "--service", t.service, "--since", t.seen.At.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	if err := sleep(ctx, settle-time.Since(t.seen.At)); err != nil {
		return err
	}
	return r.until(ctx, time.Minute, func() (bool, error) {
		c, err := r.first(ctx, t)
		if err != nil || c.ID == "" {
			return false, err
		}
		t.cause = c
		return true, nil
	})
}

// until looks every second until something is so, or the time is over.
func (r *run) until(ctx context.Context, most time.Duration, look func() (bool, error)) error {
	var last error
	for end := time.Now().Add(most); time.Now().Before(end); {
		done, err := look()
		if done {
			return nil
		}
		if err != nil && ctx.Err() == nil && (last == nil || err.Error() != last.Error()) {
			last = err
			r.say("asked again: %v", err)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// sight looks for a rollout that was halted, and for an alert.
func (r *run) sight(ctx context.Context, t *trial) (bool, error) {
	if now, err := r.rig.client.Rollout(ctx, t.subject()); err == nil && now.Rollout.HaltedAt.After(t.begun) {
		t.seen = sighting{At: now.Rollout.HaltedAt, By: "gate " + gateOf(now.Rollout)}
	}
	var all []alert.Alert
	if err := r.rig.get(ctx, "/api/v2/alerts", &all); err != nil {
		return !t.seen.At.IsZero(), err
	}
	for _, a := range all {
		if !t.hasAlert(a) || a.StartsAt.Before(t.begun) {
			continue
		}
		if at := latest(a.StartsAt, t.start); t.seen.At.IsZero() || at.Before(t.seen.At) {
			t.seen = sighting{at, sourceOf(a) + " " + a.Labels[alert.Name], a.Labels[alert.Severity] == alert.Ticket}
		}
	}
	return !t.seen.At.IsZero(), nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hasAlert says whether an alert is of what the trial hurts.
func (t *trial) hasAlert(a alert.Alert) bool {
	service := a.Labels[alert.Service]
	return service == t.service || service != "" && service == t.spec.calls || t.spec.unit != "" && a.Labels["unit"] == t.spec.unit
}

// sourceOf says what sent an alert.
func sourceOf(a alert.Alert) string {
	name := a.Labels[alert.Name]
	switch {
	case strings.HasPrefix(name, "Probe"), name == "CertificateExpires":
		return "probe"
	case a.Labels["slo"] != "":
		return "SLO"
	}
	return "rule"
}

// gateOf is the gate that stopped a rollout; ready when it never came so far.
func gateOf(s rollout.State) string {
	for _, st := range slices.Backward(s.Stages) {
		for _, g := range st.Gates {
			if g.Verdict == health.Fail {
				return g.Gate.Signal
			}
		}
	}
	return "ready"
}

// first is the first-ranked cause of the incident that a trial has made.
func (r *run) first(ctx context.Context, t *trial) (cause, error) {
	var list struct{ Items []incident.State }
	if err := r.rig.get(ctx, "/v1/incidents", &list); err != nil {
		return cause{}, err
	}
	for _, s := range list.Items {
		if !t.hasIncident(s) || s.Opened.Before(t.begun) {
			continue
		}
		var v struct {
			Causes struct{ Candidates []incident.Candidate }
		}
		if err := r.rig.get(ctx, "/v1/incidents/"+s.ID, &v); err != nil {
			return cause{}, err
		}
		if len(v.Causes.Candidates) > 0 {
			return cause{v.Causes.Candidates[0], s.Service, s.ID}, nil
		}
	}
	return cause{}, nil
}

// hasIncident says whether an incident is of what the trial hurts.
func (t *trial) hasIncident(s incident.State) bool {
	return s.Service == t.service || s.Service == t.subject() || t.spec.calls != "" && s.Service == t.spec.calls ||
		s.Service == "" && t.spec.unit != "" && strings.Contains(s.Title, "unit "+t.spec.unit)
}

// bystanders looks for alerts of services with which nothing was wrong yet.
func (r *run) bystanders(ctx context.Context) {
	var all []alert.Alert
	if err := r.rig.get(ctx, "/api/v2/alerts", &all); err != nil {
		return
	}
	for _, a := range all {
		wrong := func(t *trial) bool { return t.hasAlert(a) && !a.StartsAt.Before(t.begun.Add(-time.Second)) }
		if !slices.ContainsFunc(r.faults, wrong) {
			r.result.Stray = append(r.result.Stray, a)
		}
	}
}
