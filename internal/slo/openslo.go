package slo

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/resource"
)

// APIVersion is that of the documents.
const APIVersion = "openslo/v1"

// The kinds of OpenSLO v1, as they stand in documents.
const (
	KindService   = "Service"
	KindSLI       = "SLI"
	KindSLO       = "SLO"
	KindSource    = "DataSource"
	KindPolicy    = "AlertPolicy"
	KindCondition = "AlertCondition"
	KindTarget    = "AlertNotificationTarget"
)

// document is what all kinds have in common.
type document[S any] struct {
	APIVersion string `json:"apiVersion" enum:"openslo/v1" doc:"version of the format"`
	Kind       string `json:"kind" enum:"Service,SLI,SLO,DataSource,AlertPolicy,AlertCondition,AlertNotificationTarget" doc:"what it is"`
	Metadata   meta   `json:"metadata" doc:"its name"`
	Spec       S      `json:"spec" doc:"what is wanted"`
}

type meta struct {
	Name        string                     `json:"name" doc:"its name"`
	DisplayName string                     `json:"displayName,omitempty" doc:"for people"`
	Labels      map[string]json.RawMessage `json:"labels,omitempty" doc:"text or lists of text"`
	Annotations map[string]string          `json:"annotations,omitempty" doc:"of tools"`
}

type serviceSpec struct {
	Description string `json:"description,omitempty" maxLength:"1050" doc:"for people"`
}

type sourceSpec struct {
	Description       string          `json:"description,omitempty" maxLength:"1050" doc:"for people"`
	Type              string          `json:"type" doc:"such as Prometheus"`
	ConnectionDetails json.RawMessage `json:"connectionDetails,omitempty" doc:"not kept"`
}

type indicatorSpec struct {
	Description     string       `json:"description,omitempty" maxLength:"1050" doc:"for people"`
	ThresholdMetric *metricSpec  `json:"thresholdMetric,omitempty" doc:"a value that is compared"`
	RatioMetric     *ratioMetric `json:"ratioMetric,omitempty" doc:"events, good or bad of all"`
}

type ratioMetric struct {
	Counter bool        `json:"counter,omitempty" doc:"whether the metrics only grow"`
	Good    *metricSpec `json:"good,omitempty" doc:"good events"`
	Bad     *metricSpec `json:"bad,omitempty" doc:"bad events"`
	Total   *metricSpec `json:"total,omitempty" doc:"all events"`
	RawType string      `json:"rawType,omitempty" enum:"success,failure" doc:"what raw is the share of"`
	Raw     *metricSpec `json:"raw,omitempty" doc:"a share that was computed before"`
}

type metricSpec struct {
	MetricSource metricSource `json:"metricSource" doc:"where it is read"`
}

type metricSource struct {
	Ref  string          `json:"metricSourceRef,omitempty" doc:"name of a DataSource"`
	Type string          `json:"type,omitempty" doc:"such as Prometheus"`
	Spec json.RawMessage `json:"spec" doc:"what is read"`
}

type inlineIndicator struct {
	Metadata meta          `json:"metadata" doc:"its name"`
	Spec     indicatorSpec `json:"spec" doc:"what is measured"`
}

type sloSpec struct {
	Description     string           `json:"description,omitempty" maxLength:"1050" doc:"for people"`
	Service         string           `json:"service" doc:"the service it is of"`
	Indicator       *inlineIndicator `json:"indicator,omitempty" doc:"what is measured"`
	IndicatorRef    string           `json:"indicatorRef,omitempty" doc:"name of an SLI"`
	TimeWindow      []timeWindow     `json:"timeWindow,omitempty" maxItems:"1" doc:"over which the budget is"`
	BudgetingMethod string           `json:"budgetingMethod" enum:"Occurrences,Timeslices,RatioTimeslices" doc:"what is counted"`
	Objectives      []objectiveSpec  `json:"objectives" minItems:"1" maxItems:"20" doc:"targets"`
	AlertPolicies   []policyItem     `json:"alertPolicies,omitempty" maxItems:"20" doc:"when to alert"`
}

type timeWindow struct {
	Duration  string    `json:"duration" doc:"such as 30d"`
	IsRolling bool      `json:"isRolling,omitempty" doc:"whether it moves along"`
	Calendar  *calendar `json:"calendar,omitempty" doc:"where it begins, when it does not"`
}

type calendar struct {
	StartTime string `json:"startTime" doc:"such as 2020-01-21 12:30:00"`
	TimeZone  string `json:"timeZone" doc:"such as America/New_York"`
}

