// Command schema proves that a database's schema changes under traffic without anybody noticing. It starts a PostgreSQL of its own,
// fills a table, and has clients of two versions of a program read and write it, about a thousand writes a second, while one
// column is split in two, one renamed, and one made NOT NULL and an integer; taken back; done again; and the old version taken away.
//
// Each client reads a row and compares it with what was last written to it by whichever version, and then writes it. At each end
// every row is read by every live version and compared. It counts errors of clients, rows that differ, and how long queries took
// beside how long they took without a migration.
//
//	go run ./bench/schema -rows 5000000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/ringfence/ringfence/internal/store/pgtest"
)

func main() {
	c := config{out: os.Stdout}
	flag.IntVar(&c.rows, "rows", 5_000_000, "rows of the table")
	flag.IntVar(&c.writes, "writes", 1000, "writes a second")
	flag.IntVar(&c.workers, "workers", 8, "connections of each version")
	flag.DurationVar(&c.each, "each", 30*time.Second, "how long traffic is measured without a migration, and side by side")
	flag.DurationVar(&c.batch, "batch", 0, "what a batch of a fill shall take; 0 for the engine's own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config) error {
	bin := pgtest.Binaries()
	if bin == "" {
		return fmt.Errorf("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql/*/bin")
	}
	server, err := pgtest.Start(bin, true, "shared_buffers=1GB") // a server of a table as large has memory for it
	if err != nil {
		return err
	}
	defer server.Stop()
	c.address = server.Address("")
	r, err := prove(ctx, c)
	if err != nil {
		return err
	}
	r.print(c.out)
	return r.verdict(true)
}
