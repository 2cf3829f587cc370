// Package arch keeps the rules of docs/ARCHITECTURE.md.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ringfence/ringfence/"

var (
	pure = []string{"errs", "audit", "store", "fleet", "resource", "exposure", "flag", "stat", "health", "experiment", "rollout", "policy", "alert", "incident",
		"metric",
		"logs",
		"synthetic",
		"slo",
		"ddl", "account",
		"breach", "grant", "layer", "lull", "rulebook", "scale", "strict",
		"supply", "sbom", "osv", "admission", "secret"}
	engines = []string{"controller", "gateway", "workload", "catalog", "agent", "access", "simulate", "replay", "notify", "serving", "switchboard", "flagfeed", "lab", "pager", "responder",
		"probing", "ship", "outcome",
		"objective",
		"schema",
		"lookout", "clientele", "upkeep",
		"availability", "servicing", "contract",
		"authority",
		"record", "breaching",
		"vetting", "secrecy"}
	// adapters stand between an engine's port and a technology; only app knows them.
	adapters = []string{"store/sqlite", "store/postgres", "store/batch", "store/backup", "store/sqltext", "tsdb", "blob", "link", "calendar", "check", "notify/send", "track", "probe",
		"logs/segment",
		"telemetry", "discover", "rehearsal", "accesslog", "acme",
		"schema/postgres",
		"contract/compat",
		"access/oidc",
		"attest", "vulndb", "sealing",
		"rum",
		"cedar", "opa",
		"record/ship"}
)

// impure are what a pure package may not import, and whose functions of the clock it may not call.
var impure = []string{"net", "net/http", "os", "os/exec", "database/sql", "syscall", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "sync"}

// allowed are the packages of others that a pure one may import: the tree over the record is computed by what the Go team's checksum
// database runs on, which is pure itself, rather than a second time by us.
var allowed = map[string][]string{"audit": {"golang.org/x/mod/sumdb/tlog", "golang.org/x/mod/sumdb/note"}}

const (
	fileLines = 500
	funcLines = 80
	portSize  = 5
)

type file struct {
	path, pkg string // pkg below internal/
	test      bool
	ast       *ast.File
	set       *token.FileSet
	lines     int
}

func (f file) imports() []string {
	var all []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		all = append(all, p)
	}
	return all
}

func read(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		f := file{path: rel, pkg: strings.TrimPrefix(filepath.ToSlash(filepath.Dir(rel)), "internal/"), set: token.NewFileSet(),
			test: strings.HasSuffix(name, "_test.go"), lines: strings.Count(string(src), "\n")}
		f.ast, err = parser.ParseFile(f.set, path, src, parser.ParseComments|parser.SkipObjectResolution)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files were found", len(files))
	}
	return files
}

func own(path string) (string, bool) { return strings.CutPrefix(path, module+"internal/") }

func TestPurePackagesAreAlone(t *testing.T) {
	for _, f := range read(t) {
		if f.test || !slices.Contains(pure, f.pkg) {
			continue
		}
		for _, imp := range f.imports() {
			if pkg, ok := own(imp); ok {
				if !slices.Contains(pure, pkg) {
					t.Errorf("%s: pure, imports %s", f.path, imp)
				}
				continue
			}
			if slices.Contains(allowed[f.pkg], imp) {
				continue
			}
			if strings.Contains(strings.Split(imp, "/")[0], ".") || slices.Contains(impure, imp) {
				t.Errorf("%s: pure, imports %s", f.path, imp)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: pure, starts a goroutine", f.path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker"}, n.Sel.Name) {
					t.Errorf("%s: pure, asks the clock (time.%s)", f.path, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEnginesKnowOnlyPurePackages(t *testing.T) {
	for _, f := range read(t) {
		if f.test || !slices.Contains(engines, f.pkg) {
			continue
		}
		for _, imp := range f.imports() {
			if pkg, ok := own(imp); ok && !slices.Contains(pure, pkg) {
				t.Errorf("%s: an engine, imports %s", f.path, imp)
			}
		}
	}
}

func TestOnlyAppKnowsAdapters(t *testing.T) {
	for _, f := range read(t) {
		if f.test || strings.HasPrefix(f.path, "test/") || strings.HasPrefix(f.path, "bench/") {
			continue
		}
		for _, imp := range f.imports() {
			pkg, ok := own(imp)
			switch {
			case !ok:
			case slices.Contains(adapters, pkg) && f.pkg != "app" && !slices.Contains(adapters, f.pkg):
				t.Errorf("%s imports the adapter %s; only app does", f.path, pkg)
			case pkg == "app" && !strings.HasPrefix(f.path, "cmd/"):
				t.Errorf("%s imports app; only cmd does", f.path)
			}
		}
	}
}

func TestPortsAreSmallAndPure(t *testing.T) {
	for _, f := range read(t) {
		if f.test || !slices.Contains(engines, f.pkg) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			port, ok := spec.Type.(*ast.InterfaceType)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if n := port.Methods.NumFields(); n > portSize {
				t.Errorf("%s: port %s has %d methods", f.path, spec.Name.Name, n)
			}
			for _, imp := range f.imports() {
				if strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.HasPrefix(imp, module) && mentions(port, lastPart(imp)) {
					t.Errorf("%s: port %s speaks of %s", f.path, spec.Name.Name, imp)
				}
			}
			return true
		})
	}
}

func lastPart(imp string) string { return imp[strings.LastIndexByte(imp, '/')+1:] }

func mentions(n ast.Node, pkg string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				found = true
			}
		}
		return true
	})
	return found
}

