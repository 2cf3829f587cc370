package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence/bench/child"
)

// proxy is one that is measured. Its versions are at two addresses that take turns.
type proxy struct {
	name string
	// begin starts it at an address, with all requests to the first version.
	begin func(address string, at [2]string) (*child.Process, error)
	// swap takes the requests of version from to the other one, and returns when the proxy says that it is done.
	swap    func(from int, at [2]string) error
	process *child.Process
}

func (p *proxy) launch(address string, at [2]string) (err error) {
	if p.process, err = p.begin(address, at); err != nil {
		return err
	}
	if err = poll(func() bool { return answers("http://" + address) }); err != nil {
		p.stop()
	}
	return err
}

func (p *proxy) stop() { p.process.Kill() }

func answers(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// poll waits for what is so within ten seconds.
func poll(so func() bool) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if so() {
			return nil
		}
	}
	return errors.New("not within 10s")
}

// proxies keep at least 256 idle connections to a version and write no access log. Each switches as its manual advises.
func proxies(dir string) []*proxy {
	return []*proxy{ringfence(), kamal(dir), haproxy(dir), nginx(dir), caddy(dir)}
}

func ringfence() *proxy {
	var control string
	return &proxy{name: "ringfence",
		begin: func(address string, at [2]string) (_ *child.Process, err error) {
			if control, err = child.FreeAddress(); err != nil {
				return nil, err
			}
			return child.Role("ringfence", address, at[0], control)
		},
		swap: func(from int, at [2]string) error {
			res, err := http.PostForm("http://"+control+"/swap", url.Values{"at": {at[1-from]}})
			return accepted(res, err)
		},
	}
}

func accepted(res *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	return nil
}

// kamal switches by deploy, which waits until the new version is healthy and the old one drained.
func kamal(dir string) *proxy {
	run := func(arg ...string) (*exec.Cmd, error) {
		path, err := child.Find("kamal-proxy")
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(path, arg...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
		return cmd, nil
	}
	deploy := func(target string) error {
		cmd, err := run("deploy", "swap", "--target", target, "--health-check-path", "/", "--health-check-interval", "50ms")
		if err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	return &proxy{name: "kamal-proxy",
		begin: func(address string, at [2]string) (*child.Process, error) {
			spare, err := child.FreeAddress()
			if err != nil {
				return nil, err
			}
			cmd, err := run("run", "--http-port", port(address), "--https-port", port(spare))
			if err != nil {
				return nil, err
			}
			p, err := child.Start(cmd)
			if err != nil {
				return nil, err
			}
			if err := poll(func() bool { return deploy(at[0]) == nil }); err != nil {
				p.Kill()
				return nil, fmt.Errorf("deploy: %w", err)
			}
			return p, nil
		},
		swap: func(from int, at [2]string) error { return deploy(at[1-from]) },
	}
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

// haproxy has a slot for each version: the next is made ready, the old one drained until no session is left on it.
func haproxy(dir string) *proxy {
	socket := filepath.Join(dir, "haproxy.sock")
	tell := func(command string) (string, error) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return "", err
		}
		defer c.Close()
		if _, err := fmt.Fprintln(c, command); err != nil {
			return "", err
		}
		b, err := io.ReadAll(c)
		return string(b), err
	}
	return &proxy{name: "haproxy",
		begin: func(address string, at [2]string) (*child.Process, error) {
			return child.WithConfig(dir, "haproxy.cfg", fmt.Sprintf(haproxyConf, socket, address, at[0], at[1]), "haproxy", "-db", "-f")
		},
		swap: func(from int, _ [2]string) error {
			old := fmt.Sprint("v", from)
			for _, c := range []string{fmt.Sprintf("set server out/v%d state ready", 1-from), "set server out/" + old + " state drain"} {
				if answer, err := tell(c); err != nil || strings.TrimSpace(answer) != "" {
					return fmt.Errorf("%s: %s %w", c, answer, err)
				}
			}
			return poll(func() bool {
				stat, err := tell("show stat")
				return err == nil && sessions(stat, old) == "0"
			})
		},
	}
}

// sessions reads the current ones of a server from HAProxy's statistics.
func sessions(stat, server string) string {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(stat))).ReadAll()
	if err != nil {
		return ""
	}
	for _, r := range rows {
		if len(r) > 4 && r[0] == "out" && r[1] == server {
			return r[4]
		}
	}
	return ""
}

// nginx reads its configuration anew; it does not tell when its old workers are done.
func nginx(dir string) *proxy {
	var address string
	conf := filepath.Join(dir, "nginx.conf")
	text := func(version string) string { return fmt.Sprintf(nginxConf, dir, version, address) }
	return &proxy{name: "nginx",
		begin: func(a string, at [2]string) (*child.Process, error) {
			address = a
			return child.WithConfig(dir, "nginx.conf", text(at[0]), "nginx", "-e", "stderr", "-p", dir, "-c")
		},
		swap: func(from int, at [2]string) error {
			if err := os.WriteFile(conf, []byte(text(at[1-from])), 0o644); err != nil {
				return err
			}
			path, err := child.Find("nginx")
			if err != nil {
				return err
			}
			out, err := exec.Command(path, "-e", "stderr", "-p", dir, "-s", "reload", "-c", conf).CombinedOutput()
			if err != nil {
				return fmt.Errorf("reload: %w: %s", err, out)
			}
			return nil
		},
	}
}

// caddy is given the new configuration through its admin API, which answers when it is in force.
func caddy(dir string) *proxy {
	var address, admin string
	text := func(version string) string { return fmt.Sprintf(caddyConf, admin, port(address), version) }
	return &proxy{name: "caddy",
		begin: func(a string, at [2]string) (_ *child.Process, err error) {
			address = a
			if admin, err = child.FreeAddress(); err != nil {
				return nil, err
			}
			return child.WithConfig(dir, "Caddyfile", text(at[0]), "caddy", "run", "--adapter", "caddyfile", "--config")
		},
		swap: func(from int, at [2]string) error {
			res, err := http.Post("http://"+admin+"/load", "text/caddyfile", bytes.NewBufferString(text(at[1-from])))
			return accepted(res, err)
		},
	}
}

const haproxyConf = `global
  maxconn 4096
  stats socket %s mode 600 level admin
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
  server v0 %s pool-max-conn 256
  server v1 %s pool-max-conn 256 disabled
`

const nginxConf = `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  upstream version { server %[2]s; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen %[3]s;
    location / {
      proxy_pass http://version;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }
  }
}
`

const caddyConf = `{
  admin %s
  auto_https off
  log {
    output discard
  }
}
http://:%s {
  reverse_proxy %s {
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }
}
`
