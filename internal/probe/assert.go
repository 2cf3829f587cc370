package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// expected says what about an answer is not as it must be.
func expected(got answer, e resource.ProbeExpect) error {
	ok := got.status >= 200 && got.status <= 399
	want := "200 to 399"
	if len(e.Status) > 0 {
		ok, want = slices.Contains(e.Status, got.status), strings.Trim(fmt.Sprint(e.Status), "[]")
	}
	if !ok {
		return fmt.Errorf("answered %d, expected %s", got.status, want)
	}
	for name, pattern := range e.Headers {
		if !anyMatches(got.header.Values(name), pattern) {
			return fmt.Errorf("header %s is %q, expected a match of %s", name, strings.Join(got.header.Values(name), ", "), pattern)
		}
	}
	if err := bodyExpected(got, e); err != nil {
		return err
	}
	if d := time.Duration(e.Within); d > 0 && got.took > d {
		return fmt.Errorf("took %s, expected at most %s", got.took.Round(time.Millisecond), d)
	}
	return nil
}

func anyMatches(values []string, pattern string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && slices.ContainsFunc(values, re.MatchString)
}

func bodyExpected(got answer, e resource.ProbeExpect) error {
	where := ""
	if got.cut {
		where = " in its first MiB"
	}
	for _, text := range e.Contains {
		if !bytes.Contains(got.body, []byte(text)) {
			return fmt.Errorf("the body does not hold %q%s", oneLine(text, 100), where)
		}
	}
	for _, text := range e.Absent {
		if bytes.Contains(got.body, []byte(text)) {
			return fmt.Errorf("the body holds %q", oneLine(text, 100))
		}
	}
	if e.Matches != "" {
		if re, err := regexp.Compile(e.Matches); err != nil || !re.Match(got.body) {
			return fmt.Errorf("the body does not match %s%s", oneLine(e.Matches, 100), where)
		}
	}
	if len(e.JSON) == 0 {
		return nil
	}
	tree, err := decoded(got)
	if err != nil {
		return err
	}
	for _, j := range e.JSON {
		if err := jsonExpected(tree, j); err != nil {
			return err
		}
	}
	return nil
}

func decoded(got answer) (any, error) {
	d := json.NewDecoder(bytes.NewReader(got.body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, errors.New("the body is not JSON")
	}
	return tree, nil
}

func jsonExpected(tree any, j resource.ProbeJSON) error {
	v, ok := at(tree, j.Path)
	if !ok {
		return fmt.Errorf("JSON: there is no %s", j.Path)
	}
	text := textOf(v)
	if j.Equals != "" && text != j.Equals {
		return fmt.Errorf("JSON: %s is %q, expected %q", j.Path, oneLine(text, 100), j.Equals)
	}
	if j.Matches != "" && !anyMatches([]string{text}, j.Matches) {
		return fmt.Errorf("JSON: %s is %q, expected a match of %s", j.Path, oneLine(text, 100), j.Matches)
	}
	if j.Min == nil && j.Max == nil {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return fmt.Errorf("JSON: %s is %q, expected a number", j.Path, oneLine(text, 100))
	case j.Min != nil && n < *j.Min:
		return fmt.Errorf("JSON: %s is %v, expected at least %v", j.Path, n, *j.Min)
	case j.Max != nil && n > *j.Max:
		return fmt.Errorf("JSON: %s is %v, expected at most %v", j.Path, n, *j.Max)
	}
	return nil
}

// at finds a value by names and positions: items[0].price, with $. before it or without.
func at(tree any, path string) (any, bool) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "$"), ".")
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			continue
		}
		switch node := tree.(type) {
		case map[string]any:
			v, ok := node[part]
			if !ok {
				return nil, false
			}
			tree = v
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			tree = node[i]
		default:
			return nil, false
		}
	}
	return tree, true
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// extract keeps variables of an answer for the steps that follow.
func (a *attempt) extract(got answer, all []resource.ProbeExtract) error {
	for _, x := range all {
		value, ok, from := "", false, ""
		switch {
		case x.JSON != "":
			from = "JSON " + x.JSON
			tree, err := decoded(got)
			if err != nil {
				return err
			}
			var v any
			if v, ok = at(tree, x.JSON); ok {
				value = textOf(v)
			}
		case x.Header != "":
			from, value = "header "+x.Header, got.header.Get(x.Header)
			ok = value != ""
		case x.Cookie != "":
			from = "cookie " + x.Cookie
			i := slices.IndexFunc(got.set, func(c *http.Cookie) bool { return c.Name == x.Cookie })
			if ok = i >= 0; ok {
				value = got.set[i].Value
			}
		case x.Matches != "":
			from = "a match of " + x.Matches
			if re, err := regexp.Compile(x.Matches); err == nil {
				m := re.FindSubmatch(got.body)
				if ok = m != nil; ok {
					value = string(m[min(1, len(m)-1)])
				}
			}
		}
		if !ok || len(value) > 8<<10 {
			return fmt.Errorf("there is no %s for variable %s", from, x.Name)
		}
		a.set(x.Name, value)
	}
	return nil
}
