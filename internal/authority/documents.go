package authority

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

func decode[T any](d store.Doc) (T, error) {
	var v T
	if err := json.Unmarshal(d.Body, &v); err != nil {
		return v, errs.Wrap(errs.Internal, err, "%s %s is damaged", d.Kind, d.Name)
	}
	return v, nil
}
