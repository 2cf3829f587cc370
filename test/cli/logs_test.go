package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/test/sandbox"
)

// told sends a log entry as a program does that logs by OpenTelemetry's protocol, over gRPC, with the official client:
//
//	told service version text
func told(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: told service version text")
	}
	conn, err := grpc.NewClient(strings.TrimPrefix(ts.Getenv("API"), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), sandbox.Limit)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+adminToken(ts))
	answer, err := plogotlp.NewGRPCClient(conn).Export(ctx, plogotlp.NewExportRequestFromLogs(entries(args[0], args[1], args[2], 1)))
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "rejected %d %s\n", answer.PartialSuccess().RejectedLogRecords(), answer.PartialSuccess().ErrorMessage())
}

func adminToken(ts *testscript.TestScript) string {
	token, err := access.ReadToken(filepath.Join(ts.Getenv("RINGFENCE_DATA"), access.AdminFile))
	ts.Check(err)
	return token
}

func entries(service, version, text string, n int) plog.Logs {
	all := plog.NewLogs()
	of := all.ResourceLogs().AppendEmpty()
	of.Resource().Attributes().PutStr("service.name", service)
	of.Resource().Attributes().PutStr("service.version", version)
	list := of.ScopeLogs().AppendEmpty().LogRecords()
	for i := range n {
		r := list.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		r.SetSeverityNumber(plog.SeverityNumberError)
		r.Body().SetStr(strings.ReplaceAll(text, "#", fmt.Sprint(i)))
	}
	return all
}

// flood sends log entries as fast as they are taken, from eight senders that do not wait when told to, until the script ends or it is
// stopped. Stopped, it prints how many were taken, and how many requests were turned away for now.
//
//	flood
//	flood stop
func flood(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) > 1 || (len(args) == 1) != (s.ebb != nil) {
		ts.Fatalf("usage: flood, then flood stop")
	}
	if s.ebb != nil {
		fmt.Fprintln(ts.Stdout(), s.ebb())
		s.ebb = nil
		return
	}
	url, token := ts.Getenv("API")+"/v1/logs", adminToken(ts)
	ctx, cancel := context.WithCancel(context.Background())
	var taken, away, wrong atomic.Int64
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for ctx.Err() == nil {
				text, err := plogotlp.NewExportRequestFromLogs(entries("shop", "v1", "entry # "+strings.Repeat("of a flood ", 20), 1000)).MarshalProto()
				if err != nil {
					return
				}
				switch status := post(ctx, url, token, text); {
				case status == http.StatusOK:
					taken.Add(1000)
				case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
					away.Add(1)
				case ctx.Err() == nil:
					wrong.Add(1)
				}
			}
		})
	}
	s.ebb = sync.OnceValue(func() string {
		cancel()
		senders.Wait()
		return fmt.Sprintf("taken %d, requests turned away %d, failed %d", taken.Load(), away.Load(), wrong.Load())
	})
	ts.Defer(func() {
		if s.ebb != nil {
			s.ebb()
		}
	})
}

func post(ctx context.Context, url, token string, text []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}
