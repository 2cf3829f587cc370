package alert

import (
	"testing"

	"github.com/prometheus/common/model"
)

func TestFingerprintIsPrometheus(t *testing.T) {
	for _, labels := range []map[string]string{nil, {"a": "b"}, {"alertname": "Burn", "service": "shop", "a": "", "z": "ä\xff"}} {
		theirs := model.LabelSet{}
		for k, v := range labels {
			theirs[model.LabelName(k)] = model.LabelValue(v)
		}
		if got, want := (Alert{Labels: labels}).Fingerprint(), uint64(theirs.Fingerprint()); got != want {
			t.Errorf("%v: %x, expected %x", labels, got, want)
		}
	}
}
