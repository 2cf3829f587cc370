package openfeature

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cucumber/godog"
)

// world is what the scenarios of one provider share, and what one of them is about.
type world struct {
	testbed  string
	resolver string // rpc, in-process, file or ofrep
	config   string // of the server, where a scenario does not say
	launch   *launchpad
	proxy    envoy
	driver   driver

	options map[string]string
	asked   question
	kind    string
	given   evaluated
	last    happened
	opened  bool
	skipped bool
}

// patience is how long an event may take.
const patience = 30 * time.Second

// nobody is a port that nobody listens at.
const nobody = "1"

func (w *world) steps(sc *godog.ScenarioContext) {
	sc.Step(`^an option "([^"]*)" of type "[^"]*" with value "([^"]*)"$`, func(name, value string) { w.options[name] = value })
	sc.Step(`^a (\w+) flagd provider$`, w.open)
	sc.Step(`^a (\w+)-flag with key "([^"]*)" and a default value "([^"]*)"$`, func(kind, key, fallback string) (err error) {
		w.kind, w.asked.Kind, w.asked.Key = kind, kind, key
		w.asked.Fallback, err = typed(kind, fallback)
		return err
	})
	sc.Step(`^a context containing a targeting key with value "([^"]*)"$`, func(key string) { w.asked.Context["targetingKey"] = key })
	sc.Step(`^a context containing a key "([^"]*)", with type "([^"]*)" and with value "(.*)"$`, func(key, kind, text string) (err error) {
		w.asked.Context[key], err = typed(kind, text)
		return err
	})
	sc.Step(`^a context containing a nested property with outer key "([^"]*)" and inner key "([^"]*)", with value "([^"]*)"$`, func(outer, inner, text string) {
		w.asked.Context[outer] = map[string]any{inner: text}
	})
	sc.Step(`^the flag was evaluated with details$`, func() (err error) {
		w.given, err = w.driver.evaluate(w.asked)
		return err
	})
	sc.Step(`^the resolved details value should be "(.*)"$`, func(text string) error {
		want, err := typed(w.kind, text)
		if err == nil && !reflect.DeepEqual(plain(w.given.Value), plain(want)) {
			err = fmt.Errorf("got %#v, want %#v (%+v)", w.given.Value, want, w.given)
		}
		return err
	})
	sc.Step(`^the reason should be "([^"]*)"$`, func(want string) error { return same(w.given.Reason, want) })
	sc.Step(`^the variant should be "([^"]*)"$`, func(want string) error { return same(w.given.Variant, want) })
	sc.Step(`^the error-code should be "([^"]*)"$`, func(want string) error { return same(w.given.ErrorCode, want) })
	sc.Step(`^the resolved metadata is empty$`, func() error {
		if len(w.given.Metadata) > 0 {
			return fmt.Errorf("it is %v", w.given.Metadata)
		}
		return nil
	})
	sc.Step(`^the resolved metadata should contain$`, w.metadata)
	sc.Step(`^a (\w+) event handler$`, func(kind string) error { return w.driver.listen(kind) })
	sc.Step(`^a (\w+) event was fired$`, func(kind string) error { return w.fired(kind, patience) })
	sc.Step(`^the (\w+) event handler should have been executed$`, func(kind string) error { return w.fired(kind, patience) })
	sc.Step(`^the (\w+) event handler should have been executed within (\d+)ms$`, func(kind string, ms int) error {
		return w.fired(kind, max(patience, time.Duration(ms)*time.Millisecond)) // the machine may be slow
	})
	sc.Step(`^the connection is lost for (\d+)s$`, func(seconds int) { w.launch.restart(time.Duration(seconds) * time.Second) })
	sc.Step(`^the flag was modified$`, w.launch.change)
	sc.Step(`^the flag should be part of the event payload$`, func() error {
		if !slices.Contains(w.last.Flags, w.asked.Key) {
			return fmt.Errorf("told %v", w.last.Flags)
		}
		return nil
	})
	for _, about := range []string{`^a config was initialized$`, `^we should have an error$`, `^an environment variable "[^"]*" with value "[^"]*"$`, `^the option "[^"]*" of type "[^"]*" should have the value "[^"]*"$`} {
		sc.Step(about, func() error { return godog.ErrPending }) // of scenarios that are left out
	}
	sc.Step(`^the client should be in (\w+) state$`, func(want string) error {
		got, err := w.driver.state()
		for end := time.Now().Add(patience); err == nil && !strings.EqualFold(got, want) && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			got, err = w.driver.state() // an event may be told before the state is another
		}
		if err == nil && !strings.EqualFold(got, want) {
			err = fmt.Errorf("got %s, want %s", got, want)
		}
		return err
	})
}

