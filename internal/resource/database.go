package resource

import (
	"regexp"
	"slices"
)

// Database is a PostgreSQL database whose schema is changed while services use it.
type Database struct {
	Owner       string `json:"owner,omitempty" maxLength:"200" doc:"the team whose it is"`
	AddressFile string `json:"addressFile" doc:"file in the folder of secrets that holds its address, postgres://user:password@host/name"`
	Schema      string `json:"schema,omitempty" maxLength:"63" doc:"schema that holds the tables; default public"`
}

// SchemaUse is what a release knows of a database's schema.
type SchemaUse struct {
	Database    string   `json:"database" doc:"name of the Database"`
	Understands []string `json:"understands" minItems:"1" maxItems:"10" doc:"versions of its schema that the release can run on, such as public_01_first and public_02_split"`
}

// Understood reports whether the release can run on a version of the schema.
func (u *SchemaUse) Understood(version string) bool {
	return u != nil && slices.Contains(u.Understands, version)
}

// Same reports whether two releases know the same.
func (u *SchemaUse) Same(o *SchemaUse) bool {
	if u == nil || o == nil {
		return u == o
	}
	return u.Database == o.Database && slices.Equal(u.Understands, o.Understands)
}

// Defaults returns d with every default filled in.
func (d Database) Defaults() Database {
	or(&d.Schema, "public")
	return d
}

// schemaRE is what a version of a schema is called: a name of PostgreSQL's, without what would need quotes in a search_path or have a
// meaning in a label.
var schemaRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

const schemaWords = "letters, digits and _, at most 63, not beginning with a digit"

// ValidSchema says whether s can be a version of a schema.
func ValidSchema(s string) bool { return schemaRE.MatchString(s) }

func (p *problems) database(d *Database) {
	p.secretFile(d.AddressFile, "spec.addressFile")
	p.need(d.Schema == "" || ValidSchema(d.Schema), "spec.schema", schemaWords, "%q is no schema", clip(d.Schema))
}

func (p *problems) schemaUse(u *SchemaUse, at string) {
	p.name(u.Database, at+".database")
	for i, v := range u.Understands {
		p.need(ValidSchema(v), item(at+".understands", i), schemaWords, "%q is no version of a schema", clip(v))
		p.need(slices.Index(u.Understands, v) == i, item(at+".understands", i), "each once", "%q stands twice", clip(v))
	}
}
