package exposure

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
)

// everyone is the number of buckets that keys fall into: a millionth of a percent each, and as flagd's fractional
// needs it, below 2^31.
const everyone = 100_000_000

// share of the buckets below which a key is in: the same for every larger percentage of the same salt.
func threshold(percent float64) (uint64, error) {
	if !(percent >= 0 && percent <= 100) {
		return 0, errs.E(errs.Invalid, "percent is %v; expected 0 to 100", percent)
	}
	n := uint64(math.Round(percent / 100 * everyone))
	if n == 0 && percent > 0 {
		return 0, errs.E(errs.Invalid, "percent is %v; expected 0, or at least 0.000001", percent)
	}
	return n, nil
}

// percentTree is a percentage of all keys as a rule that any flagd provider evaluates to the same answer.
func percentTree(salt string, below uint64) any {
	key := map[string]any{"var": keyName}
	return map[string]any{"and": []any{key, map[string]any{"fractional": []any{
		map[string]any{"cat": []any{salt, key}},
		[]any{true, float64(below)},
		[]any{false, float64(everyone - below)},
	}}}}
}

// percentOf recognises what percentTree makes.
func percentOf(salt string, tree any) (below uint64, ok bool) {
	and, _ := operand(tree, "and")
	if len(and) != 2 {
		return 0, false
	}
	parts, _ := operand(and[1], "fractional")
	if len(parts) != 3 {
		return 0, false
	}
	in, _ := parts[1].([]any)
	if len(in) != 2 {
		return 0, false
	}
	n, _ := in[1].(float64)
	if n < 0 || n > everyone || n != math.Trunc(n) {
		return 0, false
	}
	return uint64(n), reflect.DeepEqual(tree, percentTree(salt, uint64(n)))
}

// usersTree is the rule for listed targeting keys.
func usersTree(users []string) any {
	list := make([]any, len(users))
	for i, u := range users {
		list[i] = u
	}
	return map[string]any{"in": []any{map[string]any{"var": keyName}, list}}
}

// usersOf recognises what usersTree makes and tells how many users it lists.
func usersOf(tree any) (n int, ok bool) {
	args, _ := operand(tree, "in")
	if len(args) != 2 || !reflect.DeepEqual(args[0], map[string]any{"var": keyName}) {
		return 0, false
	}
	list, ok := args[1].([]any)
	return len(list), ok
}

// operand returns the arguments of an operator in a decoded rule.
func operand(tree any, operator string) ([]any, bool) {
	m, _ := tree.(map[string]any)
	args, ok := m[operator].([]any)
	return args, ok && len(m) == 1
}

// inPercent writes a number of buckets as a percentage.
func inPercent(buckets uint64) string {
	return strconv.FormatFloat(float64(buckets)/(everyone/100), 'f', -1, 64)
}

func mustJSON(tree any) json.RawMessage {
	raw, err := json.Marshal(tree)
	if err != nil {
		panic(err) // trees are made of decoded JSON and plain values only
	}
	return raw
}
