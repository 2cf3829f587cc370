package segment

import (
	"context"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// Reading for questions takes only so much of the processor at once; following what comes is never kept waiting.
func TestQuestionsAtOnce(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), MinFree: 1, AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.asking <- struct{}{} // somebody's question
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Find(ctx, logs.Query{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("found while another is looking: %v", err)
	}
	if _, err := s.Count(ctx, logs.CountQuery{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("counted while another is looking: %v", err)
	}
	if _, err := s.Find(t.Context(), logs.Query{Tail: true, Limit: 1}); err != nil {
		t.Errorf("following: %v", err)
	}
	<-s.asking
	if _, err := s.Find(t.Context(), logs.Query{}); err != nil {
		t.Errorf("found nothing after the other: %v", err)
	}
	if len(s.asking) != 0 {
		t.Error("a question that was answered still takes room")
	}
}
