package resource

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// IdentityProvider vouches for people, programs or both by OpenID Connect.
type IdentityProvider struct {
	Issuer   string    `json:"issuer" maxLength:"500" doc:"its URL, as its tokens name it; https, or http on this machine"`
	People   *People   `json:"people,omitempty" doc:"people who sign in by it, in a browser; default nobody"`
	Programs []Program `json:"programs,omitempty" maxItems:"500" doc:"programs, such as jobs of a pipeline, that get a token of a few minutes for one of the issuer's"`
}

// People says who of an issuer's people may sign in, and as what.
type People struct {
	Title            string     `json:"title,omitempty" maxLength:"60" doc:"what the button says; default the name of the resource"`
	ClientID         string     `json:"clientID" maxLength:"300" doc:"what the issuer knows Ringfence by; its redirect address there is https://…/sign-in/NAME/back"`
	ClientSecretFile string     `json:"clientSecretFile,omitempty" doc:"file in the folder of secrets that holds the client's secret; none for a public client. PKCE is used in any case"`
	Scopes           []string   `json:"scopes,omitempty" maxItems:"20" doc:"what is asked for beside openid; default email, profile"`
	Name             string     `json:"name,omitempty" maxLength:"100" doc:"claim that names a person; default email, which the issuer has to have verified"`
	Groups           string     `json:"groups,omitempty" maxLength:"100" doc:"claim that lists what a person belongs to; default groups"`
	Roles            []RoleRule `json:"roles" minItems:"1" maxItems:"200" doc:"who gets which role; the first that fits. Who fits none may not sign in"`
	Strong           []string   `json:"strong,omitempty" maxItems:"20" doc:"values of the claims amr and acr that say somebody proved who they are by more than a password; default mfa, hwk, fido, phr, phrh"`
	DemandStrong     bool       `json:"demandStrong,omitempty" doc:"nobody signs in without one of them"`
	Session          fleet.Dur  `json:"session,omitempty" doc:"how long a sign-in holds; default 8h, at most 24h"`
}

// RoleRule gives a role to a group.
type RoleRule struct {
	Group string `json:"group" maxLength:"200" doc:"a value of the claim groups; * for everyone the issuer vouches for"`
	Role  string `json:"role" enum:"admin,operator,viewer" doc:"what they are trusted with"`
}

// Program is a program that an issuer vouches for.
type Program struct {
	Name     string            `json:"name" doc:"what it is called in the record"`
	Audience string            `json:"audience" maxLength:"500" doc:"what its tokens have to be meant for: the address of this control plane, or a word of your own"`
	Claims   map[string]string `json:"claims" minProperties:"1" maxProperties:"20" doc:"what its tokens have to say, such as repository: acme/shop; a * at the end, behind / or :, stands for any rest"`
	Role     string            `json:"role" enum:"admin,operator,viewer,prober,alerter" doc:"what it is trusted with"`
	Only     []string          `json:"only,omitempty" maxItems:"20" doc:"of what the role may, no more than this; default all of it"`
	Life     fleet.Dur         `json:"life,omitempty" doc:"how long the token that it gets holds; default 15m, at most 1h"`
}

// Defaults returns i with every default filled in.
func (i IdentityProvider) Defaults() IdentityProvider {
	if i.People != nil {
		who := *i.People
		if len(who.Scopes) == 0 {
			who.Scopes = []string{"email", "profile"}
		}
		or(&who.Name, "email")
		or(&who.Groups, "groups")
		if len(who.Strong) == 0 {
			who.Strong = []string{"mfa", "hwk", "fido", "phr", "phrh"}
		}
		or(&who.Session, fleet.Dur(8*time.Hour))
		i.People = &who
	}
	i.Programs = slices.Clone(i.Programs)
	for k := range i.Programs {
		or(&i.Programs[k].Life, fleet.Dur(15*time.Minute))
	}
	return i
}

