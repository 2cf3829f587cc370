package fleet

import "time"

// MostOperations is how many operations an interface may have.
const MostOperations = 500

// Operation is one thing that a version of a service can be asked for, as its interface declares it.
type Operation struct {
	Name       string    `json:"name" maxLength:"500" doc:"method and path, as GET /products/{id}, or package.Service/Method"`
	Deprecated time.Time `json:"deprecated,omitzero" doc:"since when callers are asked to leave it"`
	Sunset     time.Time `json:"sunset,omitzero" doc:"from when it may be gone"`
}
