// Package telemetry takes metrics in that others measured: by Prometheus' remote write, 1.0 and 2.0, and by OpenTelemetry's
// protocol. Each sample or point is taken or refused by itself, and the sender is told how many were and why; a request that cannot be
// stored at all is answered so that it is sent again, and sent again it is stored once.
//
// Remote write. The schema is chosen by the parameter proto of Content-Type; what is neither is 415, as is any packing but snappy. 204
// means that all of it was stored; 400 that some was wrong, and the rest was stored; 503 that nothing was, for now. An answer says
// how many samples, histograms and exemplars were stored.
//
// OpenTelemetry. Names and units become Prometheus' as its own receiver does it. The resource's service.name and service.version are the labels
// service and version, by which the metrics meet those of the gateways. Points of delta temporality are refused: their sum is not known
// here after a restart.
//
// Nobody from outside writes what is Ringfence's own: names that begin with ringfence_, and the job of the gateways.
package telemetry
