package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/store"
)

// Record is the record as a transparency log.
type Record interface {
	Log(ctx context.Context) (record.Log, error)
	Wrong() []record.Finding
	RecordProofs
	RecordCare
}

// RecordProofs is what shows to others that the record is what it was.
type RecordProofs interface {
	Latest(ctx context.Context) ([]byte, error)
	Prove(ctx context.Context, seq int64) (record.Proof, error)
	Growth(ctx context.Context, from, to int64) (record.Growth, error)
	Tile(ctx context.Context, path string) ([]byte, error)
	Entries(ctx context.Context, path string) ([]byte, error)
}

// RecordCare is what people do with the log itself.
type RecordCare interface {
	Sign(ctx context.Context) ([]byte, error)
	Look(ctx context.Context) ([]record.Finding, error)
	Rotate(ctx context.Context, actor, reason string) (record.Log, error)
	Accept(ctx context.Context, actor, reason string) (record.Log, error)
}

const tileTiles = "as C2SP's tlog-tiles has them; /v1/record/log is the prefix. Hashes tell nothing of events to who does not know the event before."

func (s *Server) record() {
	if s.Record == nil {
		return
	}
	get := func(path, id, summary, about string, action policy.Action) operation {
		return operation{method: http.MethodGet, path: path, id: id, tag: "record", summary: summary, about: about, route: route{action: action}}
	}
	text := func(o operation, media string) operation { o.media = media; return o }
	post := func(path, id, summary, about string) operation {
		return operation{method: http.MethodPost, path: path, id: id, tag: "record", summary: summary, about: about, route: route{action: policy.Change, keyed: true}}
	}
	register(s, get("/v1/record", "showRecord", "Says who the log over the record is, and what is wrong with it", "", policy.Read), s.showRecord)
	register(s, text(get("/v1/record/log/checkpoint", "latestCheckpoint", "The newest signed checkpoint", "As C2SP's tlog-checkpoint has it, with witnesses' signatures.", policy.Anyone), "text/plain"), s.latestCheckpoint)
	register(s, text(get("/v1/record/log/tile/{tile...}", "hashTile", "A tile of the tree's hashes", "LEVEL/INDEX, "+tileTiles, policy.Anyone), binary), s.hashTile)
	register(s, text(get("/v1/record/log/tile/entries/{tile...}", "entryTile", "A bundle of entries", "INDEX, "+tileTiles+" An entry is the 32 bytes of an event's hash.", policy.Read), binary), s.entryTile)
	register(s, get("/v1/record/growth", "proveGrowth", "Proves that the record of one size began as that of another", "RFC 6962's consistency proof.", policy.Anyone), s.proveGrowth)
	register(s, get("/v1/record/events/{seq}/proof", "proveEvent", "Shows an event with the proof that it is in the record", "RFC 6962's inclusion proof, with the checkpoint that it leads to.", policy.Read), s.proveEvent)
	register(s, operation{method: http.MethodGet, path: "/v1/record/export", id: "exportRecord", tag: "record", media: "application/x-ndjson", summary: "Streams events as an export has them, a line each",
		about: "Those up to a number, which is that of a checkpoint made before.", route: route{action: policy.Read, stream: true}}, s.exportRecord)
	sign := post("/v1/record/checkpoint", "signCheckpoint", "Signs a checkpoint of the whole record now", "")
	sign.action, sign.keyed, sign.media = policy.Read, false, "text/plain"
	register(s, sign, s.signCheckpoint)
	look := post("/v1/record/look", "lookAtRecord", "Compares the record with what was shipped, and reads it where that is due", "")
	look.action, look.keyed = policy.Read, false
	register(s, look, s.lookAtRecord)
	register(s, post("/v1/record/rotate", "rotateRecordKey", "Replaces the key that checkpoints are signed with", "The former key goes on verifying what it signed."), s.rotateRecordKey)
	register(s, post("/v1/record/accept", "acceptRecord", "Accepts that the record does not continue what was shipped, as after a restore", ""), s.acceptRecord)
}

func (s *Server) showRecord(ctx context.Context, _ *none) (*answered[wire.Record], error) {
	log, err := s.Record.Log(ctx)
	if err != nil {
		return nil, err
	}
	return &answered[wire.Record]{wire.Record{Log: log, Wrong: append([]record.Finding{}, s.Record.Wrong()...)}}, nil
}

