package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/resource"
)

// Write writes resources as YAML documents, fields in the order of the reference. Reading it gives the same resources.
func Write(w io.Writer, set []resource.Resource) error {
	for i, r := range set {
		text, err := YAML(r)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// YAML is one resource as a document.
func YAML(r resource.Resource) ([]byte, error) {
	raw, err := json.Marshal(written(r))
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", r.Key(), err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	n, err := node(d)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", r.Key(), err)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("write %s: %w", r.Key(), err)
	}
	return b.Bytes(), enc.Close()
}

// node reads one JSON value into a node, keeping the order of fields.
func node(d *json.Decoder) (*yaml.Node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		flat := true
		for d.More() {
			e, err := node(d) // the names of fields are tokens like others
			if err != nil {
				return nil, err
			}
			flat = flat && e.Kind == yaml.ScalarNode && len(e.Value) <= 40 && e.Style&yaml.LiteralStyle == 0
			n.Content = append(n.Content, e)
		}
		if flat && len(n.Content) <= 8 {
			n.Style = yaml.FlowStyle // short lists and objects on one line
		}
		_, err := d.Token()
		return n, err
	case string:
		return text(t), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(t.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// text quotes what other readers of YAML take for something else.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "<<":
		n.Style = yaml.DoubleQuotedStyle
	}
	if strings.Contains(s, "\n") && strings.TrimSpace(s) == strings.TrimSuffix(s, "\n") && !strings.ContainsAny(s, "\r\t\u0085\u2028\u2029") {
		n.Style = yaml.LiteralStyle
	}
	return n
}
