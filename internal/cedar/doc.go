// Package cedar decides by rules in the Cedar language. What no rule permits is denied; what a rule forbids is denied
// whatever permits it; and where the evaluation of any rule reports an error the answer is no, though Cedar itself
// would pass that rule over. Rules are judged against a schema when they are compiled, so that what they name exists.
package cedar
