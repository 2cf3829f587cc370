package ui

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// An editor of a resource is a form: fields, and the same as text. Whichever was edited counts.

// editedText is the text of an editor's form; edited reports whether it is another than was shown.
func editedText(r *http.Request) (text string, edited bool) {
	text = strings.ReplaceAll(r.PostFormValue("yaml"), "\r\n", "\n")
	return text, digestOf(text) != r.PostFormValue("wrote")
}

// given reads the fields of a form; a field that has several values has them one after the other.
func given(r *http.Request) func(key string) (string, bool) {
	return func(key string) (string, bool) {
		values, there := r.PostForm[key]
		return strings.Join(values, ""), there
	}
}

// specOf reads the one resource of a kind and name that a text shall have; problems say why there is none.
func specOf[T resource.Spec](text, kind, name string) (spec T, meta resource.Metadata, problems []string) {
	set, wrong := manifest.Read([]manifest.Source{{Name: "line", Data: []byte(text)}})
	for _, one := range wrong {
		problems = append(problems, fmt.Sprintf("Line %d: %s", one.Line, resource.Problem{Path: one.Field, Msg: one.Msg, Expected: one.Expected}.Text()))
	}
	if len(wrong) > 0 {
		return spec, meta, problems
	}
	if len(set.Resources) != 1 || set.Resources[0].Kind != kind || set.Resources[0].Metadata.Name != name {
		return spec, meta, []string{"Expected one " + kind + " with the name " + name + "."}
	}
	spec, err := resource.As[T](set.Resources[0])
	if err != nil {
		return spec, meta, []string{err.Error()}
	}
	return spec, set.Resources[0].Metadata, nil
}
