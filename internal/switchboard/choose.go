package switchboard

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/store"
)

// maxChoices bounds how many users choose about one preview: their keys stand in the rule that is served.
const maxChoices = 10000

// Choose notes what a user wants of a flag's preview: in, out, or none to leave it to the flag.
func (b *Board) Choose(ctx context.Context, actor string, s flag.Subject, user, choice string, now time.Time) error {
	f, _, err := b.find(ctx, s)
	if err != nil {
		return err
	}
	switch {
	case f.Preview == nil:
		return errs.E(errs.Conflict, "flag %s/%s has no preview", s.Set, s.Key).Next("give it a preview with a title and a variant")
	case user == "" || len(user) > 512:
		return errs.E(errs.Invalid, "targetingKey: expected 1 to 512 bytes")
	case !slices.Contains([]string{"in", "out", "none"}, choice):
		return errs.E(errs.Invalid, "choice %.20q: expected in, out or none", choice)
	}
	for range 20 {
		err = b.choose(ctx, actor, s, user, choice, now)
		if !errs.Is(err, errs.Conflict) || errs.HintOf(err) != "" {
			return err
		}
	}
	return err
}

func (b *Board) choose(ctx context.Context, actor string, s flag.Subject, user, choice string, now time.Time) error {
	doc, err := b.Store.Get(ctx, b.Choices, s.String())
	if err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	c := flag.Choices{}
	if doc.Rev > 0 {
		if c, err = decode[flag.Choices](doc); err != nil {
			return err
		}
	}
	is := map[string]*[]string{"in": &c.In, "out": &c.Out}
	if list := is[choice]; list != nil && slices.Contains(*list, user) || list == nil && !slices.Contains(c.In, user) && !slices.Contains(c.Out, user) {
		return nil
	}
	gone := func(u string) bool { return u == user }
	c.In, c.Out = slices.DeleteFunc(c.In, gone), slices.DeleteFunc(c.Out, gone)
	if list := is[choice]; list != nil {
		*list = append(*list, user)
		slices.Sort(*list)
	}
	if len(c.In)+len(c.Out) > maxChoices {
		return errs.E(errs.Conflict, "%d users have chosen about this preview already", maxChoices).Next("let a segment or a ring have it instead")
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	e, err := event(now, "preview.chosen", actor, "flag/"+strings.TrimPrefix(s.String(), "flag:"), map[string]any{"choice": choice, "in": len(c.In), "out": len(c.Out)}) // who it was is not for a record that nothing is removed from
	if err != nil {
		return err
	}
	_, err = b.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: b.Choices, Name: s.String(), Rev: doc.Rev, Body: body}}, Events: []audit.Event{e}})
	return err
}
