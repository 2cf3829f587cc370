package client

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/servicing"
)

// Databases lists the databases.
func (c *Client) Databases(ctx context.Context) ([]servicing.View, error) {
	var out wire.Databases
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/databases"}, &out)
	return out.Items, err
}

// Database returns one database.
func (c *Client) Database(ctx context.Context, name string) (servicing.View, error) {
	var out servicing.View
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/databases/" + escape(name)}, &out)
	return out, err
}

// StartMigration starts a change of a database's schema.
func (c *Client) StartMigration(ctx context.Context, database string, m wire.Migration) (servicing.View, error) {
	var out servicing.View
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/databases/" + escape(database) + "/migrations", body: m}, &out)
	return out, err
}

// EndMigration completes a change of a database's schema, or takes it back; word is complete or rollback.
func (c *Client) EndMigration(ctx context.Context, database, migration, word string, s wire.SchemaStep) (servicing.View, error) {
	var out servicing.View
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/databases/" + escape(database) + "/migrations/" + escape(migration) + "/" + word, body: s}, &out)
	return out, err
}
