package policy_test

import (
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

func TestAllow(t *testing.T) {
	all := []policy.Action{policy.Anyone, policy.Self, policy.Read, policy.Decide, policy.Change, policy.Fetch, policy.Operate, policy.Export, policy.Send, policy.Probe, policy.Alert, "unheard-of", policy.Ask, policy.Review}
	tests := map[policy.Role]string{ // a letter for each action that is allowed
		policy.Admin:     "+++++++++++-++",
		policy.Operator:  "++++----+-+-++",
		policy.Viewer:    "+++---------+-",
		policy.DataPlane: "++---++-------",
		policy.Client:    "+-------+-----",
		policy.Prober:    "++-------+----",
		policy.Alerter:   "++--------+---",
		"":               "+-------------",
		"made-up":        "+-------------",
	}
	for role, want := range tests {
		p := policy.Principal{Name: "x", Role: role}
		if role == "" {
			p = policy.Principal{}
		}
		for i, a := range all {
			err := policy.Allow(p, a)
			if (err == nil) != (want[i] == '+') {
				t.Errorf("%q, %s: got %v, want %c", role, a, err, want[i])
			}
			if err != nil && !errs.Is(err, errs.Denied) {
				t.Errorf("%q, %s: kind %v", role, a, errs.KindOf(err))
			}
		}
	}
}

func TestActor(t *testing.T) {
	if got := (policy.Principal{Name: "admin", Role: policy.Admin}).Actor(); got != "user:admin" {
		t.Error(got)
	}
	if got := (policy.Principal{Name: "dataplane", Role: policy.DataPlane}).Actor(); got != "system:dataplane" {
		t.Error(got)
	}
}
