package supply

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// StatementType is that of every in-toto statement.
const StatementType = "https://in-toto.io/Statement/v1"

// statementTypes are those that are read: statements before version 1 have the same fields.
var statementTypes = []string{StatementType, "https://in-toto.io/Statement/v0.1"}

// maxSubjects is how many artifacts one statement may be about.
const maxSubjects = 1024

// Statement is what somebody says of artifacts.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []StatementOf   `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate,omitempty"`
}

// StatementOf is one artifact that a statement is about.
type StatementOf struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// NewStatement is a statement about one artifact.
func NewStatement(name, digest, predicateType string, predicate []byte) ([]byte, error) {
	algorithm, sum, err := Subject{Digest: digest}.Sum()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(predicateType, ":") {
		return nil, errs.E(errs.Invalid, "type %.80q: expected a URI such as https://slsa.dev/provenance/v1", predicateType)
	}
	return json.Marshal(Statement{Type: StatementType, PredicateType: predicateType, Predicate: predicate,
		Subject: []StatementOf{{Name: name, Digest: map[string]string{algorithm: hex.EncodeToString(sum)}}}})
}

// ReadStatement reads a statement whose signature holds, and wants the artifact among its subjects.
func ReadStatement(raw []byte, digest string) (Statement, error) {
	var s Statement
	if err := decodeOne(raw, &s); err != nil {
		return s, errs.E(errs.Invalid, "expected an in-toto statement in JSON: %v", err)
	}
	known := false
	for _, t := range statementTypes {
		known = known || s.Type == t
	}
	switch {
	case !known:
		return s, errs.E(errs.Invalid, "statement of type %.80q, expected %s", s.Type, StatementType)
	case s.PredicateType == "":
		return s, errs.E(errs.Invalid, "the statement has no predicate type")
	case len(s.Subject) == 0 || len(s.Subject) > maxSubjects:
		return s, errs.E(errs.Invalid, "the statement has %d subjects, expected 1 to %d", len(s.Subject), maxSubjects)
	}
	algorithm, sum, err := Subject{Digest: digest}.Sum()
	if err != nil {
		return s, err
	}
	for _, subject := range s.Subject {
		if strings.EqualFold(subject.Digest[algorithm], hex.EncodeToString(sum)) {
			return s, nil
		}
	}
	return s, errs.E(errs.Denied, "the statement is about other artifacts, not about %s", digest)
}

// decodeOne reads one JSON value and nothing after it.
func decodeOne(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more follows after the value")
	}
	return nil
}
