package flag

import "github.com/ringfence/ringfence/internal/exposure"

// bucketingKey is the entry in the metadata of a plain set whose fractional is not flagd's of today.
const bucketingKey = "ringfence.bucketing"

// readBucketing reads by which version users are placed: the field of a Document, or the metadata of a plain set.
func (c *checker) readBucketing(top map[string]any) exposure.Bucketing {
	at, path := top, ""
	name := "bucketing"
	if _, ok := top[name]; !ok || c.doc == nil {
		at, _ = top["metadata"].(map[string]any)
		name, path = bucketingKey, "metadata"
	}
	b := exposure.Bucketing(c.oneOf(at, name, path, string(exposure.V2), string(exposure.V3)))
	if b == "" {
		b = exposure.V2
	}
	c.bucketing = b
	if c.doc != nil {
		c.doc.Bucketing = b
	}
	return b
}
