package tsdb

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// names lists what pick finds for each of the selectors, sorted, each once.
func (db *DB) names(r *http.Request, pick func(context.Context, storage.Querier, ...*labels.Matcher) ([]string, annotations.Annotations, error)) answer {
	l, refused := db.listingOf(r)
	if refused != nil {
		return *refused
	}
	q, err := db.kept.Querier(l.from, l.to)
	if err != nil {
		return failed(err)
	}
	defer q.Close()
	if len(l.sets) == 0 {
		l.sets = [][]*labels.Matcher{nil}
	}
	var a answer
	all := map[string]struct{}{}
	for _, set := range l.sets {
		if err := r.Context().Err(); err != nil {
			return failed(err)
		}
		some, notes, err := pick(r.Context(), q, set...)
		if err != nil {
			return failed(err)
		}
		a.notes.Merge(notes)
		for _, s := range some {
			all[s] = struct{}{}
		}
	}
	list := slices.Sorted(maps.Keys(all))
	if len(list) > l.limit {
		list = list[:l.limit]
		a.warnings = append(a.warnings, truncated)
	}
	a.data = append(a.data, '[')
	for i, s := range list {
		if i > 0 {
			a.data = append(a.data, ',')
		}
		a.data = appendString(a.data, s)
	}
	a.data = append(a.data, ']')
	return a
}

func (db *DB) serveLabels(r *http.Request) answer {
	return db.names(r, func(ctx context.Context, q storage.Querier, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, nil, ms...)
	})
}

func (db *DB) serveLabelValues(r *http.Request) answer {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") { // how clients write names that do not fit into a path
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return badData("invalid label name: %q", name)
	}
	return db.names(r, func(ctx context.Context, q storage.Querier, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(ctx, name, nil, ms...)
	})
}

func (db *DB) serveSeries(r *http.Request) answer {
	l, refused := db.listingOf(r)
	if refused != nil {
		return *refused
	}
	if len(l.sets) == 0 {
		return badData("no match[] parameter provided")
	}
	q, err := db.kept.Querier(l.from, l.to)
	if err != nil {
		return failed(err)
	}
	defer q.Close()
	hints := &storage.SelectHints{Start: l.from, End: l.to, Func: "series"}
	sets := make([]storage.SeriesSet, len(l.sets))
	for i, ms := range l.sets {
		sets[i] = q.Select(r.Context(), true, hints, ms...) // merging needs them sorted
	}
	set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	a := answer{data: []byte{'['}}
	for n := 0; set.Next(); n++ {
		if n == l.limit {
			a.warnings = append(a.warnings, truncated)
			break
		}
		if n%128 == 0 && r.Context().Err() != nil {
			return failed(r.Context().Err())
		}
		if n > 0 {
			a.data = append(a.data, ',')
		}
		a.data = appendLabels(a.data, set.At().Labels())
	}
	if err := set.Err(); err != nil {
		return failed(err)
	}
	a.data = append(a.data, ']')
	a.notes.Merge(set.Warnings())
	return a
}

func (db *DB) serveMetadata(r *http.Request) answer {
	limit, err := signedLimit(r, "limit")
	if err != nil {
		return answer{errType: "bad_data", err: err}
	}
	each, err := signedLimit(r, "limit_per_metric")
	if err != nil {
		return answer{errType: "bad_data", err: err}
	}
	all := db.meta.all(r.Form.Get("metric"))
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if limit >= 0 && i >= limit {
			delete(all, name)
		} else if each > 0 && len(all[name]) > each {
			all[name] = all[name][:each]
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return failed(err)
	}
	return answer{data: data}
}

// signedLimit reads a limit that is absent or negative when there is none.
func signedLimit(r *http.Request, name string) (int, error) {
	s := r.Form.Get(name)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, errors.New(name + " must be a number")
	}
	return n, nil
}
