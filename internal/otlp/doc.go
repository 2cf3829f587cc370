// Package otlp is the way in for OpenTelemetry's protocol, for whatever it carries: over HTTP with protobuf or JSON, and over
// gRPC. It says who may send nothing; it takes requests apart to the bytes of their message and brings the answer into the form that
// the protocol asks for.
//
// HTTP. The answer is in the request's own encoding, whatever parameters its Content-Type has. Bodies may be packed by gzip; what is
// larger than the limit, before or after unpacking, is 413. Success is 200 with the export response, in which
// partial_success stands only when something was refused or is to be warned of. Every failure carries google.rpc.Status. 429 and 503
// name the time after which to try again. Browsers may send from the origins that are allowed.
//
// gRPC. Unary calls over HTTP/2, without another library: plain or gzip, with the status in the trailers, and with
// google.rpc.RetryInfo when it makes sense to try again.
package otlp
