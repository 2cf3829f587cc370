package policy

import (
	_ "embed" // the default rules
	"fmt"
)

// Source is a text of rules.
type Source struct {
	Name string
	Text string
}

// Fault is what is wrong with a text of rules.
type Fault struct {
	Policy string `json:"policy"`
	Line   int    `json:"line"`
	Msg    string `json:"msg"`
}

func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s", f.Policy, f.Line, f.Msg) }

//go:embed defaults.cedar
var defaults string

// DefaultName is that of the rules that hold where nobody wrote any.
const DefaultName = "default"

// Defaults are the rules that hold where nobody wrote any, and below those that somebody wrote.
func Defaults() Source { return Source{Name: DefaultName, Text: defaults} }

// Rules decide. What they cannot evaluate they deny.
type Rules interface {
	Decide(q Request) Decision
}
