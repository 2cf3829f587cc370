package authority

import (
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/policy"
)

// StandingName is that of the rules that hold where nobody has standing access.
const StandingName = "no-standing-access"

// noStanding takes from people's roles what changes production, unless a grant gives it. What only stops, and deciding
// on others' requests, they keep: harm can always be halted, and who approves needs no access.
func noStanding(exempt []string) policy.Source {
	names := make([]string, len(exempt))
	for i, e := range exempt {
		names[i] = strconv.Quote(e) // letters, digits and a few signs: the same in both languages
	}
	exception := ""
	if len(names) > 0 { // Cedar has no empty sets
		exception = "  || [" + strings.Join(names, ", ") + "].contains(principal.name)\n"
	}
	return policy.Source{Name: StandingName, Text: `@id("grant-needed")
@reason("what changes production takes a grant")
@next("Ask for one: ringfence access request --role operator --service SERVICE --minutes 30 --reason REASON; in an emergency: ringfence access break-glass --reason REASON")
forbid (principal, action in [Action::"decide", Action::"change", Action::"export"], resource)
unless {
  principal.granted
  || principal in Role::"dataplane"
  || ["approve", "refuse", "halt", "pause", "stop", "ack"].contains(context.verb)
` + exception + `};
`}
}