// begin forgets the scenario before.
func (w *world) begin() {
	w.options, w.asked, w.given, w.last, w.opened = map[string]string{}, question{Context: map[string]any{}}, evaluated{}, happened{}, false
}

func (w *world) end() {
	if w.opened {
		w.driver.close()
	}
}

// open has the server run as the scenario needs it, makes a provider, and waits until it is ready where the scenario expects that.
func (w *world) open(kind string) error {
	config := map[string]string{"ssl": "ssl", "socket": "socket", "metadata": "metadata", "syncpayload": "sync-payload"}[kind]
	if config == "" {
		config = w.config
	}
	if err := w.launch.start(config); err != nil {
		return err
	}
	port := map[string]int{"rpc": w.launch.ports[0], "in-process": w.launch.ports[2], "ofrep": w.launch.ports[3]}[w.resolver]
	all := map[string]string{"resolver": w.resolver, "host": "127.0.0.1", "port": strconv.Itoa(port), "deadlineMs": "20000",
		"retryGracePeriod": "1", "retryBackoffMs": "500", "retryBackoffMaxMs": "1000"}
	if w.resolver == "file" {
		all["offlineFlagSourcePath"] = w.launch.path(combined)
		if kind == "metadata" {
			all["offlineFlagSourcePath"] = w.launch.path(w.options["selector"])
		}
	}
	switch kind {
	case "ssl":
		all["certPath"], all["host"] = filepath.Join(w.testbed, "ssl", "custom-root-cert.crt"), "localhost"
	case "socket":
		all["socketPath"] = w.launch.path(map[string]string{"rpc": "rpc.sock", "in-process": "sync.sock"}[w.resolver])
	case "unavailable":
		all["port"], all["offlineFlagSourcePath"] = nobody, w.launch.path("not-existing")
		if w.resolver != "file" {
			delete(all, "offlineFlagSourcePath")
		}
	case "forbidden":
		all["port"] = strconv.Itoa(w.proxy.forbidden)
	}
	maps.Copy(all, w.options)
	if target := all["targetUri"]; target != "" {
		all["port"], all["targetUri"] = nobody, strings.ReplaceAll(target, "<port>", strconv.Itoa(w.proxy.port))
	}
	if w.opened = true; kind == "unavailable" || kind == "forbidden" {
		return w.driver.open(all)
	}
	if err := w.driver.open(all); err != nil {
		return err
	}
	if err := w.driver.listen("ready"); err != nil {
		return err
	}
	return w.fired("ready", patience)
}

// fired waits for an event; those before it are passed over.
func (w *world) fired(kind string, within time.Duration) error {
	late := time.After(within)
	var others []string
	for {
		select {
		case e := <-w.driver.events():
			w.last = e
			if e.Event == kind {
				return nil
			}
			others = append(others, e.Event)
		case <-late:
			return fmt.Errorf("there is no %s event, but %v", kind, others)
		}
	}
}

func (w *world) metadata(table *godog.Table) error {
	for _, row := range table.Rows[1:] {
		key := row.Cells[0].Value
		want, err := typed(row.Cells[1].Value, row.Cells[2].Value)
		if err != nil {
			return err
		}
		if got := w.given.Metadata[key]; !reflect.DeepEqual(plain(got), plain(want)) {
			return fmt.Errorf("%s: got %#v, want %#v", key, got, want)
		}
	}
	return nil
}

func same(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

// typed is a value as the table has it.
func typed(kind, text string) (any, error) {
	switch kind {
	case "Boolean":
		return strconv.ParseBool(text)
	case "Integer", "Long":
		return strconv.ParseInt(text, 10, 64)
	case "Float", "Double":
		return strconv.ParseFloat(text, 64)
	case "Object":
		var v any
		err := json.Unmarshal([]byte(strings.ReplaceAll(text, `\"`, `"`)), &v)
		return v, err
	}
	return text, nil
}

// plain is a value as JSON has it.
func plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var p any
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	return p
}
