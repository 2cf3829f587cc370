package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a child with everything that it starts, in a process group of its own.
type process struct {
	cmd     *exec.Cmd
	address string
}

func (p *process) stop() {
	if p == nil || p.cmd == nil {
		return
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.cmd.Wait()
}

func start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd}, nil
}

// startSelf runs this binary in another role and reads the address it listens on.
func startSelf(role, address, arg string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, role, address, arg)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s said no address: %w", role, err)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// proxy is one that is measured.
type proxy struct {
	name    string
	url     string
	begin   func(address string) (*process, error)
	process *process
	samples []sample
}

func (p *proxy) launch() error {
	if p.begin == nil {
		return nil
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if p.process, err = p.begin(address); err != nil {
		return err
	}
	p.url = "http://" + address
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get(p.url); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	p.stop()
	return fmt.Errorf("did not answer within 10s")
}

func (p *proxy) stop() { p.process.stop() }

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// proxies are set up alike: no access log, at least 256 idle connections to the backend.
func proxies(dir, backend string) []*proxy {
	return []*proxy{
		{name: "nginx", begin: func(at string) (*process, error) {
			conf := fmt.Sprintf(nginxConf, dir, dir, dir, dir, dir, dir, backend, at)
			return withConfig(dir, "nginx.conf", conf, "nginx", "-e", "stderr", "-p", dir, "-c")
		}},
		{name: "haproxy", begin: func(at string) (*process, error) {
			return withConfig(dir, "haproxy.cfg", fmt.Sprintf(haproxyConf, at, backend), "haproxy", "-db", "-f")
		}},
		{name: "caddy", begin: func(at string) (*process, error) {
			return withConfig(dir, "Caddyfile", fmt.Sprintf(caddyConf, at, backend), "caddy", "run", "--adapter", "caddyfile", "--config")
		}},
		{name: "kamal-proxy", begin: func(at string) (*process, error) { return startKamal(dir, at, backend) }},
		{name: "ringfence", begin: func(at string) (*process, error) { return startSelf("ringfence", at, backend) }},
	}
}

// find looks in PATH and where packages put servers.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("not installed")
}

// withConfig writes a configuration and runs a program with its path as the last argument.
func withConfig(dir, file, text, name string, args ...string) (*process, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, file)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append(args, conf)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return start(cmd)
}

func startKamal(dir, at, backend string) (*process, error) {
	path, err := find("kamal-proxy")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	spare, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, sparePort, _ := net.SplitHostPort(spare)
	env := append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd := exec.Command(path, "run", "--http-port", port, "--https-port", sparePort)
	cmd.Env = env
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	for range 50 {
		deploy := exec.Command(path, "deploy", "bench", "--target", backend)
		deploy.Env = env
		if err = deploy.Run(); err == nil {
			return p, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("deploy: %w", err)
}

const nginxConf = `daemon off;
worker_processes auto;
pid %s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %s/body;
  proxy_temp_path %s/proxy;
  fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi;
  scgi_temp_path %s/scgi;
  upstream backend { server %s; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen %s;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
    }
  }
}
`

const haproxyConf = `global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option forwardfor
frontend in
  bind %s
  default_backend out
backend out
  http-reuse always
  server one %s pool-max-conn 256
`

const caddyConf = `{
  admin off
  auto_https off
  log {
    output discard
  }
}
http://%s {
  reverse_proxy %s {
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }
}
`
