package flagserve

//lint:file-ignore SA1019 providers that are older than the deprecation are still to be answered

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v1/evaluationv1connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	v1pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v1"
	v2pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// h2c speaks HTTP/2 without TLS.
func h2c() *http.Client {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: &only}}
}

// protocols are all that a client may speak.
var protocols = map[string][]connect.ClientOption{"gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}, "Connect": nil, "Connect JSON": {connect.WithProtoJSON()}}

func about(t *testing.T, key string) *structpb.Struct {
	s, err := structpb.NewStruct(map[string]any{"targetingKey": key, "choice": "x"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvaluationV2(t *testing.T) {
	_, at := start(t, nil)
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			c := evaluationv2connect.NewServiceClient(h2c(), "http://"+at.Evaluation, options...)
			ctx := t.Context()
			b, err := c.ResolveBoolean(ctx, connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: "static"}))
			if err != nil || b.Msg.GetValue() || !b.Msg.HasValue() || b.Msg.GetVariant() != "off" || b.Msg.GetReason() != "STATIC" || b.Msg.GetMetadata().AsMap()["team"] != "web" {
				t.Errorf("boolean: %v %v", b, err)
			}
			s, err := c.ResolveString(ctx, connect.NewRequest(&v2pb.ResolveStringRequest{FlagKey: "text", Context: about(t, "alice")}))
			if err != nil || s.Msg.GetValue() != "B" || s.Msg.GetReason() != "TARGETING_MATCH" {
				t.Errorf("text: %v %v", s, err)
			}
			i, err := c.ResolveInt(ctx, connect.NewRequest(&v2pb.ResolveIntRequest{FlagKey: "number"}))
			if err != nil || i.Msg.GetValue() != 10 {
				t.Errorf("int: %v %v", i, err)
			}
			f, err := c.ResolveFloat(ctx, connect.NewRequest(&v2pb.ResolveFloatRequest{FlagKey: "number"}))
			if err != nil || f.Msg.GetValue() != 10 {
				t.Errorf("float: %v %v", f, err)
			}
			o, err := c.ResolveObject(ctx, connect.NewRequest(&v2pb.ResolveObjectRequest{FlagKey: "object"}))
			if err != nil || o.Msg.GetValue().GetFields()["x"].GetListValue().GetValues()[1].GetStringValue() != "y" {
				t.Errorf("object: %v %v", o, err)
			}
			for key, reason := range map[string]string{"off": "DISABLED", "code": "DEFAULT"} {
				b, err := c.ResolveBoolean(ctx, connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: key}))
				if err != nil || b.Msg.HasValue() || b.Msg.HasVariant() || b.Msg.GetReason() != reason {
					t.Errorf("%s: %v %v", key, b, err)
				}
			}
			for key, code := range map[string]connect.Code{"none": connect.CodeNotFound, "text": connect.CodeInvalidArgument, "broken": connect.CodeDataLoss, "wrong": connect.CodeUnknown} {
				if _, err := c.ResolveBoolean(ctx, connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: key, Context: about(t, "")})); connect.CodeOf(err) != code {
					t.Errorf("%s: %v, want %s", key, err, code)
				}
			}
			r := connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: "static"})
			r.Header().Set("Flagd-Selector", "team=web")
			if _, err := c.ResolveBoolean(ctx, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("a selector that means nothing: %v", err)
			}
			large := connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: strings.Repeat("x", 70000)})
			if _, err := c.ResolveBoolean(ctx, large); connect.CodeOf(err) != connect.CodeResourceExhausted {
				t.Errorf("a large request: %v", err)
			}
		})
	}
}

