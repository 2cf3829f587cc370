package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// Limits of what is read.
const (
	MaxFile  = 1 << 20 // bytes of a file
	MaxDocs  = 1000    // resources in all files
	maxNodes = 200_000 // values in a file, aliases unfolded
	maxDepth = 64
)

// Source is a file that was read.
type Source struct {
	Name string // as it appears in messages
	Data []byte
}

// Problem is something wrong at a place in a file. Line and Column count from 1 and are 0 when only the file is known.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Field    string `json:"field,omitempty"`
	Msg      string `json:"message"`
	Expected string `json:"expected,omitempty"`
}

func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	return where + ": " + resource.Problem{Path: p.Field, Msg: p.Msg, Expected: p.Expected}.Text()
}

// Problems are all that is wrong in some files, as an error.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Set is what some files hold, with the places where it stands.
type Set struct {
	Resources []resource.Resource
	docs      []document // as Resources
}

// document is one resource in a file: where each of its fields stands.
type document struct {
	plain  bool // a file in flagd's format, which stands for the spec alone
	file   string
	root   place
	values map[string]place // by path
	keys   map[string]place // by path, where the name of the field stands
}

type place struct{ line, column int }

// Read reads all resources of some files. With problems, the set holds those resources that had none.
func Read(sources []Source) (Set, []Problem) {
	var set Set
	var problems []Problem
	seen := map[string]document{}
	for _, src := range sources {
		docs, ps := split(src)
		problems = append(problems, ps...)
		for _, d := range docs {
			doc, r, ps := d.read(src.Name)
			problems = append(problems, ps...)
			if len(ps) > 0 {
				continue
			}
			if first, twice := seen[r.Key()]; twice {
				problems = append(problems, doc.locate(resource.Problem{Path: "metadata.name",
					Msg: fmt.Sprintf("%s is declared already at %s:%d", r.Key(), first.file, first.root.line), Expected: "each once"}))
				continue
			}
			seen[r.Key()] = doc
			set.Resources, set.docs = append(set.Resources, r), append(set.docs, doc)
		}
		if len(set.docs) > MaxDocs {
			return set, append(problems, Problem{File: src.Name, Msg: fmt.Sprintf("more than %d resources", MaxDocs), Expected: "fewer at once"})
		}
	}
	return set, problems
}

// Locate finds the places of problems that were found in the set's resources later on, by whoever applied them.
func (s Set) Locate(problems []resource.Problem) []Problem {
	located := make([]Problem, len(problems))
	for i, p := range problems {
		if p.Index >= 0 && p.Index < len(s.docs) {
			located[i] = s.docs[p.Index].locate(p)
			continue
		}
		located[i] = Problem{File: resource.Key(p.Kind, p.Name), Field: p.Path, Msg: p.Msg, Expected: p.Expected}
	}
	return located
}

// locate finds the field, or when it is not there the closest one around it.
func (d document) locate(p resource.Problem) Problem {
	at := d.root
	if d.plain {
		p.Path = strings.TrimPrefix(strings.TrimPrefix(p.Path, "spec"), ".")
	}
	for path := p.Path; path != ""; path = parent(path) {
		if v, ok := d.keys[path]; ok && strings.HasPrefix(p.Msg, "unknown field") {
			at = v
			break
		}
		if v, ok := d.values[path]; ok {
			at = v
			break
		}
	}
	return Problem{File: d.file, Line: at.line, Column: at.column, Field: p.Path, Msg: p.Msg, Expected: p.Expected}
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// split parses a file into its documents; empty ones are left out.
func split(src Source) ([]*reader, []Problem) {
	if len(src.Data) > MaxFile {
		return nil, []Problem{{File: src.Name, Msg: "is larger than 1 MiB", Expected: "resources only"}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(src.Data))
	budget := maxNodes
	var docs []*reader
	for {
		var n yaml.Node
		err := decode(dec, &n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			line, msg := yamlError(err)
			return docs, []Problem{{File: src.Name, Line: line, Column: min(line, 1), Msg: msg, Expected: "YAML or JSON"}}
		}
		if len(docs) >= MaxDocs {
			return docs, []Problem{{File: src.Name, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf("more than %d resources", MaxDocs), Expected: "fewer at once"}}
		}
		for _, root := range roots(&n) {
			docs = append(docs, &reader{root: root, budget: &budget})
		}
	}
}

// decode keeps a parser that loses its way over strange input from taking the process with it.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: cannot be parsed: %v", r)
		}
	}()
	return dec.Decode(n)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func yamlError(err error) (int, string) {
	msg := err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ := strconv.Atoi(m[1]) // digits
		return line, strings.TrimPrefix(msg, m[0])
	}
	return 0, strings.TrimPrefix(msg, "yaml: ")
}

// read turns a document into a resource.
func (r *reader) read(file string) (document, resource.Resource, []Problem) {
	r.doc = document{file: file, root: placeOf(r.root), values: map[string]place{}, keys: map[string]place{}}
	tree := r.value(r.root, "", 0)
	if len(r.problems) > 0 {
		return r.doc, resource.Resource{}, r.problems
	}
	if tree, r.doc.plain = asFlagSet(tree); !r.doc.plain {
		tree, r.doc.plain = asAlertRules(tree, file)
	}
	if !r.doc.plain {
		tree, r.doc.plain = asOpenSLO(tree)
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return r.doc, resource.Resource{}, []Problem{r.doc.locate(resource.Problem{Msg: err.Error(), Expected: "a resource"})}
	}
	res, found := resource.Decode(raw, checkRule)
	if len(found) == 0 && res.Kind == resource.KindFlagSet {
		_, found = flag.Of(res)
	}
	if len(found) == 0 && resource.IsOpenSLO(res.Kind) {
		found = slo.Of(res)
	}
	for _, p := range found {
		r.problems = append(r.problems, r.doc.locate(p))
	}
	return r.doc, res, r.problems
}

// asFlagSet takes a file in flagd's own format for the FlagSet that it is, by the name that its metadata gives.
func asFlagSet(tree any) (any, bool) {
	obj, ok := tree.(map[string]any)
	if !ok || obj["flags"] == nil || obj["apiVersion"] != nil || obj["kind"] != nil {
		return tree, false
	}
	meta, _ := obj["metadata"].(map[string]any)
	name, ok := meta["flagSetId"]
	if !ok {
		name = "default"
	}
	return map[string]any{"apiVersion": resource.APIVersion, "kind": resource.KindFlagSet, "metadata": map[string]any{"name": name}, "spec": obj}, true
}

func checkRule(rule json.RawMessage) error {
	_, err := exposure.CompileRule(rule, exposure.Options{Strict: true})
	return err
}
