// Package units keeps the promises that are made of several units, and of configs: one control plane, a data plane for
// each unit with a gateway of its own, real builds of examples/shop, and users at both gateways. A unit has its own
// version, on record; a change that is good in one reaches the next, and one that is not is seen by nobody else.
package units