func (s *Server) latestCheckpoint(ctx context.Context, _ *none) (*textAnswer, error) {
	b, err := s.Record.Latest(ctx)
	return plain(string(b)), err
}

func (s *Server) signCheckpoint(ctx context.Context, _ *none) (*textAnswer, error) {
	b, err := s.Record.Sign(ctx)
	return plain(string(b)), err
}

type tileInput struct {
	Tile string `path:"tile" maxLength:"64" doc:"which one, by its path"`
}

func (s *Server) hashTile(ctx context.Context, in *tileInput) (*textAnswer, error) {
	return tile(s.Record.Tile(ctx, in.Tile))
}

func (s *Server) entryTile(ctx context.Context, in *tileInput) (*textAnswer, error) {
	if err := s.reads(ctx, "entries", EventFilter{}, ""); err != nil {
		return nil, err
	}
	return tile(s.Record.Entries(ctx, in.Tile))
}

func tile(b []byte, err error) (*textAnswer, error) {
	return &textAnswer{ContentType: binary, Body: b}, err
}

type growthInput struct {
	From int64 `query:"from" minimum:"1" required:"true" doc:"how many events there were"`
	To   int64 `query:"to" minimum:"0" doc:"how many there are; left out: all"`
}

func (s *Server) proveGrowth(ctx context.Context, in *growthInput) (*answered[record.Growth], error) {
	g, err := s.Record.Growth(ctx, in.From, in.To)
	return &answered[record.Growth]{g}, err
}

type seqInput struct {
	Seq int64 `path:"seq" minimum:"1" doc:"the event's number"`
}

func (s *Server) proveEvent(ctx context.Context, in *seqInput) (*answered[record.Proof], error) {
	if err := s.reads(ctx, "show", EventFilter{}, ""); err != nil {
		return nil, err
	}
	p, err := s.Record.Prove(ctx, in.Seq)
	return &answered[record.Proof]{p}, err
}

func (s *Server) lookAtRecord(ctx context.Context, _ *none) (*answered[wire.Record], error) {
	if _, err := s.Record.Look(ctx); err != nil {
		return nil, err
	}
	return s.showRecord(ctx, nil)
}

type recordReason struct {
	Body wire.Reason
}

func (s *Server) rotateRecordKey(ctx context.Context, in *recordReason) (*answered[record.Log], error) {
	log, err := s.Record.Rotate(ctx, actorOf(ctx), in.Body.Reason)
	return &answered[record.Log]{log}, err
}

func (s *Server) acceptRecord(ctx context.Context, in *recordReason) (*answered[record.Log], error) {
	log, err := s.Record.Accept(ctx, actorOf(ctx), in.Body.Reason)
	return &answered[record.Log]{log}, err
}

type exportInput struct {
	After   int64 `query:"after" minimum:"0" doc:"only with a greater number"`
	Through int64 `query:"through" minimum:"0" required:"true" doc:"up to this number"`
}

// exportRecord records who took the record before the first byte leaves.
func (s *Server) exportRecord(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	e, err := audit.New(s.Now(), "record.exported", actorOf(ctx), "record/events", map[string]int64{"after": in.After, "through": in.Through})
	if err != nil {
		return nil, err
	}
	if _, err := s.Store.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
		return nil, err
	}
	return streamed("application/x-ndjson", nil, false, func(w io.Writer) error { return s.writeExport(ctx, w, in.After, in.Through) }), nil
}

func (s *Server) writeExport(ctx context.Context, w io.Writer, after, through int64) error {
	for after < through {
		events, err := s.Store.Events(ctx, store.EventQuery{After: after, Limit: int(min(streamPage, through-after)), Removed: true})
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil // whoever reads it sees what is missing
		}
		for _, e := range events {
			line, err := audit.ExportLine(e)
			if err != nil {
				return err
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			after = e.Seq
		}
	}
	return nil
}

// reads records that the caller reads the record.
func (s *Server) reads(ctx context.Context, how string, f EventFilter, by string) error {
	return s.readers.Note(ctx, s.Now(), actorOf(ctx), record.Read{How: how, Subject: f.Subject, Type: f.Type, Actor: by})
}
