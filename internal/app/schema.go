package app

import (
	"context"

	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/schema/postgres"
)

// openSchema opens a database whose schema is to be changed.
func openSchema(ctx context.Context, address, name string, o schema.Options) (*schema.Engine, func(), error) {
	d, err := postgres.Open(ctx, address, name)
	if err != nil {
		return nil, nil, err
	}
	return schema.New(d, o), d.Close, nil
}
