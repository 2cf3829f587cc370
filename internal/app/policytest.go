package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/cedar"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// policyTestCommand is the part of the family policy that evaluates rules itself.
func policyTestCommand() *cobra.Command {
	family := &cobra.Command{Use: "policy"}
	family.AddCommand(tryPolicyCommand(), checkPolicyCommand())
	return family
}

// policyCases is a file of tests.
type policyCases struct {
	Policies []string     `yaml:"policies"` // files of documents, beside the test
	Cases    []policyCase `yaml:"cases"`
}

type policyCase struct {
	Name     string            `yaml:"name"`
	As       string            `yaml:"as"`
	Role     policy.Role       `yaml:"role"`
	Groups   []string          `yaml:"groups"` // of the issuer
	Strong   bool              `yaml:"strong"`
	Granted  bool              `yaml:"granted"`
	SignedIn int               `yaml:"signedIn"` // minutes; 0 for not known
	Action   policy.Action     `yaml:"action"`
	Verb     string            `yaml:"verb"`
	Kind     string            `yaml:"kind"`
	Resource string            `yaml:"resource"`
	Service  string            `yaml:"service"`
	Ring     string            `yaml:"ring"`
	Labels   map[string]string `yaml:"labels"`
	At       time.Time         `yaml:"at"`
	Incident bool              `yaml:"incident"`
	Frozen   bool              `yaml:"frozen"`
	Change   string            `yaml:"change"`
	Expect   string            `yaml:"expect"` // allow or deny
	Rule     string            `yaml:"rule"`   // that decides, as policy/id; any when left out
}

type policyFailure struct {
	File string `json:"file"`
	Case string `json:"case"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

func tryPolicyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE…",
		Short: "Try rules on requests that you make up, without a server",
		Long: `Runs files of cases: policies names files of AccessPolicy, AccessRules and Group documents beside the test, and each case a request with
what is expected of it, allow or deny, and by which rule. The default rules are there as well. The exit status is 1 when something came
otherwise than expected, 2 when a file is wrong.`,
		Example: "  ringfence policy test policy_test.yaml\n  ringfence policy test policies/*_test.yaml --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			failures, n := []policyFailure{}, 0
			for _, path := range args {
				f, err := readCases(path)
				if err != nil {
					return err
				}
				wrong, err := f.run(path)
				if err != nil {
					return err
				}
				failures, n = append(failures, wrong...), n+len(f.Cases)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"cases": n, "failures": failures}); err != nil {
					return err
				}
			} else {
				for _, f := range failures {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s: %s, expected %s\n", f.File, f.Case, f.Got, f.Want)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d cases, %d failed\n", n, len(failures))
			}
			if len(failures) > 0 {
				return errs.E(errs.Conflict, "%d of %d cases came otherwise than expected", len(failures), n)
			}
			return nil
		},
	}
}

func checkPolicyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE…", Short: "Say what is wrong with files of policy, without a server",
		Example: "  ringfence policy check access.yaml", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, groups, _, err := readPolicies(args, ".")
			if err != nil {
				return err
			}
			_, faults := cedar.Compile(sources, groups)
			for _, f := range faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(faults) > 0 {
				return errs.E(errs.Invalid, "%d faults", len(faults))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d policies are right\n", len(sources)-1)
			return nil
		},
	}
}

const maxCases = 4 << 20

func readCases(path string) (policyCases, error) {
	var f policyCases
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxCases {
		return f, errs.E(errs.Invalid, "%s cannot be read, or has more than %d bytes", path, maxCases)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return f, errs.Wrap(errs.Invalid, err, "%s", path)
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return f, errs.Wrap(errs.Invalid, err, "%s", path)
	}
	if len(f.Cases) == 0 {
		return f, errs.E(errs.Invalid, "%s: cases: missing, expected at least one", path)
	}
	for i, c := range f.Cases {
		if c.Expect != "allow" && c.Expect != "deny" {
			return f, errs.E(errs.Invalid, "%s: cases[%d].expect: %q, expected allow or deny", path, i, c.Expect)
		}
	}
	return f, nil
}

// readPolicies reads documents into texts of rules, the members of groups, and the access rules.
func readPolicies(paths []string, dir string) ([]policy.Source, map[string][]string, resource.AccessRules, error) {
	sources, groups, rules := []policy.Source{policy.Defaults()}, map[string][]string{}, resource.AccessRules{}
	files := make([]string, len(paths))
	for i, p := range paths {
		if files[i] = p; !filepath.IsAbs(p) {
			files[i] = filepath.Join(dir, p)
		}
	}
	if len(files) == 0 {
		return sources, groups, rules.Defaults(), nil
	}
	loaded, err := manifest.Load(files, strings.NewReader(""))
	if err != nil {
		return nil, nil, rules, err
	}
	set, problems := manifest.Read(loaded)
	if len(problems) > 0 {
		p := problems[0]
		return nil, nil, rules, errs.E(errs.Invalid, "%s:%d: %s: %s", p.File, p.Line, p.Field, p.Msg)
	}
	for _, r := range set.Resources {
		switch r.Kind {
		case resource.KindAccessPolicy:
			if p, err := resource.As[resource.AccessPolicy](r); err == nil {
				sources = append(sources, policy.Source{Name: r.Metadata.Name, Text: p.Rules})
			}
		case resource.KindGroup:
			if g, err := resource.As[resource.Group](r); err == nil {
				groups[r.Metadata.Name] = g.Members
			}
		case resource.KindAccessRules:
			if rules, err = resource.As[resource.AccessRules](r); err != nil {
				return nil, nil, rules, err
			}
		}
	}
	return sources, groups, rules.Defaults(), nil
}

func (f policyCases) run(path string) ([]policyFailure, error) {
	sources, groups, rules, err := readPolicies(f.Policies, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	compiled, faults := cedar.Compile(sources, groups)
	if len(faults) > 0 {
		return nil, errs.E(errs.Invalid, "%s", faults[0])
	}
	var wrong []policyFailure
	for i, c := range f.Cases {
		d := compiled.Decide(c.request(groups, rules.Zone))
		got, by := "deny", ""
		if d.Allowed {
			got = "allow"
		}
		if len(d.Rules) > 0 {
			by = d.Rules[0].Policy + "/" + d.Rules[0].ID
		}
		if got == c.Expect && (c.Rule == "" || c.Rule == by) {
			continue
		}
		name := c.Name
		if name == "" {
			name = fmt.Sprintf("case %d", i+1)
		}
		wrong = append(wrong, policyFailure{File: filepath.ToSlash(path), Case: name, Got: strings.TrimSpace(got + " " + by), Want: strings.TrimSpace(c.Expect + " " + c.Rule)})
	}
	return wrong, nil
}

func (c policyCase) request(groups map[string][]string, zone string) policy.Request {
	q := policy.Request{Principal: policy.Principal{Name: c.As, Role: c.Role, Groups: c.Groups, Strong: c.Strong}, Action: c.Action, Verb: c.Verb, Granted: c.Granted, Zone: zone,
		Resource:      policy.Resource{Kind: policy.KindOf(c.Kind), Name: c.Resource, Service: c.Service, Ring: c.Ring, Labels: c.Labels},
		Circumstances: policy.Circumstances{Now: c.At, Incident: c.Incident, Frozen: c.Frozen, Change: c.Change}}
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	if c.SignedIn > 0 {
		q.Principal.Authenticated = q.Now.Add(-time.Duration(c.SignedIn) * time.Minute)
	}
	for g, members := range groups {
		for _, m := range members {
			if m == c.As {
				q.Declared = append(q.Declared, g)
			}
		}
	}
	return q
}
