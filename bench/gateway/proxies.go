package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/ringfence/ringfence/bench/child"
)

// proxy is one that is measured.
type proxy struct {
	name    string
	url     string
	begin   func(address string) (*child.Process, error)
	process *child.Process
	samples []sample
}

func (p *proxy) launch() error {
	if p.begin == nil {
		return nil
	}
	address, err := child.FreeAddress()
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

func (p *proxy) stop() { p.process.Kill() }

// proxies are set up alike: no access log, at least 256 idle connections to the backend.
func proxies(dir, backend string) []*proxy {
	return []*proxy{
		{name: "nginx", begin: func(at string) (*child.Process, error) {
			conf := fmt.Sprintf(nginxConf, dir, dir, dir, dir, dir, dir, backend, at)
			return child.WithConfig(dir, "nginx.conf", conf, "nginx", "-e", "stderr", "-p", dir, "-c")
		}},
		{name: "haproxy", begin: func(at string) (*child.Process, error) {
			return child.WithConfig(dir, "haproxy.cfg", fmt.Sprintf(haproxyConf, at, backend), "haproxy", "-db", "-f")
		}},
		{name: "caddy", begin: func(at string) (*child.Process, error) {
			return child.WithConfig(dir, "Caddyfile", fmt.Sprintf(caddyConf, at, backend), "caddy", "run", "--adapter", "caddyfile", "--config")
		}},
		{name: "kamal-proxy", begin: func(at string) (*child.Process, error) { return startKamal(dir, at, backend) }},
		{name: "ringfence", begin: func(at string) (*child.Process, error) { return child.Role("ringfence", at, backend) }},
	}
}

func startKamal(dir, at, backend string) (*child.Process, error) {
	path, err := child.Find("kamal-proxy")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	spare, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, sparePort, _ := net.SplitHostPort(spare)
	env := append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	cmd := exec.Command(path, "run", "--http-port", port, "--https-port", sparePort)
	cmd.Env = env
	p, err := child.Start(cmd)
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
	p.Kill()
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
