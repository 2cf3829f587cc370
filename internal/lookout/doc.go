// Package lookout runs the detectors that no query can express over the metrics as they come in, and writes what they make of
// them as metrics: rules alert on these, charts show them.
//
// For every service it keeps a lull.Watch, fed in slices with the requests that the gateways counted. What it writes:
//
//	ringfence_traffic_rate{service}   requests a second in the last slice
//	ringfence_traffic_usual{service}  the same by the recent past
//	ringfence_traffic_lull{service}   1 while the requests stay away, else 0
//
// It keeps nothing: when it begins it reads the last hours again. A slice in which a gateway was not heard of says nothing.
package lookout
