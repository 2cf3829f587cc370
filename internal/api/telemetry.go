package api

import (
	"net/http"

	"github.com/ringfence/ringfence/internal/otlp"
	"github.com/ringfence/ringfence/internal/policy"
)

// Telemetry takes in what others measured. Each handler bounds what it takes; nil takes nothing.
type Telemetry struct {
	RemoteWrite http.Handler // Prometheus' protocol
	Metrics     http.Handler // OpenTelemetry's, over HTTP
	MetricsGRPC http.Handler // and over gRPC
	LogsGRPC    http.Handler // OpenTelemetry's logs over gRPC
}

// maxTelemetry is beyond what the handlers take, which answer in their own protocols.
const maxTelemetry = 1 << 30

func (s *Server) telemetry() {
	t := s.Telemetry
	for pattern, h := range map[string]http.Handler{
		"POST /v1/metrics": t.Metrics, "POST /api/v1/otlp/v1/metrics": t.Metrics, "POST " + otlp.MetricsCall: t.MetricsGRPC, "POST " + otlp.LogsCall: t.LogsGRPC,
	} {
		if h != nil {
			s.mount(pattern, route{action: policy.Send, maxBody: maxTelemetry, steady: true, otlp: true}, h)
		}
	}
	if t.Metrics != nil { // what browsers ask before
		s.mount("OPTIONS /v1/metrics", route{action: policy.Anyone}, t.Metrics)
	}
	if t.RemoteWrite != nil {
		s.mount("POST /api/v1/write", route{action: policy.Send, maxBody: maxTelemetry, steady: true}, t.RemoteWrite)
	}
}

// refuse answers with p in the words of the route's protocol.
func refuse(w http.ResponseWriter, r *http.Request, rt route, p *problem) {
	if !rt.otlp {
		writeProblem(w, p)
		return
	}
	for k, v := range p.headers {
		w.Header()[k] = v
	}
	otlp.WriteStatus(w, r, p.Status, p.Detail)
}
