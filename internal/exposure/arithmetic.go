package exposure

import "math"

// reduceNumbers folds the arguments from the left; null when one of them is no number.
func reduceNumbers(args []node, step func(acc, x float64) float64) node {
	return node{eval: func(s scope) Value {
		acc, ok := args[0].eval(s).asNumber()
		for i := 1; ok && i < len(args); i++ {
			var x float64
			if x, ok = args[i].eval(s).asNumber(); ok {
				acc = step(acc, x)
			}
		}
		if !ok {
			return Value{}
		}
		return number(acc)
	}}
}

// withUnit puts a first argument that changes nothing before the others.
func withUnit(unit float64, args []node) []node {
	return append([]node{fixed(number(unit))}, args...)
}

func add(a, b float64) float64      { return a + b }
func multiply(a, b float64) float64 { return a * b }
func subtract(a, b float64) float64 { return a - b }
func divide(a, b float64) float64   { return a / b }

func buildSum(args []node) node     { return reduceNumbers(withUnit(0, args), add) }
func buildProduct(args []node) node { return reduceNumbers(withUnit(1, args), multiply) }

// buildDifference of one argument is its negative.
func buildDifference(args []node) node {
	if len(args) == 1 {
		args = withUnit(0, args)
	}
	return reduceNumbers(args, subtract)
}

// buildQuotient of one argument is its reciprocal.
func buildQuotient(args []node) node {
	if len(args) == 1 {
		args = withUnit(1, args)
	}
	return reduceNumbers(args, divide)
}

func buildRemainder(args []node) node { return reduceNumbers(args, math.Mod) }

// buildExtreme is max for sign 1 and min for -1.
func buildExtreme(sign float64) func([]node) node {
	return func(args []node) node {
		return reduceNumbers(args, func(a, b float64) float64 {
			if (b-a)*sign > 0 {
				return b
			}
			return a
		})
	}
}