func TestEvaluationV1(t *testing.T) {
	_, at := start(t, nil)
	c := evaluationv1connect.NewServiceClient(h2c(), "http://"+at.Evaluation, connect.WithGRPC())
	ctx := t.Context()
	all, err := c.ResolveAll(ctx, connect.NewRequest(&v1pb.ResolveAllRequest{Context: about(t, "alice")}))
	if err != nil || len(all.Msg.GetFlags()) != 4 || all.Msg.GetFlags()["text"].GetStringValue() != "B" || all.Msg.GetFlags()["number"].GetDoubleValue() != 10 || all.Msg.GetMetadata().AsMap()["flagSetId"] != "shop" {
		t.Errorf("all: %v %v", all, err)
	}
	i, err := c.ResolveInt(ctx, connect.NewRequest(&v1pb.ResolveIntRequest{FlagKey: "number"}))
	if err != nil || i.Msg.GetValue() != 10 || i.Msg.GetVariant() != "small" {
		t.Errorf("int: %v %v", i, err)
	}
	b, err := c.ResolveBoolean(ctx, connect.NewRequest(&v1pb.ResolveBooleanRequest{FlagKey: "off"}))
	if err != nil || b.Msg.GetReason() != "DISABLED" || b.Msg.GetVariant() != "" {
		t.Errorf("off: %v %v", b, err)
	}
	if _, err := c.ResolveBoolean(ctx, connect.NewRequest(&v1pb.ResolveBooleanRequest{FlagKey: "code"})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("code default: %v", err)
	}
}

func TestEventStream(t *testing.T) {
	s, at := start(t, nil)
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			write(t, s.Files.Paths[0], shop)
			settled(t, s, "shop")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			stream, err := evaluationv2connect.NewServiceClient(h2c(), "http://"+at.Evaluation, options...).EventStream(ctx, connect.NewRequest(&v2pb.EventStreamRequest{}))
			if err != nil {
				t.Fatal(err)
			}
			if !stream.Receive() || stream.Msg().GetType() != "provider_ready" {
				t.Fatalf("%v %v", stream.Msg(), stream.Err())
			}
			write(t, s.Files.Paths[0], strings.Replace(strings.Replace(shop, `"defaultVariant": "off"`, `"defaultVariant": "on"`, 1), `"code"`, `"new"`, 1))
			if !stream.Receive() || stream.Msg().GetType() != "configuration_change" {
				t.Fatalf("%v %v", stream.Msg(), stream.Err())
			}
			flags := stream.Msg().GetData().AsMap()["flags"].(map[string]any)
			for key, change := range map[string]string{"static": "update", "code": "delete", "new": "write"} {
				if got := flags[key].(map[string]any)["type"]; got != change {
					t.Errorf("%s: %v", key, got)
				}
			}
			if len(flags) != 3 {
				t.Errorf("%v", flags)
			}
		})
	}
}

// settled waits until the flags that are served are those of a set.
func settled(t *testing.T, s *Server, key string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		now, err := s.feed.Current("")
		raw, readErr := readAll(s.Files.Paths[0], flag.MaxBytes)
		if err == nil && readErr == nil && string(now.Sets[0].Raw) == string(raw) && strings.Contains(string(raw), key) {
			return
		}
	}
	t.Fatal("the file was not read again")
}

