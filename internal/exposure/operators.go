package exposure

import "fmt"

// operator says how one is compiled.
type operator struct {
	min, max int  // fewer arguments give null; of more the rest is ignored; max -1 means any number
	exact    bool // more arguments give null too
	sense    int  // fewer arguments than this are accepted but cannot be meant
	spread   bool // an operand that is one expression may give the whole list of arguments

	build   func(args []node) node                          // for operators whose arguments are all evaluated where they stand
	special func(c *compiler, args arguments) (node, error) // for the others
}

func (op operator) arity() string {
	from := max(op.min, op.sense)
	switch {
	case op.max < 0:
		return fmt.Sprintf("at least %d", from)
	case op.max == from:
		return fmt.Sprintf("%d", from)
	}
	return fmt.Sprintf("%d to %d", from, op.max)
}

var operators map[string]operator

// In init, since compiling an operator's arguments looks up operators.
func init() {
	operators = map[string]operator{
		"var":          {max: 2, special: compileVar},
		"missing":      {max: -1, sense: 1, special: compileMissing},
		"missing_some": {min: 2, max: 2, special: compileMissingSome},

		"if":  {max: -1, sense: 2, build: buildIf},
		"?:":  {max: -1, sense: 2, build: buildIf},
		"and": {max: -1, sense: 1, build: buildAnd},
		"or":  {max: -1, sense: 1, build: buildOr},
		"!":   {max: 1, sense: 1, build: buildNot},
		"!!":  {max: 1, sense: 1, build: buildTruth},

		"==":  {min: 2, max: -1, build: buildEqual(looseEqual, true)},
		"!=":  {min: 2, max: -1, build: buildEqual(looseEqual, false)},
		"===": {min: 2, max: -1, build: buildEqual(strictEqual, true)},
		"!==": {min: 2, max: -1, build: buildEqual(strictEqual, false)},
		"<":   {min: 2, max: -1, build: buildOrder(less)},
		"<=":  {min: 2, max: -1, build: buildOrder(less | equal)},
		">":   {min: 2, max: -1, build: buildOrder(greater)},
		">=":  {min: 2, max: -1, build: buildOrder(greater | equal)},

		"+":   {max: -1, sense: 1, spread: true, build: buildSum},
		"*":   {max: -1, sense: 1, spread: true, build: buildProduct},
		"-":   {min: 1, max: -1, spread: true, build: buildDifference},
		"/":   {min: 1, max: -1, spread: true, build: buildQuotient},
		"%":   {min: 2, max: -1, spread: true, build: buildRemainder},
		"max": {min: 1, max: -1, spread: true, build: buildExtreme(1)},
		"min": {min: 1, max: -1, spread: true, build: buildExtreme(-1)},

		"in":          {min: 2, max: 2, build: buildIn},
		"cat":         {max: -1, spread: true, build: buildCat},
		"substr":      {min: 2, max: 3, build: buildSubstr},
		"starts_with": {min: 2, max: 2, exact: true, build: buildAffix(hasPrefix)},
		"ends_with":   {min: 2, max: 2, exact: true, build: buildAffix(hasSuffix)},
		"sem_ver":     {min: 3, max: 3, exact: true, build: buildSemVer},
		"fractional":  {min: 1, max: -1, special: compileFractional},

		"merge":  {max: -1, build: buildMerge},
		"map":    {min: 2, max: 2, special: compileLoop(evalMap)},
		"filter": {min: 2, max: 2, special: compileLoop(evalFilter)},
		"all":    {min: 2, max: 2, special: compileLoop(evalAll)},
		"some":   {min: 2, max: 2, special: compileLoop(evalSome)},
		"none":   {min: 2, max: 2, special: compileLoop(evalNone)},
		"reduce": {min: 2, max: 3, special: compileReduce},
		"log":    {min: 1, max: 1, build: buildLog},
	}
}
