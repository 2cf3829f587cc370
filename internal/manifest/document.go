package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/resource"
)

// Document is a file that holds one value which is no resource, as JSON.
type Document struct {
	Raw json.RawMessage
	src Source
	yml *document // of YAML: where each field stands
}

// ReadDocument reads a file of at most limit bytes that holds one value. It is YAML when its name says so, JSON when it begins as
// an object does, else YAML. Of JSON only the syntax is checked: that a key stands twice is for whoever reads Raw to say.
func ReadDocument(src Source, limit int) (Document, []Problem) {
	if len(src.Data) > limit {
		return Document{}, []Problem{{File: src.Name, Msg: fmt.Sprintf("is larger than %d MiB", limit>>20), Expected: "a smaller file"}}
	}
	ext := strings.ToLower(filepath.Ext(src.Name))
	isJSON := ext == ".json" || bytes.HasPrefix(bytes.TrimLeft(src.Data, " \t\r\n"), []byte("{"))
	if isJSON && ext != ".yaml" && ext != ".yml" {
		return readJSON(src)
	}
	return readYAML(src)
}

func readJSON(src Source) (Document, []Problem) {
	var whole json.RawMessage
	if err := json.Unmarshal(src.Data, &whole); err != nil {
		p := Problem{File: src.Name, Msg: err.Error(), Expected: "JSON"}
		if at := new(json.SyntaxError); errors.As(err, &at) {
			p.Line, p.Column = lineOf(src.Data, int(at.Offset)-1)
		}
		return Document{}, []Problem{p}
	}
	return Document{Raw: src.Data, src: src}, nil
}

func readYAML(src Source) (Document, []Problem) {
	var n, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src.Data))
	err := decode(dec, &n)
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(n.Content) != 1:
		return Document{}, []Problem{{File: src.Name, Msg: "is empty", Expected: "YAML or JSON"}}
	case err != nil:
		line, msg := yamlError(err)
		return Document{}, []Problem{{File: src.Name, Line: line, Column: min(line, 1), Msg: msg, Expected: "YAML or JSON"}}
	case !errors.Is(decode(dec, &more), io.EOF):
		return Document{}, []Problem{{File: src.Name, Line: more.Line, Column: more.Column, Msg: "more follows after the first document", Expected: "one"}}
	}
	budget := maxNodes
	r := &reader{root: n.Content[0], budget: &budget}
	r.doc = document{file: src.Name, root: placeOf(r.root), values: map[string]place{}, keys: map[string]place{}}
	tree := r.value(r.root, "", 0)
	if len(r.problems) > 0 {
		return Document{}, r.problems
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return Document{}, []Problem{{File: src.Name, Msg: err.Error(), Expected: "what JSON can say"}}
	}
	return Document{Raw: raw, src: src, yml: &r.doc}, nil
}

// Locate finds the places of problems that were found in what the document holds.
func (d Document) Locate(problems []resource.Problem) []Problem {
	if len(problems) == 0 {
		return nil
	}
	doc := d.yml
	if doc == nil {
		doc = placesOf(d.src)
	}
	located := make([]Problem, len(problems))
	for i, p := range problems {
		located[i] = doc.locate(p)
	}
	return located
}

// deepest is how far down places in JSON are noted.
const deepest = 250

// surveyor notes where each field of JSON stands.
type surveyor struct {
	dec  *json.Decoder
	src  []byte
	doc  *document
	line int // of offset at
	col  int
	at   int
}

func placesOf(src Source) *document {
	s := &surveyor{dec: json.NewDecoder(bytes.NewReader(src.Data)), src: src.Data, line: 1, col: 1,
		doc: &document{file: src.Name, values: map[string]place{}, keys: map[string]place{}}}
	s.dec.UseNumber()
	s.value("", 0)
	s.doc.root = s.doc.values[""]
	return s.doc
}

// next is where the next token stands.
func (s *surveyor) next() place {
	to := int(s.dec.InputOffset())
	for to < len(s.src) && strings.IndexByte(" \t\r\n,:", s.src[to]) >= 0 {
		to++
	}
	for ; s.at < to; s.at++ {
		switch c := s.src[s.at]; {
		case c == '\n':
			s.line, s.col = s.line+1, 1
		case utf8.RuneStart(c):
			s.col++
		}
	}
	return place{s.line, s.col}
}

// value walks over a value; of a syntax error, which was told before, it makes an end.
func (s *surveyor) value(path string, depth int) bool {
	at := s.next()
	t, err := s.dec.Token()
	if err != nil {
		return false
	}
	if depth <= deepest {
		s.doc.values[path] = at
	}
	open, ok := t.(json.Delim)
	if !ok {
		return true
	}
	for i := 0; s.dec.More(); i++ {
		below := ""
		if open == '[' {
			below = s.item(path, i, depth)
		} else {
			at := s.next()
			key, err := s.dec.Token()
			if err != nil {
				return false
			}
			below = s.key(path, key, at, depth)
		}
		if !s.value(below, depth+1) {
			return false
		}
	}
	_, err = s.dec.Token()
	return err == nil
}

func (s *surveyor) item(path string, i, depth int) string {
	if depth > deepest {
		return path
	}
	return resource.Item(path, i)
}

func (s *surveyor) key(path string, key json.Token, at place, depth int) string {
	name, ok := key.(string)
	if depth > deepest || !ok {
		return path
	}
	below := resource.Field(path, name)
	s.doc.keys[below] = at
	return below
}

func lineOf(data []byte, offset int) (line, column int) {
	before := data[:max(0, min(offset, len(data)))]
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
}
