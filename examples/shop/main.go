// Command shop is a small web shop, the service that the tour, the demo and the tests take to production.
//
// Its versions differ by build flags alone:
//
//	go build -o shop-v1 -ldflags "-X main.version=v1" ./examples/shop
//	go build -o shop-v3 -ldflags "-X main.version=v3 -X main.checkoutErrors=0.4 -X main.delay=60ms" ./examples/shop
//	go build -o shop-v4 -ldflags "-X main.version=v4 -X main.ready=never" ./examples/shop
//
// What else a version may do wrong, for drills, is in faults.go.
//
// Whether a user has the express checkout is the flag express-checkout, which the shop asks OFREP_ENDPOINT for.
//
// Its configuration is the GREETING in its environment and the prices in prices.json below RINGFENCE_CONFIG.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Set by the linker.
var (
	version        = "dev"
	checkoutErrors = "0"  // share of checkouts that answer 500
	expressErrors  = "0"  // the same of those by the express checkout, a flag
	delay          = "0s" // added to every answer
	ready          = "yes"
)

type product struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
}

var products = []product{{1, "Kettle", 39.9}, {2, "Teapot", 24.5}, {3, "Mug", 9}, {4, "Tea, 100 g", 12.8}}

func main() {
	listen := flag.String("listen", cmp.Or(os.Getenv("ADDRESS"), "127.0.0.1:9000"), "address to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		slog.Error("shop stops", "err", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	errorShare, err := strconv.ParseFloat(checkoutErrors, 64)
	if err != nil {
		return fmt.Errorf("checkoutErrors: %w", err)
	}
	expressShare, err := strconv.ParseFloat(expressErrors, 64)
	if err != nil {
		return fmt.Errorf("expressErrors: %w", err)
	}
	wait, err := time.ParseDuration(delay)
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	decay()
	server := &http.Server{Addr: listen, Handler: faulty(slowed(wait, routes(errorShare, expressShare))), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("shop is open", "version", version, "listen", listen, "greeting", os.Getenv("GREETING"))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		slog.Info("shop closes", "version", version)
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return server.Shutdown(end)
	}
}

func routes(errorShare, expressShare float64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "Welcome to the shop, version %s. %s\n", version, os.Getenv("GREETING"))
	})
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, _ *http.Request) {
		list, err := priced()
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, list)
	})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		var p product
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&p); err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusCreated, p)
	})
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		kind, share := "plain", errorShare
		if enabled(r.Context(), "express-checkout", r.Header.Get("X-User-ID")) {
			kind, share = "express", max(errorShare, expressShare)
		}
		if chance(share) {
			answer(w, http.StatusInternalServerError, map[string]string{"error": "the payment could not be booked"})
			return
		}
		if err := errors.Join(charge(r), keepOrder()); err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]string{"order": strconv.FormatUint(rand.Uint64(), 36), "version": version, "checkout": kind})
	})
	pages(mux)
	mux.HandleFunc("POST /charge", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"charged": "yes"})
	})
	if metrics == "yes" {
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "# TYPE shop_products gauge\nshop_products %d\n", len(products))
		})
	}
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready != "yes" {
			http.Error(w, "the catalogue cannot be read", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return mux
}

// enabled asks for a flag by OpenFeature's remote evaluation protocol; an SDK would do the same. Whatever goes wrong, it is off.
func enabled(ctx context.Context, key, user string) bool {
	endpoint := os.Getenv("OFREP_ENDPOINT")
	if endpoint == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{"context": map[string]string{"targetingKey": user}})
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/ofrep/v1/evaluate/flags/"+key, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var got struct{ Value bool }
	return json.NewDecoder(resp.Body).Decode(&got) == nil && resp.StatusCode == http.StatusOK && got.Value
}

// priced are the products at the prices of prices.json, by id, where its config has one. It is read anew each time, so
// that a change of the file is seen at once.
func priced() ([]product, error) {
	list := slices.Clone(products)
	b, err := os.ReadFile(filepath.Join(os.Getenv("RINGFENCE_CONFIG"), "prices.json"))
	if os.Getenv("RINGFENCE_CONFIG") == "" || errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	prices := map[int]float64{}
	if err == nil {
		err = json.Unmarshal(b, &prices)
	}
	for i, p := range list {
		list[i].Price = cmp.Or(prices[p.ID], p.Price)
		if list[i].Price < 0 {
			err = cmp.Or(err, fmt.Errorf("the price of %s is %g", p.Name, list[i].Price))
		}
	}
	return list, err
}

func chance(share float64) bool { return rand.Float64() < share }

func slowed(wait time.Duration, next http.Handler) http.Handler {
	if wait == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			time.Sleep(wait)
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
