package objective

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
)

// Accounts tell what data planes counted by account.
type Accounts interface{}

type customers struct{}

func newCustomers() customers { return customers{} }

func (c *customers) declare([]resource.Resource) {}

func (c *customers) live() []alert.Alert { return nil }

func (e *Engine) customersStep(context.Context, time.Time) error { return nil }
