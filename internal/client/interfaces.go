package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/contract"
)

// Interface says what a service can be asked for, and who does.
func (c *Client) Interface(ctx context.Context, service string) (contract.Overview, error) {
	var out contract.Overview
	err := c.call(ctx, request{method: http.MethodGet, path: interfaceOf(service)}, &out)
	return out, err
}

// CheckInterface compares a release's interface with those that are served.
func (c *Client) CheckInterface(ctx context.Context, service, version string) (contract.Report, error) {
	var out contract.Report
	err := c.call(ctx, request{method: http.MethodGet, path: interfaceOf(service) + "/" + escape(version)}, &out)
	return out, err
}

// ApproveBreak lets a release break an operation.
func (c *Client) ApproveBreak(ctx context.Context, service, version, operation, reason string) (contract.Approval, error) {
	var out contract.Approval
	body := map[string]string{"operation": operation, "reason": reason}
	err := c.call(ctx, request{method: http.MethodPost, path: interfaceOf(service) + "/" + escape(version) + "/approvals", body: body}, &out)
	return out, err
}

func interfaceOf(service string) string { return "/v1/services/" + escape(service) + "/interface" }
