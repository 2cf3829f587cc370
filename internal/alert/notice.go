package alert

// Notice is what one receiver is told of a page at once.
type Notice struct {
	ID          string            // the same at every attempt
	Receiver    string            // the notifier's name
	GroupKey    string            // as Alertmanager writes it
	GroupLabels map[string]string // by which the page was made
	Reason      Reason
	Repeat      bool // it may have been told before
	Page        Page
	Ended       []Alert // of the page, that are over while others fire
	Link        string  // the page with all of it; empty when the address of the pages is not known
	Source      string  // address of the control plane; may be empty
}