func TestBudgets(t *testing.T) {
	documented := map[string]bool{}
	seen := map[string]string{}
	for _, f := range read(t) {
		if f.lines > fileLines {
			t.Errorf("%s has %d lines, more than %d", f.path, f.lines, fileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > funcLines {
				t.Errorf("%s: %s has %d lines, more than %d", f.path, fn.Name.Name, n, funcLines)
			}
		}
		if f.test {
			continue
		}
		dir := filepath.Dir(f.path)
		seen[dir] = f.path
		if f.ast.Doc != nil && (filepath.Base(f.path) == "doc.go" || !strings.HasPrefix(f.path, "internal/")) {
			documented[dir] = true
		}
	}
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("package %s does not state its contract (in doc.go, below internal/)", dir)
		}
	}
}

// Who uses a public package links what evaluates flags, and no server.
func TestPublicPackagesAreLight(t *testing.T) {
	checked := 0
	for _, f := range read(t) {
		if f.test || !strings.HasPrefix(f.path, "openfeature/") {
			continue
		}
		checked++
		for _, imp := range f.imports() {
			if pkg, ok := own(imp); ok && pkg != "manifest" && !slices.Contains(pure, pkg) {
				t.Errorf("%s: public, imports %s", f.path, imp)
			}
		}
	}
	if checked == 0 {
		t.Error("there is no public package")
	}
}

// No helper of tests is linked into the binary.
func TestNoTestHelperInTheBinary(t *testing.T) {
	for _, f := range read(t) {
		if f.test || !strings.HasPrefix(f.path, "internal/") && !strings.HasPrefix(f.path, "cmd/") {
			continue
		}
		if f.pkg == "store/storetest" || f.pkg == "store/pgtest" {
			continue
		}
		for _, imp := range f.imports() {
			if imp == "testing" || strings.HasPrefix(imp, "testing/") || strings.HasPrefix(imp, "net/http/httptest") || strings.Contains(imp, "rapid") || strings.HasSuffix(imp, "storetest") || strings.HasSuffix(imp, "pgtest") {
				t.Errorf("%s imports %s", f.path, imp)
			}
		}
	}
}

// Every package under internal/ has its place in the layout.
func TestEveryPackageHasAPlace(t *testing.T) {
	edges := []string{"api", "api/wire", "client", "cli", "ui", "issuer", "manifest", "certs", "handover", "otlp", "flaggate", "ofrep", "flagd", "flagserve", "app", "demo", "drill", "store/storetest", "store/pgtest"}
	known := slices.Concat(pure, engines, adapters, edges)
	for _, f := range read(t) {
		if strings.HasPrefix(f.path, "internal/") && !slices.Contains(known, f.pkg) {
			t.Errorf("package %s is neither pure, engine, adapter nor edge: give it a place here and in docs/ARCHITECTURE.md", f.pkg)
		}
	}
}
