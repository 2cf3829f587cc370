package cedar

import (
	_ "embed" // the schema
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	engine "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/ringfence/ringfence/internal/policy"
)

//go:embed schema.cedarschema
var schemaText string

// Schema is what rules may speak of, in Cedar's language of schemas.
func Schema() string { return schemaText }

// Limits of what is compiled: larger ones are nobody's handwriting, and every rule is asked at every request.
const (
	maxText  = 256 << 10
	maxRules = 500
)

// validator judges rules against the schema, which is a constant: what is wrong with it is a defect.
var validator = func() *validate.Validator {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(schemaText)); err != nil {
		panic(err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		panic(err)
	}
	return validate.New(resolved)
}()

// Compile makes rules of texts, or says all that is wrong with them. The groups are those that are declared, with their
// members; a rule that names another one is refused.
func Compile(sources []policy.Source, groups map[string][]string) (policy.Rules, []policy.Fault) {
	r := rules{}
	var faults []policy.Fault
	for _, s := range sources {
		added, wrong := compile(s, groups)
		r.list, faults = append(r.list, added...), append(faults, wrong...)
	}
	if len(r.list) > maxRules {
		faults = append(faults, policy.Fault{Policy: sources[len(sources)-1].Name, Line: 1, Msg: fmt.Sprintf("%d rules in all, expected at most %d", len(r.list), maxRules)})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return r.indexed(), nil
}

var positionRE = regexp.MustCompile(`:(\d+):\d+`)

func compile(s policy.Source, groups map[string][]string) ([]rule, []policy.Fault) {
	fault := func(line int, format string, args ...any) policy.Fault {
		return policy.Fault{Policy: s.Name, Line: line, Msg: fmt.Sprintf(format, args...)}
	}
	if len(s.Text) > maxText {
		return nil, []policy.Fault{fault(1, "%d bytes, expected at most %d", len(s.Text), maxText)}
	}
	parsed, err := engine.NewPolicyListFromBytes("rules", []byte(s.Text))
	if err != nil {
		line := 1
		if m := positionRE.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
			line = max(line, 1)
		}
		return nil, []policy.Fault{fault(line, "%s", plain(err.Error()))}
	}
	if len(parsed) == 0 {
		return nil, []policy.Fault{fault(1, "there is no rule, expected permit (…) or forbid (…)")}
	}
	var list []rule
	var faults []policy.Fault
	seen := map[string]bool{}
	for i, p := range parsed {
		one := ruleOf(s.Name, i, p)
		if seen[one.says.ID] {
			faults = append(faults, fault(one.says.Line, "@id(%q) stands twice", one.says.ID))
		}
		seen[one.says.ID] = true
		tree := (*ast.Policy)(p.AST())
		if err := validator.Policy(one.says.ID, tree); err != nil {
			faults = append(faults, fault(lineOf(s.Text, p.Position(), err.Error()), "rule %s: %s", one.says.ID, plain(err.Error())))
		}
		for _, g := range namesOf(tree, typeGroup) {
			if len(groups[g]) == 0 {
				faults = append(faults, fault(lineOf(s.Text, p.Position(), strconv.Quote(g)), "rule %s: there is no Group %q with members", one.says.ID, g))
			}
		}
		for _, role := range namesOf(tree, typeRole) { // which the validator of this version lets through
			if !slices.Contains(roles, policy.Role(role)) {
				faults = append(faults, fault(lineOf(s.Text, p.Position(), strconv.Quote(role)), "rule %s: there is no role %q, expected one of %v", one.says.ID, role, roles))
			}
		}
		list = append(list, one)
	}
	return list, faults
}

func ruleOf(name string, i int, p *engine.Policy) rule {
	says := policy.Rule{Policy: name, ID: strconv.Itoa(i + 1), Line: p.Position().Line, Effect: "permit"}
	if p.Effect() == engine.Forbid {
		says.Effect = "forbid"
	}
	for key, value := range p.Annotations() {
		switch key {
		case "id":
			says.ID = string(value)
		case "reason":
			says.Reason = string(value)
		case "next":
			says.Next = string(value)
		}
	}
	return rule{policy: p, says: says}
}

// plain takes the name of the file that there is not from a message.
func plain(msg string) string {
	msg = strings.ReplaceAll(msg, "\n", "; ")
	return strings.TrimPrefix(msg, "parse error at ")
}

var quotedRE = regexp.MustCompile("[`\"]([^`\"]+)[`\"]")

// lineOf is the line of the rule that begins at a position on which something that a message names stands first.
func lineOf(text string, at engine.Position, msg string) int {
	rest := text[min(at.Offset, len(text)):]
	if end := strings.Index(rest, ";\n"); end >= 0 {
		rest = rest[:end]
	}
	for _, m := range quotedRE.FindAllStringSubmatch(msg, -1) {
		word := m[1]
		if i := strings.LastIndex(word, "::"); i >= 0 && strings.Trim(word[i+2:], `"`) != "" {
			word = strings.Trim(word[i+2:], `"`)
		}
		if i := strings.Index(rest, word); i >= 0 && word != "" {
			return at.Line + strings.Count(rest[:i], "\n")
		}
	}
	return at.Line
}

var roles = append([]policy.Role{policy.Client}, policy.Roles...)

// namesOf are the entities of a type that a rule names.
func namesOf(p *ast.Policy, typ engine.EntityType) []string {
	var found []string
	add := func(uid engine.EntityUID) {
		if uid.Type == typ && !slices.Contains(found, string(uid.ID)) {
			found = append(found, string(uid.ID))
		}
	}
	scope := func(n any) {
		switch n := n.(type) {
		case ast.ScopeTypeEq:
			add(n.Entity)
		case ast.ScopeTypeIn:
			add(n.Entity)
		case ast.ScopeTypeIsIn:
			add(n.Entity)
		}
	}
	scope(p.Principal)
	scope(p.Resource)
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if v, ok := n.(ast.NodeValue); ok {
				if uid, ok := v.Value.(engine.EntityUID); ok {
					add(uid)
				}
			}
			return true
		})
	}
	return found
}
