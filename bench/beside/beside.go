package beside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
)

// Server is a server that runs.
type Server struct {
	URL   string
	token string
	dir   string
	cmd   *exec.Cmd
	log   *os.File
}

const (
	startTime = time.Minute
	stopTime  = 20 * time.Second
)

// selfScrape is how often Ringfence looks at itself, when nothing else is said.
const selfScrape = 5 * time.Second

// settings are what a receiver of remote write is given: samples may be as late as at Ringfence, and it looks at itself as that does.
const settings = `global: {scrape_interval: %s}
storage: {tsdb: {out_of_order_time_window: 1h}}
scrape_configs: [{job_name: self, static_configs: [{targets: [%q]}]}]
`

// Seed puts what a server finds when it starts into the folder of its database.
type Seed func(folder string) error

// Prometheus starts a Prometheus server that takes remote write. Seed may be nil.
func Prometheus(program string, seed Seed) (*Server, error) {
	return start(program, "data", seed, func(program, dir, address string) (*exec.Cmd, error) {
		file := filepath.Join(dir, "prometheus.yml")
		if err := os.WriteFile(file, fmt.Appendf(nil, settings, selfScrape, address), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(program, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address,
			"--web.enable-remote-write-receiver", "--log.level", "warn"), nil
	})
}

// Ringfence starts a control plane whose limit of series is out of the way. Seed may be nil.
func Ringfence(program string, seed Seed) (*Server, error) {
	return start(program, filepath.Join("data", "metrics"), seed, func(program, dir, address string) (*exec.Cmd, error) {
		return exec.Command(program, "server", "--data", filepath.Join(dir, "data"), "--listen", address, "--service-series", "10000000"), nil
	})
}

func start(program, folder string, seed Seed, command func(program, dir, address string) (*exec.Cmd, error)) (s *Server, err error) {
	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "beside-")
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w\n%s", err, s.said()), s.Stop())
		}
	}()
	if seed != nil {
		folder = filepath.Join(dir, folder)
		if err := errors.Join(os.MkdirAll(folder, 0o700), seed(folder)); err != nil {
			return s, err
		}
	}
	address, err := free()
	if err != nil {
		return s, err
	}
	if s.cmd, err = command(program, dir, address); err != nil {
		return s, err
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return s, err
	}
	s.URL, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = "http://"+address, dir, s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return s, err
	}
	return s, s.await()
}

// free is an address that nobody listened at a moment ago.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) await() error {
	for end := time.Now().Add(startTime); ; {
		if token, err := os.ReadFile(filepath.Join(s.dir, "data", "admin.token")); err == nil {
			s.token = strings.TrimSpace(string(token))
		}
		_, err := s.Range("vector(1)", time.Now(), time.Now(), time.Second)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *Server) said() []byte {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return raw[max(0, len(raw)-2000):]
}

// Stop ends the server and removes what it kept.
func (s *Server) Stop() (err error) {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
		_ = s.cmd.Wait()
		late.Stop()
	}
	if s.log != nil {
		err = s.log.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Write sends a request of remote write 2.0, packed by snappy.
func (s *Server) Write(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	_, err = s.do(req)
	return err
}

// Range asks a question over a range of time; the result is as the server wrote it.
func (s *Server) Range(query string, from, to time.Time, step time.Duration) (json.RawMessage, error) {
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	form := url.Values{"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/api/v1/query_range", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	raw, err := s.do(req)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct{ Result json.RawMessage }
	}
	err = json.Unmarshal(raw, &answer)
	return answer.Data.Result, err
}

func (s *Server) do(req *http.Request) ([]byte, error) {
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, raw[:min(len(raw), 500)])
	}
	return raw, err
}

// CPU is the processor time that the server has used.
func (s *Server) CPU() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/…/stat: %q", raw)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // 100 ticks a second, on every Linux
}

// Memory is what the server has of its own in the machine's memory, without files that are mapped.
func (s *Server) Memory() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/…/status: no RssAnon")
}

// Settle waits until the server does hardly anything any more.
func (s *Server) Settle() error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		before, err := s.CPU()
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
		after, err := s.CPU()
		if err != nil {
			return err
		}
		if after-before <= 100*time.Millisecond {
			return nil
		}
	}
	return errors.New("the server does not come to rest within a minute")
}

// Live is the size of the heap that lives, as of the last collection, by what the server scrapes of itself. It waits for a collection
// after some time; one comes every two minutes at the latest.
func (s *Server) Live(since time.Time) (float64, error) {
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(selfScrape) {
		collected, err := s.number(`max(go_memstats_last_gc_time_seconds)`)
		if err != nil {
			return 0, err
		}
		if collected > float64(since.UnixMilli())/1000 {
			return s.number(`max(go_memstats_next_gc_bytes / (1 + go_gc_gogc_percent / 100))`)
		}
	}
	return 0, errors.New("the server collects no garbage")
}

// number is the one number that a question gives now; 0 when there is none yet.
func (s *Server) number(query string) (float64, error) {
	raw, err := s.Range(query, time.Now(), time.Now(), time.Second)
	if err != nil {
		return 0, err
	}
	var got model.Matrix
	if err := json.Unmarshal(raw, &got); err != nil || len(got) == 0 {
		return 0, err
	}
	return float64(got[0].Values[0].Value), nil
}

// Token is what the server is signed in with; empty: it wants none.
func (s *Server) Token() string { return s.token }
