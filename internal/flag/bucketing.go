package flag

import (
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/resource"
)

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

// flagBucketing is the version for one flag: where sets are put together to one, each flag's metadata tells of the set that
// it is from. In a Document the set alone decides.
func (c *checker) flagBucketing(obj map[string]any, path string) exposure.Bucketing {
	metadata, _ := obj["metadata"].(map[string]any)
	if _, ok := metadata[bucketingKey]; !ok {
		return c.bucketing
	}
	at := resource.Field(path, "metadata")
	if c.doc != nil {
		c.bad(resource.Field(at, bucketingKey), "bucketing of the set", "a flag has the bucketing of its set")
		return c.bucketing
	}
	if b := exposure.Bucketing(c.oneOf(metadata, bucketingKey, at, string(exposure.V2), string(exposure.V3))); b != "" {
		return b
	}
	return c.bucketing
}
