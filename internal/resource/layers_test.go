package resource

import (
	"encoding/json"
	"strings"
	"testing"
)

func problemsOf(t *testing.T, kind, name, spec string) string {
	t.Helper()
	_, ps := Validate(Resource{APIVersion: APIVersion, Kind: kind, Metadata: Metadata{Name: name}, Spec: json.RawMessage(spec)}, nil)
	var all []string
	for _, p := range ps {
		all = append(all, p.Path+": "+p.Msg+"; "+p.Expected)
	}
	return strings.Join(all, " | ")
}

func TestDatabasesAndWhatIsUnderstoodOfThem(t *testing.T) {
	const digest = `"digest":"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","size":3,"created":"2026-01-31T12:00:00Z","by":"ann"`
	for _, tt := range []struct{ kind, name, spec, want string }{
		{KindDatabase, "shop", `{"addressFile":"shop-database"}`, ""},
		{KindDatabase, "shop", `{}`, "spec.addressFile"},
		{KindDatabase, "shop", `{"addressFile":"../../etc/passwd"}`, "spec.addressFile"},
		{KindDatabase, "shop", `{"addressFile":"a","schema":"pub lic"}`, "spec.schema"},
		{KindRelease, "shop/v1", `{"service":"shop","version":"v1",` + digest + `,"schema":{"database":"shop","understands":["public_01","public_02"]}}`, ""},
		{KindRelease, "shop/v1", `{"service":"shop","version":"v1",` + digest + `,"schema":{"database":"shop","understands":[]}}`, "understands"},
		{KindRelease, "shop/v1", `{"service":"shop","version":"v1",` + digest + `,"schema":{"database":"shop","understands":["a~b"]}}`, "no version of a schema"},
		{KindRelease, "shop/v1", `{"service":"shop","version":"v1",` + digest + `,"schema":{"database":"shop","understands":["a","a"]}}`, "stands twice"},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{"assets":{"paths":["/assets/"],"keep":"1h"}},"plan":"p","database":"shop"}`, ""},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{},"plan":"p","database":"no name"}`, "spec.database"},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{"assets":{"paths":["/assets"]}},"plan":"p"}`, "a folder such as /assets/"},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{"assets":{"paths":["/"]}},"plan":"p"}`, "a folder such as /assets/"},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{"protocol":"h2c","assets":{"paths":["/a/"]}},"plan":"p"}`, "speaks http"},
		{KindService, "shop", `{"run":{"command":["{artifact}"]},"route":{"assets":{"paths":["/a/"],"maxBytes":1}},"plan":"p"}`, "maxBytes"},
	} {
		got := problemsOf(t, tt.kind, tt.name, tt.spec)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %q, want %q", tt.kind, tt.spec, got, tt.want)
		}
	}
}

func TestLabelsOfWhatRuns(t *testing.T) {
	for label, want := range map[string]Slot{"v3": {Version: "v3"}, "v3@c2": {Version: "v3", Config: "c2"}, "v3~public_02": {Version: "v3", Schema: "public_02"},
		"v3@c2~public_02": {Version: "v3", Config: "c2", Schema: "public_02"}} {
		if got := SlotOf(label); got != want || want.String() != label {
			t.Errorf("%s: %+v, %s", label, got, want)
		}
	}
}