type objectiveSpec struct {
	DisplayName     string           `json:"displayName,omitempty" doc:"for people"`
	Op              string           `json:"op,omitempty" enum:"lte,gte,lt,gt" doc:"how a threshold metric is compared"`
	Value           *float64         `json:"value,omitempty" doc:"with what it is compared"`
	Target          *float64         `json:"target,omitempty" doc:"0 to less than 1"`
	TargetPercent   *float64         `json:"targetPercent,omitempty" doc:"0 to less than 100"`
	TimeSliceTarget *float64         `json:"timeSliceTarget,omitempty" doc:"above 0 to 1"`
	TimeSliceWindow json.RawMessage  `json:"timeSliceWindow,omitempty" doc:"such as 1m, or a number of minutes"`
	Indicator       *inlineIndicator `json:"indicator,omitempty" doc:"of a composite SLO"`
	IndicatorRef    string           `json:"indicatorRef,omitempty" doc:"of a composite SLO"`
	CompositeWeight *float64         `json:"compositeWeight,omitempty" doc:"of a composite SLO; default 1"`
}

type policyItem struct {
	Ref        string      `json:"alertPolicyRef,omitempty" doc:"name of an AlertPolicy"`
	APIVersion string      `json:"apiVersion,omitempty" enum:"openslo/v1" doc:"version of the format"`
	Kind       string      `json:"kind,omitempty" enum:"AlertPolicy" doc:"of one that stands here"`
	Metadata   *meta       `json:"metadata,omitempty" doc:"of one that stands here"`
	Spec       *policySpec `json:"spec,omitempty" doc:"of one that stands here"`
}

type policySpec struct {
	Description         string          `json:"description,omitempty" maxLength:"1050" doc:"for people"`
	AlertWhenNoData     bool            `json:"alertWhenNoData,omitempty" doc:"whether no data is told"`
	AlertWhenResolved   bool            `json:"alertWhenResolved,omitempty" doc:"whether the end is told"`
	AlertWhenBreaching  bool            `json:"alertWhenBreaching,omitempty" doc:"whether a breach is told"`
	Conditions          []conditionItem `json:"conditions" minItems:"1" maxItems:"1" doc:"one condition"`
	NotificationTargets []targetItem    `json:"notificationTargets,omitempty" maxItems:"20" doc:"who is told"`
}

type conditionItem struct {
	Ref        string         `json:"conditionRef,omitempty" doc:"name of an AlertCondition"`
	APIVersion string         `json:"apiVersion,omitempty" enum:"openslo/v1" doc:"version of the format"`
	Kind       string         `json:"kind,omitempty" enum:"AlertCondition" doc:"of one that stands here"`
	Metadata   *meta          `json:"metadata,omitempty" doc:"of one that stands here"`
	Spec       *conditionSpec `json:"spec,omitempty" doc:"of one that stands here"`
}

type conditionSpec struct {
	Description string    `json:"description,omitempty" maxLength:"1050" doc:"for people"`
	Severity    string    `json:"severity" maxLength:"100" doc:"how bad it is"`
	Condition   condition `json:"condition" doc:"what is compared"`
}

type condition struct {
	Kind           string  `json:"kind,omitempty" enum:"burnrate" doc:"burnrate, the default"`
	Op             string  `json:"op" enum:"lte,gte,lt,gt" doc:"how it is compared"`
	Threshold      float64 `json:"threshold" doc:"the burn rate"`
	LookbackWindow string  `json:"lookbackWindow" doc:"over which the burn rate is"`
	AlertAfter     string  `json:"alertAfter,omitempty" doc:"how long it has to hold; default 0m"`
}

type targetItem struct {
	Ref        string      `json:"targetRef,omitempty" doc:"name of an AlertNotificationTarget"`
	APIVersion string      `json:"apiVersion,omitempty" enum:"openslo/v1" doc:"version of the format"`
	Kind       string      `json:"kind,omitempty" enum:"AlertNotificationTarget" doc:"of one that stands here"`
	Metadata   *meta       `json:"metadata,omitempty" doc:"of one that stands here"`
	Spec       *targetSpec `json:"spec,omitempty" doc:"of one that stands here"`
}

type targetSpec struct {
	Target      string `json:"target" maxLength:"1050" doc:"such as email"`
	Description string `json:"description,omitempty" maxLength:"1050" doc:"for people"`
}

// The readers; each is strict.
var (
	readService   = resource.Reader[document[serviceSpec]]()
	readSource    = resource.Reader[document[sourceSpec]]()
	readSLI       = resource.Reader[document[indicatorSpec]]()
	readSLO       = resource.Reader[document[sloSpec]]()
	readPolicy    = resource.Reader[document[policySpec]]()
	readCondition = resource.Reader[document[conditionSpec]]()
	readTarget    = resource.Reader[document[targetSpec]]()
	readShort     = resource.Reader[Short]()
	readQuery     = resource.Reader[ringfenceQuery]()
)
