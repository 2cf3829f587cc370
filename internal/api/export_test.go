package api

import "github.com/ringfence/ringfence/internal/policy"

// Routes are the patterns that a server answers and the action that each asks for.
func Routes(s *Server) map[string]policy.Action {
	out := map[string]policy.Action{}
	for pattern, r := range s.routes {
		out[pattern] = r.action
	}
	return out
}
