// Package contract keeps what services promise those who call them.
//
// A release may carry its interface, an OpenAPI document or protobuf descriptors. Before its rollout begins, it is compared with the
// interface of every version that is served: what one of them offers and the new one breaks is refused, warned of or let through, as the service's
// rule says. A break counts only as long as somebody calls its operation: nobody is known to when, over the whole window of the
// rule, gateways were measured and counted no request for it. Not knowing is no pass. A person may approve a break, for one version.
//
// Who calls what is counted by gateways in ringfence_calls_total and read from the metrics; nothing of it is stored here. A caller that does not say who
// it is, or is not believed, counts as a caller.
//
// Comparing is a port: libraries that read interfaces stay behind it.
package contract
