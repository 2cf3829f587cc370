package tsdb

import (
	"maps"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/textparse"
)

// Family is what a target says of one of its metrics.
type Family struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

const (
	maxHelp     = 1 << 10
	maxFamilies = 5000
)

// describe notes a line about a metric.
func (in *ingest) describe(p textparse.Parser, entry textparse.Entry) {
	var name, text []byte
	var set func(*Family)
	switch entry {
	case textparse.EntryType:
		n, t := p.Type()
		name, set = n, func(f *Family) { f.Type = string(t) }
	case textparse.EntryHelp:
		name, text = p.Help()
		set = func(f *Family) { f.Help = string(text[:min(len(text), maxHelp)]) }
	case textparse.EntryUnit:
		name, text = p.Unit()
		set = func(f *Family) { f.Unit = string(text[:min(len(text), maxHelp)]) }
	default:
		return
	}
	f, known := in.help[string(name)]
	if !known && len(in.help) >= maxFamilies {
		return
	}
	was := f
	set(&f)
	if !known || f != was {
		in.help[string(name)] = f
		in.described = true
	}
}

// families are the descriptions of all targets' metrics.
type families struct {
	mu sync.RWMutex
	by map[string]map[string]Family
}

// set publishes what the target said when it said something new.
func (f *families) set(key string, in *ingest) {
	if !in.described {
		return
	}
	in.described = false
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]map[string]Family{}
	}
	f.by[key] = maps.Clone(in.help)
}

// pushed is the key of what came with samples that were sent here.
const pushed = ""

// note keeps what came with a sample that was sent here.
func (f *families) note(name string, is Family) {
	is.Help, is.Unit = is.Help[:min(len(is.Help), maxHelp)], is.Unit[:min(len(is.Unit), maxHelp)]
	f.mu.RLock()
	was, known := f.by[pushed][name]
	f.mu.RUnlock()
	if known && was == is {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]map[string]Family{}
	}
	of := f.by[pushed]
	if of == nil {
		of = map[string]Family{}
		f.by[pushed] = of
	}
	if known || len(of) < maxFamilies {
		of[strings.Clone(name)] = Family{strings.Clone(is.Type), strings.Clone(is.Help), strings.Clone(is.Unit)}
	}
}

func (f *families) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.by, key)
}

// all returns every distinct description by metric; name "" means every metric.
func (f *families) all(name string) map[string][]Family {
	f.mu.RLock()
	defer f.mu.RUnlock()
	out := map[string][]Family{}
	for _, one := range f.by {
		for n, fam := range one {
			if (name == "" || n == name) && !containsFamily(out[n], fam) {
				out[n] = append(out[n], fam)
			}
		}
	}
	return out
}

func containsFamily(fs []Family, f Family) bool {
	for _, o := range fs {
		if o == f {
			return true
		}
	}
	return false
}