// narrowed is what a token can be narrowed to.
var narrowed = []string{"read", "decide", "change", "fetch", "export", "send", "probe", "alert"}

var (
	claimRE   = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,100}$`)
	programRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

func (p *problems) identityProvider(i *IdentityProvider) {
	u, err := url.Parse(i.Issuer)
	p.need(err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && nearby(u.Hostname())),
		"spec.issuer", "an https URL, or http on this machine", "got %q", clip(i.Issuer))
	p.need(i.People != nil || len(i.Programs) > 0, "spec", "people, programs or both", "vouches for nobody")
	if i.People != nil {
		p.staff(i.People)
	}
	seen := map[string]bool{}
	for k, g := range i.Programs {
		p.program(g, item("spec.programs", k))
		p.need(!seen[g.Name], item("spec.programs", k)+".name", "a name of its own", "%q is there twice", clip(g.Name))
		seen[g.Name] = true
	}
}

func nearby(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (p *problems) staff(w *People) {
	p.need(w.ClientID != "" && printable(w.ClientID), "spec.people.clientID", "the client's name at the issuer", "got %q", clip(w.ClientID))
	if w.ClientSecretFile != "" {
		p.secretFile(w.ClientSecretFile, "spec.people.clientSecretFile")
	}
	p.need(w.Name == "" || claimRE.MatchString(w.Name), "spec.people.name", "the name of a claim", "got %q", clip(w.Name))
	p.need(w.Groups == "" || claimRE.MatchString(w.Groups), "spec.people.groups", "the name of a claim", "got %q", clip(w.Groups))
	for i, s := range w.Scopes {
		p.need(claimRE.MatchString(s), item("spec.people.scopes", i), "a scope", "got %q", clip(s))
	}
	for i, r := range w.Roles {
		at := item("spec.people.roles", i)
		p.need(r.Group != "" && printable(r.Group), at+".group", "a value of the claim, or *", "got %q", clip(r.Group))
		p.need(r.Group != "*" || r.Role == "viewer", at+".role", "viewer, where everyone is meant", "everyone would be %s", r.Role)
		p.need(r.Group != "*" || i == len(w.Roles)-1, at+".group", "* in the last rule only", "rules behind it are never looked at")
	}
	p.within(w.Session, 24*time.Hour, "spec.people.session")
}

func (p *problems) program(g Program, at string) {
	p.need(programRE.MatchString(g.Name), at+".name", "lower-case letters, digits and hyphens, at most 63", "got %q", clip(g.Name))
	p.need(g.Audience != "" && printable(g.Audience), at+".audience", "what its tokens are meant for", "got %q", clip(g.Audience))
	said := false
	for name, want := range g.Claims {
		p.need(claimRE.MatchString(name), at+".claims", "names of claims", "got %q", clip(name))
		p.need(want != "" && printable(want) && !strings.Contains(strings.TrimSuffix(want, "*"), "*"), at+".claims."+name, "a value, with * at its end at most", "got %q", clip(want))
		if prefix, open := strings.CutSuffix(want, "*"); open && prefix != "" {
			p.need(strings.ContainsAny(prefix[len(prefix)-1:], "/:"), at+".claims."+name, "/ or : before the *", "%q fits names that only begin alike", clip(want))
		}
		said = said || !slices.Contains([]string{"iss", "aud", "exp", "iat", "nbf"}, name) && want != "*"
	}
	p.need(said, at+".claims", "a claim that tells its programs from those of others", "anybody whom the issuer vouches for would be %s", g.Role)
	for i, a := range g.Only {
		p.need(slices.Contains(narrowed, a), item(at+".only", i), "one of "+strings.Join(narrowed, ", "), "got %q", clip(a))
	}
	p.within(g.Life, time.Hour, at+".life")
}

// Fits says whether a claim's value is what is wanted.
func Fits(want, value string) bool {
	if prefix, open := strings.CutSuffix(want, "*"); open {
		return strings.HasPrefix(value, prefix)
	}
	return value == want
}
