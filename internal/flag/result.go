package flag

// Reason says why a variant is served.
type Reason string

// The reasons are OpenFeature's.
const (
	Static         Reason = "STATIC"          // the default variant of a flag that has no rule
	TargetingMatch Reason = "TARGETING_MATCH" // the rule chose the variant
	Default        Reason = "DEFAULT"         // the rule chose none, or there is no variant to serve
	Disabled       Reason = "DISABLED"        // the flag is switched off; the caller's default is to be used
	Failed         Reason = "ERROR"           // see the error code
)

// Code says what went wrong; empty when nothing did.
type Code string

// The codes are OpenFeature's. TargetingKeyMissing is for those who demand a targeting key: for a rule the lack of one is
// no error, it then chooses no variant.
const (
	NotFound            Code = "FLAG_NOT_FOUND"
	ParseError          Code = "PARSE_ERROR"
	TypeMismatch        Code = "TYPE_MISMATCH"
	TargetingKeyMissing Code = "TARGETING_KEY_MISSING"
	General             Code = "GENERAL"
)

// Result is the answer for one flag and one context. Without a Variant there is no Value: the caller's own default is
// to be used.
type Result struct {
	Value    any // bool, string, float64 or map[string]any
	Variant  string
	Reason   Reason
	Code     Code
	Details  string         // of the error, for people
	Metadata map[string]any // the set's and the flag's, whose entries win
}

// HasValue reports whether the flag decides; when not, the caller's default does.
func (r Result) HasValue() bool { return r.Variant != "" }

// Type is the type of all variants of a flag.
type Type uint8

// The types; Any is for callers who take what there is.
const (
	Any Type = iota
	Boolean
	String
	Number
	Object
)

func (t Type) String() string {
	return [...]string{"any", "boolean", "string", "number", "object"}[t]
}

func typeOf(v any) Type {
	switch v.(type) {
	case bool:
		return Boolean
	case string:
		return String
	case float64:
		return Number
	case map[string]any:
		return Object
	}
	return Any
}
