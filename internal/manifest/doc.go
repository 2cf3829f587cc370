// Package manifest is the edge between files and resources: it reads YAML and JSON, says for everything that is wrong
// the file, line, column, field and what was expected, writes resources back as YAML, shows differences, and
// generates the JSON Schema that editors complete and check with.
//
// Reading is strict. A key that stands twice, a value of the wrong type (a number where text is meant is not
// turned into text) and an unknown field are refused. Aliases are followed, up to a limit on what they unfold to; merge keys are
// refused. What is read is already in canonical form: exporting it and reading that again gives the same.
package manifest
