// Command openfeature asks for a flag through OpenFeature's Go SDK, with Ringfence's provider.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/ringfence/ringfence/openfeature/provider"
)

func main() {
	flags, err := provider.New(provider.Options{
		URL:    "http://127.0.0.1:9015", // or a data plane's, http://127.0.0.1:7402
		Cache:  "flags.cache",           // to start from when that cannot be reached
		Events: os.Getenv("EVENTS"),     // the API, http://127.0.0.1:7400, takes exposures and metric events
		Token:  os.Getenv("TOKEN"),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := openfeature.SetProviderAndWait(flags); err != nil {
		log.Fatal(err)
	}
	defer openfeature.Shutdown() // sends what is queued

	client := openfeature.NewDefaultClient()
	carol := openfeature.NewEvaluationContext("carol", map[string]any{"email": "carol@example.com"})
	fmt.Println("new-checkout:", client.Boolean(context.Background(), "new-checkout", false, carol))
	client.Track(context.Background(), "order", carol, openfeature.NewTrackingEventDetails(49.90).Add("id", "4711"))
}
