package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/internal/handover"
)

// The test's binary is also the planes, the up and the instance that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := act(ctx, os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func act(ctx context.Context, what string, args []string) error {
	switch what {
	case "server", "dataplane":
		return fakePlane(ctx, what, args)
	case "up":
		c := UpConfig{Data: args[0], Listen: "127.0.0.1:0", Gateway: "127.0.0.1:0", Admin: "127.0.0.1:0", Unit: "local",
			Scrape: time.Second, Step: time.Second, Out: os.Stdout, Logger: slog.New(slog.DiscardHandler)}
		return Up(ctx, c)
	case "version":
		_, err := fmt.Printf("{\"version\":\"test\",\"handover\":%d}\n", handover.Protocol)
		return err
	case "realdataplane":
		return realDataPlane(ctx, args)
	case "realserver":
		return realServer(ctx, args)
	case "web":
		return web(ctx, args[0])
	case "heir":
		return heir(args[0])
	case "instance":
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return err
		}
		defer l.Close()
		<-ctx.Done()
		return nil
	}
	return fmt.Errorf("%s is nothing that a test starts", what)
}

// fakePlane does what up relies on: it takes the folder, makes the token, says where it is, answers, and ends when told.
func fakePlane(ctx context.Context, plane string, args []string) error {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i++ {
		flags[args[i]] = args[i+1]
	}
	data, addr := flags["--data"], flags["--listen"]+flags["--admin"]
	lock, err := lockFolder(data, plane)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(data, "damaged")); err == nil {
		fmt.Fprintf(os.Stderr, "time=now level=INFO msg=noise\nerror: the %s is damaged\nhint: Restore a backup.\n", plane)
		os.Exit(cli.ExitUnavailable)
	}
	if _, err := os.Stat(filepath.Join(data, "hopeless")); err == nil {
		panic("hopeless")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if err := writeRunFile(data, plane, RunFile{URL: "http://" + addr}); err != nil {
		return err
	}
	if plane == "server" {
		if err := writeFile(filepath.Join(data, access.DataPlaneFile), []byte("token")); err != nil {
			return err
		}
	}
	err = serveHTTP(ctx, l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil)
	f, openErr := os.OpenFile(filepath.Join(strings.TrimSuffix(data, "/dataplane"), "ended"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if openErr == nil {
		fmt.Fprintf(f, "%s\n", plane)
		openErr = f.Close()
	}
	return errors.Join(err, openErr)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("no sign of: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
