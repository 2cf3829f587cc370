package exposure

// Bucketing is a version of the way in which fractional places users.
type Bucketing string

// The versions are flagd's. V2 hashes a text; V3 hashes any value in its deterministic CBOR encoding, which places
// everyone anew.
const (
	V2 Bucketing = "v2"
	V3 Bucketing = "v3"
)
