package secret

import (
	"regexp"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// The limits of secrets.
const (
	MaxValue    = 16 << 10 // bytes of a value
	maxVersions = 100      // that are remembered, revoked ones included
	maxReaders  = 1000
)

// The states of a version.
const (
	Current = "current" // what services get
	Overlap = "overlap" // still valid: services get it beside the current one
	Revoked = "revoked" // gone
)

var nameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Version is one value of a secret.
type Version struct {
	Number  int       `json:"number"`
	State   string    `json:"state" enum:"current,overlap,revoked"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Ended   time.Time `json:"ended,omitzero" doc:"when it was revoked"`
	Why     string    `json:"why,omitempty" doc:"why it was revoked"`

	Sealed []byte `json:"sealed,omitempty" hidden:"true"` // its value, encrypted; gone with its revocation
}

// Reader is somebody, or an instance, that read a secret.
type Reader struct {
	Who     string    `json:"who" doc:"user:NAME, or instance:SERVICE/VERSION/NUMBER@UNIT"`
	Version int       `json:"version" doc:"the newest that it read"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int       `json:"count"`
}

// Secret is a secret with all that is known of it.
type Secret struct {
	Name     string    `json:"name"`
	Versions []Version `json:"versions" doc:"newest first"`
	Readers  []Reader  `json:"readers" doc:"all that ever read it, the latest first"`
}

// CheckName says what is wrong with a name.
func CheckName(name string) error {
	if !nameRE.MatchString(name) {
		return errs.E(errs.Invalid, "name: expected lower-case letters, digits and hyphens, at most 63")
	}
	return nil
}

// Public is the secret without what its values were sealed to.
func (s Secret) Public() Secret {
	s.Versions = slices.Clone(s.Versions)
	for i := range s.Versions {
		s.Versions[i].Sealed = nil
	}
	if s.Readers == nil {
		s.Readers = []Reader{}
	}
	return s
}

// Current is the version that services get.
func (s Secret) Current() (Version, bool) {
	return s.find(func(v Version) bool { return v.State == Current })
}

// Version is one by its number, 0 for the current one.
func (s Secret) Version(number int) (Version, bool) {
	if number == 0 {
		return s.Current()
	}
	return s.find(func(v Version) bool { return v.Number == number })
}

func (s Secret) find(is func(Version) bool) (Version, bool) {
	i := slices.IndexFunc(s.Versions, is)
	if i < 0 {
		return Version{}, false
	}
	return s.Versions[i], true
}

// Next is the number of the version to come. Numbers are never given twice.
func (s Secret) Next() int {
	if len(s.Versions) == 0 {
		return 1
	}
	return s.Versions[0].Number + 1
}

// Add makes a new version the current one. The one before stays valid until it is revoked; what was before that is revoked now.
func (s Secret) Add(v Version) Secret {
	s.Versions = slices.Clone(s.Versions)
	for i := range s.Versions {
		switch old := &s.Versions[i]; old.State {
		case Overlap:
			old.revoke(v.Created, "two versions came after it")
		case Current:
			old.State = Overlap
		}
	}
	v.State = Current
	s.Versions = append([]Version{v}, s.Versions...)
	s.Versions = s.Versions[:min(len(s.Versions), maxVersions)]
	return s
}

// Revoke ends a version. The current one is only revoked by a new one in its place.
func (s Secret) Revoke(number int, why string, at time.Time) (Secret, error) {
	s.Versions = slices.Clone(s.Versions)
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Number == number })
	switch {
	case i < 0:
		return s, errs.E(errs.Missing, "secret %s has no version %d", s.Name, number)
	case s.Versions[i].State == Current:
		return s, errs.E(errs.Conflict, "version %d of secret %s is the current one", number, s.Name).Next("Set a new value first: ringfence secret set %s", s.Name)
	case s.Versions[i].State == Overlap:
		s.Versions[i].revoke(at, why)
	}
	return s, nil
}

func (v *Version) revoke(at time.Time, why string) {
	v.State, v.Ended, v.Why, v.Sealed = Revoked, at, why, nil
}

// Read notes that somebody read a version.
func (s Secret) Read(who string, version int, at time.Time) Secret {
	s.Readers = slices.Clone(s.Readers)
	r := Reader{Who: who, First: at}
	if i := slices.IndexFunc(s.Readers, func(r Reader) bool { return r.Who == who }); i >= 0 {
		r = s.Readers[i]
		s.Readers = slices.Delete(s.Readers, i, i+1)
	}
	r.Version, r.Last, r.Count = max(r.Version, version), at, r.Count+1
	s.Readers = append([]Reader{r}, s.Readers...)
	s.Readers = s.Readers[:min(len(s.Readers), maxReaders)] // the record knows those before
	return s
}
