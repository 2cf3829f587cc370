package postgres

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/store/pgtest"
)

// TestAReplicaThatFallsBehind: a replica that receives everything and applies nothing is seen to fall behind, by name, and to have caught up.
func TestAReplicaThatFallsBehind(t *testing.T) {
	first, err := pgtest.Start(pgtest.NeedBinaries(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Stop()
	second, err := first.Replica()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	d, err := Open(t.Context(), first.Address(""), "public")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	writer, reader := connect(t, first.Address(""), ""), connect(t, second.Address(""), "")
	writer.exec("CREATE TABLE orders (id bigserial PRIMARY KEY)")
	behind := func(what string, is func(time.Duration) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; {
			writer.exec("INSERT INTO orders DEFAULT VALUES")
			p, err := d.Pressure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if is(p.Lag) && p.Replica != "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, p)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	behind("it follows", func(lag time.Duration) bool { return lag < time.Second })
	reader.exec("SELECT pg_wal_replay_pause()")
	behind("it falls behind", func(lag time.Duration) bool { return lag > 2*time.Second })
	reader.exec("SELECT pg_wal_replay_resume()")
	behind("it has caught up", func(lag time.Duration) bool { return lag < time.Second })
}
