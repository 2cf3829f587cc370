package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

const maxInstances = 200

// checkSlot refuses a slot that can never run. Resources are checked long before; this guards the runtime.
func checkSlot(service string, s fleet.Slot) error {
	bad := func(format string, args ...any) error { return errs.E(errs.Invalid, format, args...) }
	switch {
	case service == "" || s.Version == "":
		return bad("a slot needs a service and a version")
	case len(s.Command) == 0 || s.Command[0] == "":
		return bad("the command is empty; expected a program and its arguments")
	case s.Instances < 0 || s.Instances > maxInstances:
		return bad("%d instances; expected 0 to %d", s.Instances, maxInstances)
	case s.Dir != "" && !filepath.IsAbs(s.Dir):
		return bad("the working folder %q is not an absolute path", s.Dir)
	case s.Ready.HTTP != "" && !strings.HasPrefix(s.Ready.HTTP, "/"):
		return bad("the readiness path %q does not begin with /", s.Ready.HTTP)
	}
	for _, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			return bad("the command holds a NUL character")
		}
		if s.Digest == "" && strings.Contains(arg, "{artifact}") {
			return bad("the command names {artifact}, but the release has none")
		}
	}
	for k, v := range s.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return bad("%q is no name of an environment variable, or its value holds a NUL character", k)
		}
	}
	return checkFiles(s.Files)
}

// specKey tells apart slots whose processes differ. What can change under a running process is left out.
func specKey(s fleet.Slot) string {
	b, err := json.Marshal([]any{s.Version, s.Digest, s.Command, s.Env, s.Files, s.Dir})
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// launch is everything that is put into a command and its environment.
type launch struct {
	service, id, token     string
	slot                   resource.Slot
	artifact, config, work string // config is "" when there is none
	port                   int
	schema                 *fleet.SlotSchema
	offered                map[string]string // of the environment, what the slot need not say
}

func (l launch) address() string { return net.JoinHostPort(loopback, strconv.Itoa(l.port)) }

const loopback = "127.0.0.1"

// expand replaces the placeholders; a brace that is none of them stays as it is.
func (l launch) expand(command []string) []string {
	r := strings.NewReplacer("{artifact}", l.artifact, "{address}", l.address(), "{host}", loopback,
		"{port}", strconv.Itoa(l.port), "{version}", l.slot.Version, "{service}", l.service, "{config}", l.config)
	out := make([]string, len(command))
	for i, c := range command {
		out[i] = r.Replace(c)
	}
	return out
}

// SchemaVar is the variable that tells an instance where to ask which versions of its database's schema are live. As it is offered,
// it lacks the name of the service.
const SchemaVar = "RINGFENCE_SCHEMA_URL"

// schemaOf is what an instance is told of the schema that it was started on.
func (l launch) schemaOf(env map[string]string) {
	where := env[SchemaVar]
	delete(env, SchemaVar)
	if l.schema == nil {
		return
	}
	env["RINGFENCE_SCHEMA_DATABASE"], env["RINGFENCE_SCHEMA_VERSION"] = l.schema.Database, l.schema.Version
	env["RINGFENCE_SCHEMA_SEARCH_PATH"], env["RINGFENCE_SCHEMA_UNDERSTANDS"] = l.schema.SearchPath, strings.Join(l.schema.Understands, ",")
	if where != "" {
		env[SchemaVar] = where + url.PathEscape(l.service)
	}
}

const tokenVar = "RINGFENCE_INSTANCE_TOKEN"

// environ is made from nothing: the runtime's own environment may hold secrets, so only the search path,
// language and time zone are taken from it. Home and temporary files are the instance's own. What the
// runtime assigns wins over what the slot says.
func (l launch) environ(slot map[string]string) []string {
	env := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
		"HOME": l.work, "TMPDIR": filepath.Join(l.work, "tmp")}
	for _, k := range []string{"PATH", "LANG", "TZ"} {
		if v := os.Getenv(k); v != "" {
			env[k] = v
		}
	}
	maps.Copy(env, l.offered)
	maps.Copy(env, slot)
	env["PORT"], env["ADDRESS"], env["LISTEN_ADDR"] = strconv.Itoa(l.port), l.address(), l.address()
	env["RINGFENCE_SERVICE"], env["RINGFENCE_VERSION"] = l.service, l.slot.Version
	for k, v := range map[string]string{"RINGFENCE_CONFIG_VERSION": l.slot.Config, "RINGFENCE_CONFIG": l.config} {
		if v != "" {
			env[k] = v
		}
	}
	l.schemaOf(env)
	env["RINGFENCE_CALLER"] = l.service + "/" + l.slot.Version
	env["RINGFENCE_INSTANCE"], env[tokenVar] = l.id, l.token
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	return out
}

// folder makes a name safe as one path element, without two names meeting.
func folder(name string) string {
	s := url.PathEscape(name)
	if strings.HasPrefix(s, ".") {
		s = "%2E" + s[1:]
	}
	if len(s) > 150 {
		sum := sha256.Sum256([]byte(name))
		s = s[:100] + "%" + hex.EncodeToString(sum[:16])
	}
	return s
}
