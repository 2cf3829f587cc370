package app

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	ledger "github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/record/ship"
)

// RecordConfig says how the record is kept as a log.
type RecordConfig struct {
	KeyFile   string        // of the log's private key; default in the data folder
	Ships     []string      // where checkpoints are shipped to: folders and URLs
	Witnesses []string      // NAME+HASH+KEY@URL
	Keep      time.Duration // how long events keep their content; 0 for ever
	Every     time.Duration // between checkpoints
}

// checkpointsKept bounds the checkpoints beside the database, which are there for everybody who ships none elsewhere.
const checkpointsKept = 100

func addRecord(cmd *cobra.Command, c *RecordConfig) {
	f := cmd.Flags()
	f.StringVar(&c.KeyFile, "record-key", "", "file with the key that signs checkpoints of the record; control planes on one database need the same (default record/key in the data folder, made when there is none)")
	f.StringArrayVar(&c.Ships, "ship-checkpoints", nil, "folder or URL that signed checkpoints of the record are shipped to, best on another machine; may be given several times")
	f.StringArrayVar(&c.Witnesses, "witness", nil, "witness that cosigns checkpoints of the record, as NAME+HASH+KEY@URL; may be given several times")
	f.DurationVar(&c.Keep, "record-retention", 0, "how long events of the record keep their content; their hashes stay, and proofs of them hold (default for ever)")
	f.DurationVar(&c.Every, "checkpoint-interval", 5*time.Minute, "how often the record is signed, shipped and compared with what was shipped")
}

// args are the flags again, for a process that is started with them.
func (c RecordConfig) args() []string {
	all := []string{"--record-retention", c.Keep.String(), "--checkpoint-interval", c.Every.String()}
	if c.KeyFile != "" {
		all = append(all, "--record-key", c.KeyFile)
	}
	for _, s := range c.Ships {
		all = append(all, "--ship-checkpoints", s)
	}
	for _, w := range c.Witnesses {
		all = append(all, "--witness", w)
	}
	return all
}

func (c RecordConfig) check() error {
	if c.Keep != 0 && c.Keep < 24*time.Hour {
		return errs.E(errs.Invalid, "--record-retention %s: expected at least 24h, or 0 for ever", c.Keep)
	}
	if c.Every != 0 && c.Every < 100*time.Millisecond {
		return errs.E(errs.Invalid, "--checkpoint-interval %s: expected at least 100ms", c.Every)
	}
	return nil
}

func (c RecordConfig) ships(data string) []ledger.Ship {
	all := []ledger.Ship{ship.Folder{Dir: filepath.Join(data, "record", "checkpoints"), Keep: checkpointsKept}}
	for _, to := range c.Ships {
		if strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") {
			all = append(all, ship.Webhook{URL: to})
		} else {
			all = append(all, ship.Folder{Dir: to})
		}
	}
	return all
}

func (c RecordConfig) witnesses() ([]ledger.Witness, error) {
	var all []ledger.Witness
	for _, text := range c.Witnesses {
		key, at, ok := strings.Cut(text, "@")
		u, err := url.Parse(at)
		if !ok || err != nil || u.Host == "" {
			return nil, errs.E(errs.Invalid, "--witness %q: expected NAME+HASH+KEY@URL", text)
		}
		k, err := audit.ParseWitness(key)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "--witness")
		}
		all = append(all, ship.Witness{URL: at, Key: k})
	}
	return all, nil
}

// openRecord makes the log over the record.
func (s *server) openRecord(ctx context.Context) error {
	if err := s.Record.check(); err != nil {
		return err
	}
	witnesses, err := s.Record.witnesses()
	if err != nil {
		return err
	}
	key := s.Record.KeyFile
	if key == "" {
		key = filepath.Join(s.Data, "record", "key")
	}
	s.record = ledger.New(ledger.Options{Store: s.store, Tree: s.store, KeyFile: key, Shared: s.Database != "", Ships: s.Record.ships(s.Data), Witnesses: witnesses,
		Alarms: recordAlarms{s.pager}, Keep: s.Record.Keep, Every: s.Record.Every, Logger: s.Logger})
	return s.record.Open(ctx)
}

// recordAlarms makes findings alerts.
type recordAlarms struct{ pager *pager.Pager }

// alertTampered is the alert that the record is not what it was.
const alertTampered = "RecordTampered"

// Record implements ledger.Alarms.
func (a recordAlarms) Record(ctx context.Context, wrong []ledger.Finding) error {
	now := time.Now().UTC()
	var hold []alert.Alert
	for _, f := range wrong {
		hold = append(hold, alert.Alert{StartsAt: now, GeneratorURL: "/audit",
			Labels: map[string]string{alert.Name: alertTampered, alert.Severity: alert.Paging, "what": f.What},
			Annotations: map[string]string{alert.Summary: "the record is not what it was: " + f.Why,
				alert.Description: "Somebody changed the database behind Ringfence's back, or an older backup was restored. ringfence audit export and verify say more; after a restore: ringfence audit accept --reason …",
				alert.Impact:      "What the record says of who did what cannot be relied on from there on."}})
	}
	return tellPager(ctx, a.pager, []string{alertTampered}, hold)
}

// tellPager sends the alerts that hold, and ends those of the same names that fire and do not hold any more, whoever sent them.
func tellPager(ctx context.Context, p *pager.Pager, names []string, hold []alert.Alert) error {
	firing, err := p.Firing(ctx)
	if err != nil {
		return err
	}
	holds := map[string]int{}
	for i, a := range hold {
		holds[a.ID()] = i
	}
	for _, a := range firing {
		if !slices.Contains(names, a.Labels[alert.Name]) {
			continue
		}
		if i, still := holds[a.ID()]; still {
			hold[i].StartsAt = a.StartsAt
			continue
		}
		a.EndsAt = time.Now().UTC()
		hold = append(hold, a)
	}
	if len(hold) == 0 {
		return nil
	}
	return p.Send(ctx, hold)
}
