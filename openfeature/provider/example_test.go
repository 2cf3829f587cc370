package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/openfeature/provider"
)

// With a URL in the place of File, the flags are those of a server, and follow it.
func Example() {
	dir, _ := os.MkdirTemp("", "flags")
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "flags.yaml")
	_ = os.WriteFile(file, []byte(`
flags:
  new-checkout:
    state: ENABLED
    variants: {"on": true, "off": false}
    defaultVariant: "off"
    targeting: {if: [{ends_with: [{var: email}, "@example.com"]}, "on"]}
`), 0o600)

	flags, err := provider.New(provider.Options{File: file})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := openfeature.SetProviderAndWait(flags); err != nil {
		fmt.Println(err)
		return
	}
	defer openfeature.Shutdown()

	client := openfeature.NewDefaultClient()
	carol := openfeature.NewEvaluationContext("carol", map[string]any{"email": "carol@example.com"})
	fmt.Println(client.Boolean(context.Background(), "new-checkout", false, carol))
	// Output: true
}
