package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // to count what is there

	"github.com/ringfence/ringfence/internal/track"
)

// stats is what the server says of itself.
type stats struct {
	Mallocs uint64
	CPU     time.Duration
}

func beServer(folder string) error {
	s, err := track.Open(context.Background(), track.Options{Folder: folder})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.Handler(everyone, nil))
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(w).Encode(stats{Mallocs: m.Mallocs, CPU: processor()})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, mux)
}

// load is one way of sending.
type load struct {
	name           string
	encode         encoder
	clients, batch int
	rate           int // events a second, 0: as many as are answered
}

type encoder struct {
	path, media string
	body        func(first, n int, now time.Time) []byte
}

// person spreads users over a population, in no order. Every second event is an exposure, the others are metric events.
func person(i int) string { return fmt.Sprintf("user-%d", uint32(i/2%200_000)*2654435761) }

func inJSON(ids bool) func(first, n int, now time.Time) []byte {
	return func(first, n int, now time.Time) []byte {
		b := []byte(`{"events":[`)
		at := now.UTC().AppendFormat(nil, time.RFC3339Nano)
		for i := first; i < first+n; i++ {
			if i > first {
				b = append(b, ',')
			}
			if i%2 == 0 {
				b = fmt.Appendf(b, `{"type":"exposure","targetingKey":"%s","flag":"checkout","variant":"on","time":"%s"`, person(i), at)
			} else {
				b = fmt.Appendf(b, `{"type":"metric","targetingKey":"%s","metric":"order","value":%d,"time":"%s"`, person(i), i%100, at)
			}
			if ids {
				b = fmt.Appendf(b, `,"id":"%08x-5ad1-4e1d-9b7a-%012x"`, uint32(i)*2654435761, i)
			}
			b = append(b, '}')
		}
		return append(b, "]}"...)
	}
}

var (
	asJSON  = encoder{"/v1/track", "application/json", inJSON(false)}
	withIDs = encoder{"/v1/track", "application/json", inJSON(true)}
	asOTLP  = encoder{"/v1/logs", "application/x-protobuf", inProtobuf}
)

func inProtobuf(first, n int, now time.Time) []byte {
	text := func(k, v string) *common.KeyValue {
		return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}}
	}
	var records []*logs.LogRecord
	for i := first; i < first+n; i++ {
		r := &logs.LogRecord{TimeUnixNano: uint64(now.UnixNano()) + uint64(i)}
		user := text("feature_flag.context.id", person(i))
		if i%2 == 0 {
			r.EventName = "feature_flag.evaluation"
			r.Attributes = []*common.KeyValue{text("feature_flag.key", "checkout"), text("feature_flag.result.variant", "on"), user,
				text("feature_flag.provider.name", "flagd"), text("feature_flag.result.reason", "split")}
		} else {
			r.EventName = "ringfence.metric"
			r.Attributes = []*common.KeyValue{user, text("metric.name", "order"), {Key: "metric.value", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(i % 100)}}}}
		}
		records = append(records, r)
	}
	b, err := proto.Marshal(&logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}}}}})
	fail(err)
	return b
}

// tally is what the clients saw.
type tally struct {
	mu      sync.Mutex
	next    int
	acks    []time.Duration
	metrics int // acknowledged metric events
	events  int
	refused int
}

// take gives out the numbers of the next events.
func (t *tally) take(n int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next += n
	return t.next - n
}

func (t *tally) acknowledged(first, n int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acks = append(t.acks, took)
	t.events += n
	t.metrics += (first+n)/2 - first/2
}

func (l load) run(folder string, length time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.Command(self, "-serve", folder)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = server.Wait()
		return fmt.Errorf("the server did not start: %w", err)
	}
	url := "http://" + strings.TrimSpace(address)
	before, err := ask(url)
	if err != nil {
		return err
	}
	var t tally
	begin := time.Now()
	l.send(url, begin, length, &t)
	took := time.Since(begin)
	after, err := ask(url)
	if err != nil {
		return err
	}
	_ = server.Process.Kill() // what was acknowledged is on disk
	_ = server.Wait()
	fmt.Printf("%-44s %10.0f %8.1f %8.1f %8.1f %10.1f %10.1f %8d\n", l.name, float64(t.events)/took.Seconds(),
		ms(quantile(t.acks, 0.5)), ms(quantile(t.acks, 0.99)), ms(quantile(t.acks, 1)),
		float64((after.CPU-before.CPU).Microseconds())/float64(t.events), float64(after.Mallocs-before.Mallocs)/float64(t.events), t.refused)
	found, err := count(folder)
	if err != nil {
		return err
	}
	if found != t.metrics {
		return fmt.Errorf("%d metric events were acknowledged, %d are there after the server was killed", t.metrics, found)
	}
	return os.RemoveAll(folder)
}

// send runs the clients. With a rate each batch has its time, and an answer's delay counts from then.
func (l load) send(url string, begin time.Time, length time.Duration, t *tally) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.clients}}
	var wg sync.WaitGroup
	for range l.clients {
		wg.Go(func() {
			for time.Since(begin) < length {
				first := t.take(l.batch)
				due := time.Now()
				if l.rate > 0 {
					due = begin.Add(time.Duration(first) * time.Second / time.Duration(l.rate))
					time.Sleep(time.Until(due))
				}
				body := l.encode.body(first, l.batch, begin)
				if l.rate == 0 {
					due = time.Now()
				}
				for !l.post(client, url, body, t) {
					time.Sleep(100 * time.Millisecond)
				}
				t.acknowledged(first, l.batch, time.Since(due))
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
}

func (l load) post(client *http.Client, url string, body []byte, t *tally) bool {
	resp, err := client.Post(url+l.encode.path, l.encode.media, bytes.NewReader(body))
	fail(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	fail(err)
	switch resp.StatusCode {
	case http.StatusOK:
		return true
	case http.StatusTooManyRequests:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.refused++
		return false
	}
	fail(fmt.Errorf("answer %d: %s", resp.StatusCode, answer))
	return false
}

func ask(url string) (s stats, err error) {
	resp, err := http.Get(url + "/stats")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// count opens what a killed server left and counts metric events.
func count(folder string) (n int, err error) {
	s, err := track.Open(context.Background(), track.Options{Folder: folder})
	if err != nil {
		return 0, err
	}
	if err := s.Settle(context.Background()); err != nil {
		return 0, err
	}
	if err := s.Close(); err != nil {
		return 0, err
	}
	db, err := sql.Open("sqlite", filepath.Join(folder, "events.db"))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRow("SELECT count(*) FROM metrics").Scan(&n)
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
