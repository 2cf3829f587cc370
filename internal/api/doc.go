// Package api is the control plane's HTTP edge: every operation that a person, the CLI, the UI or a data plane
// can ask for, each with one typed endpoint and its description in OpenAPI.
//
// Each route names the action that a caller must be allowed; a route without one cannot be registered. A request
// passes, in this order: secure headers, the route's action against the caller's role, rate limit, size limit and
// deadline, and for changes the idempotency key. Errors carry a kind inside and leave as application/problem+json,
// translated in one place, with a hint and, for declared resources, every problem's file, line and field.
//
// What the API does is done by engines behind ports; it holds no state but limits.
package api
