// Package provider is Ringfence's provider for OpenFeature's Go SDK. It evaluates flags in the process that asks, from a copy
// that is kept up to date by a stream, so an evaluation costs no request and goes on when nothing can be reached.
//
//	flags, err := provider.New(provider.Options{
//		URL:    "http://127.0.0.1:7402",           // a data plane, or the sync port of `ringfence flags serve`
//		Cache:  "/var/lib/shop/flags.json",        // to start from when that cannot be reached
//		Events: "https://ringfence.example.com",   // where exposures and Track's events go
//		Token:  os.Getenv("RINGFENCE_TOKEN"),
//	})
//	if err != nil { … }
//	if err := openfeature.SetProviderAndWait(flags); err != nil { … }
//	defer openfeature.Shutdown()
//
// Where the flags are from. With a URL, from a stream of flagd's sync protocol, over Connect, which begins with all flags and has them again
// after each change. A stream that ends is opened again, at once when it brought something, after growing pauses when it did not.
// With a File, from that file, which is read again when it changes. Either way, what was had last is evaluated for as long as there is
// nothing newer; flags that cannot be read replace none.
//
// Starting. Init returns when the flags are there. When the first attempt fails, or takes long, it starts from the Cache if that has
// any. With neither it fails after Options.Patience, or when its context ends; flags that come later are still taken, with
// PROVIDER_READY.
//
// Events. CONFIGURATION_CHANGED names the flags that are another; STALE says that the flags may be outdated since their source cannot be
// reached, READY that they are up to date again, ERROR that the source refuses this client. Changes that nobody received meanwhile
// are told as one.
//
// Exposures. The provider's own hook reports which user got which variant, of flags that have a rule: those without give everyone the same,
// and nothing is to be learned. The same user, flag and variant are reported once a minute. Track reports a metric event. Both are
// queued without ever waiting, sent in batches with idempotency keys, and repeated until the server has them; when
// the queue is full, new ones are dropped and counted (Lost). Shutdown and Flush send what is queued. Nothing is kept on disk: events that
// are queued when the process is killed are gone.
//
// A Provider may be used by many goroutines at once, be registered under several domains, and be initialised again after Shutdown.
package provider