func TestSync(t *testing.T) {
	s, at := start(t, nil)
	second := s.Files.Paths[0] + ".second"
	write(t, second, other)
	s2, at2 := start(t, func(s2 *Server) {
		s2.Files.Paths = append(s.Files.Paths, second)
		s2.StreamDeadline = 300 * time.Millisecond
	})
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c := syncv1connect.NewFlagSyncServiceClient(h2c(), "http://"+at.Sync, options...)
			write(t, s.Files.Paths[0], shop)
			settled(t, s, "shop")
			stream, err := c.SyncFlags(ctx, connect.NewRequest(&syncv1.SyncFlagsRequest{ProviderId: "x"}))
			if err != nil {
				t.Fatal(err)
			}
			if !stream.Receive() || stream.Msg().GetFlagConfiguration() != shop || stream.Msg().GetSyncContext().AsMap()["injected"] != "set" {
				t.Fatalf("first: %v %v", stream.Msg(), stream.Err())
			}
			write(t, s.Files.Paths[0], other)
			if !stream.Receive() || stream.Msg().GetFlagConfiguration() != other {
				t.Errorf("then: %v %v", stream.Msg(), stream.Err())
			}
			write(t, s.Files.Paths[0], shop)
			settled(t, s2, "shop")
			c = syncv1connect.NewFlagSyncServiceClient(h2c(), "http://"+at2.Sync, options...)
			r := connect.NewRequest(&syncv1.SyncFlagsRequest{Selector: "flagSetId=shop"})
			r.Header().Set("Flagd-Selector", "source="+second) // wins
			if stream, err = c.SyncFlags(ctx, r); err != nil {
				t.Fatal(err)
			}
			if !stream.Receive() || stream.Msg().GetFlagConfiguration() != other {
				t.Errorf("by source: %v %v", stream.Msg(), stream.Err())
			}
			if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeDeadlineExceeded {
				t.Errorf("at the deadline: %v", stream.Err())
			}
			all, err := c.FetchAllFlags(ctx, connect.NewRequest(&syncv1.FetchAllFlagsRequest{Selector: "flagSetId=shop"}))
			if err != nil || all.Msg.GetFlagConfiguration() != shop {
				t.Errorf("fetch: %v %v", all, err)
			}
			stream, err = c.SyncFlags(ctx, connect.NewRequest(&syncv1.SyncFlagsRequest{Selector: "x=y"}))
			if err == nil && !stream.Receive() {
				err = stream.Err()
			}
			if connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("a selector that means nothing: %v", err)
			}
			if m, err := c.GetMetadata(ctx, connect.NewRequest(&syncv1.GetMetadataRequest{})); err != nil || m.Msg.GetMetadata().AsMap()["injected"] != "set" {
				t.Errorf("metadata: %v %v", m, err)
			}
		})
	}
}

// keyring has a key of each scope.
type keyring struct{}

func (keyring) Check(_ context.Context, key string) (flag.Client, error) {
	switch key {
	case "server":
		return flag.Client{Name: key}, nil
	case "browser":
		return flag.Client{Name: key, Scope: flag.Browser}, nil
	case "signed":
		return flag.Client{Name: key, Scope: flag.Browser, SignedUser: true}, nil
	}
	return flag.Client{}, errs.E(errs.Missing, "no such key")
}

// Browsers get values, never rules; and with signed users only their own.
func TestKeys(t *testing.T) {
	_, at := start(t, func(s *Server) { s.Gate.Keys = keyring{} })
	for key, want := range map[string][2]connect.Code{"": {connect.CodeUnauthenticated, connect.CodeUnauthenticated}, "x": {connect.CodeUnauthenticated, connect.CodeUnauthenticated},
		"browser": {0, connect.CodePermissionDenied}, "signed": {connect.CodePermissionDenied, connect.CodePermissionDenied}, "server": {}} {
		e := connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: "static"})
		e.Header().Set("Authorization", "Bearer "+key)
		_, err := evaluationv2connect.NewServiceClient(h2c(), "http://"+at.Evaluation).ResolveBoolean(t.Context(), e)
		if err != nil && connect.CodeOf(err) != want[0] || err == nil && want[0] != 0 {
			t.Errorf("evaluation with %q: %v", key, err)
		}
		s := connect.NewRequest(&syncv1.FetchAllFlagsRequest{})
		s.Header().Set("X-API-Key", key)
		_, err = syncv1connect.NewFlagSyncServiceClient(h2c(), "http://"+at.Sync, connect.WithGRPC()).FetchAllFlags(t.Context(), s)
		if err != nil && connect.CodeOf(err) != want[1] || err == nil && want[1] != 0 {
			t.Errorf("sync with %q: %v", key, err)
		}
	}
	e := connect.NewRequest(&v2pb.ResolveBooleanRequest{FlagKey: "wrong", Context: about(t, "")})
	e.Header().Set("X-API-Key", "browser")
	if _, err := evaluationv2connect.NewServiceClient(h2c(), "http://"+at.Evaluation).ResolveBoolean(t.Context(), e); err == nil || strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a browser is told what the rule gave: %v", err)
	}
}
