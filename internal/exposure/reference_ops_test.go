package exposure

import (
	"math"
	"reflect"
	"strings"

	"golang.org/x/mod/semver"
)

// refPlain is reference for operators that only need their arguments' values.
func refPlain(op string, v []any) any {
	least := map[string]int{"==": 2, "!=": 2, "===": 2, "!==": 2, "<": 2, "<=": 2, ">": 2, ">=": 2,
		"-": 1, "/": 1, "%": 2, "max": 1, "min": 1, "in": 2, "substr": 2, "starts_with": 2, "ends_with": 2, "sem_ver": 3, "log": 1}
	if len(v) < least[op] {
		return nil
	}
	switch op {
	case "!":
		return len(v) == 0 || !refTrue(v[0])
	case "!!":
		return len(v) > 0 && refTrue(v[0])
	case "==", "!=", "===", "!==", "<", "<=", ">", ">=":
		return refChain(op, v)
	case "+", "*", "-", "/", "%", "max", "min":
		return refArithmetic(op, v)
	case "cat":
		var b strings.Builder
		for _, x := range v {
			b.WriteString(refText(x))
		}
		return b.String()
	case "merge":
		out := []any{}
		for _, x := range v {
			if l, ok := x.([]any); ok {
				out = append(out, l...)
			} else {
				out = append(out, x)
			}
		}
		return out
	case "in":
		return refIn(v[0], v[1])
	case "substr":
		return refSubstr(v)
	case "log":
		return v[0]
	case "starts_with", "ends_with":
		a, ok := v[0].(string)
		b, ok2 := v[1].(string)
		switch {
		case len(v) != 2 || !ok || !ok2:
			return nil
		case op == "starts_with":
			return strings.HasPrefix(a, b)
		}
		return strings.HasSuffix(a, b)
	case "sem_ver":
		return refSemVer(v)
	}
	panic("no such operator: " + op)
}

func refChain(op string, v []any) any {
	for i := range v[1:] {
		var holds any
		switch op {
		case "==", "!=":
			holds = refEqual(v[i], v[i+1]) == (op == "==")
		case "===", "!==":
			holds = reflect.DeepEqual(v[i], v[i+1]) == (op == "===")
		default:
			holds = refOrder(op, v[i], v[i+1])
		}
		if holds != true {
			return holds
		}
	}
	return true
}

func refArithmetic(op string, v []any) any {
	numbers := make([]float64, 0, len(v)+1)
	switch {
	case op == "+" || op == "-" && len(v) == 1:
		numbers = append(numbers, 0)
	case op == "*" || op == "/" && len(v) == 1:
		numbers = append(numbers, 1)
	}
	for _, x := range v {
		f, ok := refNumber(x)
		if !ok {
			return nil
		}
		numbers = append(numbers, f)
	}
	acc := numbers[0]
	for _, f := range numbers[1:] {
		switch op {
		case "+":
			acc += f
		case "-":
			acc -= f
		case "*":
			acc *= f
		case "/":
			acc /= f
		case "%":
			acc = math.Mod(acc, f)
		case "max":
			acc = math.Max(acc, f)
		case "min":
			acc = math.Min(acc, f)
		}
	}
	if math.IsNaN(acc) || math.IsInf(acc, 0) {
		return nil
	}
	return acc
}

func refIn(needle, hay any) any {
	switch hay := hay.(type) {
	case string:
		return needle != nil && !isComposite(needle) && strings.Contains(hay, refText(needle))
	case []any:
		for _, x := range hay {
			if reflect.DeepEqual(needle, x) {
				return true
			}
		}
	}
	return false
}

func refSubstr(v []any) any {
	start, ok := refNumber(v[1])
	start = math.Trunc(start)
	if !ok || v[0] == nil || isComposite(v[0]) {
		return nil
	}
	s := []rune(refText(v[0]))
	n := float64(len(s))
	if start < 0 {
		start = max(0, n+start)
	}
	s = s[int(min(start, n)):]
	if len(v) > 2 {
		length, ok := refNumber(v[2])
		if !ok {
			return nil
		}
		if length = math.Trunc(length); length < 0 {
			length += float64(len(s))
		}
		s = s[:int(max(0, min(length, float64(len(s)))))]
	}
	return string(s)
}

func refSemVer(v []any) any {
	if len(v) != 3 {
		return nil
	}
	var versions [2]string
	for i, x := range []any{v[0], v[2]} {
		s := refText(x)
		switch x.(type) {
		case string, float64:
		default:
			return nil
		}
		if !strings.HasPrefix(s, "v") {
			s = "v" + strings.TrimPrefix(s, "V")
		}
		if !semver.IsValid(s) {
			return nil
		}
		versions[i] = s
	}
	c := semver.Compare(versions[0], versions[1])
	op, _ := v[1].(string)
	switch op {
	case "=":
		return c == 0
	case "!=":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "~":
		return semver.MajorMinor(versions[0]) == semver.MajorMinor(versions[1])
	case "^":
		return semver.Major(versions[0]) == semver.Major(versions[1])
	}
	return nil
}
