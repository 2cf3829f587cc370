package audit

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Product is what events are said to come from in formats of others.
type Product struct{ Vendor, Name, Version string }

// ocsf is the class API Activity (6003) of the Open Cybersecurity Schema Framework, 1.3: somebody, or the system, did something to
// something by an API.
type ocsf struct {
	ClassUID    int            `json:"class_uid"`
	CategoryUID int            `json:"category_uid"`
	TypeUID     int            `json:"type_uid"`
	ActivityID  int            `json:"activity_id"`
	Activity    string         `json:"activity_name"`
	SeverityID  int            `json:"severity_id"`
	StatusID    int            `json:"status_id"`
	Time        int64          `json:"time"`
	Message     string         `json:"message"`
	Metadata    ocsfMetadata   `json:"metadata"`
	Actor       map[string]any `json:"actor"`
	API         map[string]any `json:"api"`
	Resources   []ocsfResource `json:"resources,omitempty"`
	SrcEndpoint map[string]any `json:"src_endpoint"`
	Unmapped    map[string]any `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version  string         `json:"version"`
	Product  map[string]any `json:"product"`
	UID      string         `json:"uid"`
	Sequence int64          `json:"sequence"`
	LogName  string         `json:"log_name"`
}

type ocsfResource struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

const (
	ocsfClass    = 6003
	ocsfCategory = 6
	statusOK     = 1
	statusFailed = 2
)

// activities are OCSF's of the class, by the verb that ends an event's type.
var activities = map[string]int{
	"created": 1, "made": 1, "added": 1, "started": 1, "opened": 1, "granted": 1,
	"read": 2, "exported": 2, "taken": 2, "checked": 2,
	"changed": 3, "applied": 3, "updated": 3, "rotated": 3, "approved": 3, "promoted": 3,
	"deleted": 4, "removed": 4, "revoked": 4, "pruned": 4,
}

var activityNames = map[int]string{1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}

// Weight is how grave an event is by its type: 1 of what is ordinary to 5 of what says that the record was tampered with.
func Weight(typ string) int {
	switch {
	case typ == "record.mismatch", strings.HasPrefix(typ, "detection."), strings.HasPrefix(typ, "breach."):
		return 5
	case strings.HasSuffix(typ, ".denied"), strings.HasSuffix(typ, ".revoked"), strings.HasPrefix(typ, "glass."):
		return 4
	case strings.HasSuffix(typ, ".halted"), strings.HasPrefix(typ, "rollback."), strings.HasPrefix(typ, "incident."):
		return 3
	case strings.HasPrefix(typ, "token."), strings.HasPrefix(typ, "policy."), strings.HasPrefix(typ, "record."):
		return 2
	}
	return 1
}

func denied(typ string) bool {
	return strings.HasSuffix(typ, ".denied") || strings.HasSuffix(typ, ".refused")
}

// OCSF is e as an event of the Open Cybersecurity Schema Framework, in JSON on one line.
func OCSF(e Event, p Product) ([]byte, error) {
	verb := e.Type[strings.LastIndexByte(e.Type, '.')+1:]
	activity, ok := activities[verb]
	if !ok {
		activity = 99
	}
	o := ocsf{ClassUID: ocsfClass, CategoryUID: ocsfCategory, TypeUID: ocsfClass*100 + activity, ActivityID: activity, Activity: activityNames[activity],
		SeverityID: Weight(e.Type), StatusID: statusOK, Time: e.Time.UnixMilli(), Message: e.Type + " " + e.Subject + " by " + e.Actor,
		Metadata: ocsfMetadata{Version: "1.3.0", Product: map[string]any{"vendor_name": p.Vendor, "name": p.Name, "version": p.Version},
			UID: e.Hash, Sequence: e.Seq, LogName: "record"},
		Actor: actorObject(e.Actor), API: map[string]any{"operation": e.Type}, SrcEndpoint: map[string]any{"name": "ringfence"}}
	if activity == 99 {
		o.Activity = verb
	}
	if denied(e.Type) {
		o.StatusID = statusFailed
	}
	if kind, name, ok := strings.Cut(e.Subject, "/"); ok {
		o.Resources = []ocsfResource{{Name: name, Type: kind}}
	}
	if len(e.Data) > 0 {
		o.Unmapped = map[string]any{"data": e.Data}
	}
	b, err := json.Marshal(o)
	return append(b, '\n'), err
}

func actorObject(actor string) map[string]any {
	kind, name, ok := strings.Cut(actor, ":")
	if !ok {
		kind, name = "user", actor
	}
	if kind == "system" {
		return map[string]any{"app_name": name, "user": map[string]any{"name": actor, "type_id": 3, "type": "System"}}
	}
	return map[string]any{"user": map[string]any{"name": name, "uid": actor, "type_id": 1, "type": "User"}}
}

var (
	cefHeader = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	cefValue  = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
)

// cefData bounds the details in a line, which many receivers cut.
const cefData = 4000

// CEF is e as a line of ArcSight's Common Event Format.
func CEF(e Event, p Product) ([]byte, error) {
	outcome := "success"
	if denied(e.Type) {
		outcome = "failure"
	}
	data := string(e.Data)
	if len(data) > cefData {
		data = strings.ToValidUTF8(data[:cefData], "")
	}
	line := fmt.Sprintf("CEF:0|%s|%s|%s|%s|%s|%d|", cefHeader.Replace(p.Vendor), cefHeader.Replace(p.Name), cefHeader.Replace(p.Version),
		cefHeader.Replace(e.Type), cefHeader.Replace(e.Type+" "+e.Subject), 2*Weight(e.Type)-1)
	line += fmt.Sprintf("rt=%d externalId=%d suser=%s act=%s outcome=%s cs1Label=subject cs1=%s cs2Label=hash cs2=%s", e.Time.UnixMilli(), e.Seq,
		cefValue.Replace(e.Actor), cefValue.Replace(e.Type), outcome, cefValue.Replace(e.Subject), e.Hash)
	if data != "" {
		line += " cs3Label=data cs3=" + cefValue.Replace(data)
	}
	return []byte(line + "\n"), nil
}
