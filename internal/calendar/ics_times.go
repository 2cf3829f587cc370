package calendar

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// moment is a DATE or DATE-TIME of an iCalendar file.
type moment struct {
	local time.Time
	zone  string
	date  bool
}

// in is what a clock in zone shows at the moment. A date is that date everywhere.
func (m moment) in(zone *time.Location) time.Time {
	own, err := time.LoadLocation(m.zone)
	if err != nil || m.date || own.String() == zone.String() {
		return m.local
	}
	first, _ := shown(m.local, own)
	return wall(first, zone)
}

func (in *importer) moment(l line) (moment, error) {
	m := moment{zone: in.zone}
	if id, ok := l.params["TZID"]; ok {
		zone, err := in.zoneOf(id)
		if err != nil {
			return m, err
		}
		m.zone = zone
	}
	text := l.value
	if utc, ok := strings.CutSuffix(text, "Z"); ok {
		m.zone, text = "UTC", utc
	}
	layout := "20060102T150405"
	if m.date = len(text) == len("20060102"); m.date {
		layout = "20060102"
	}
	var err error
	if m.local, err = time.Parse(layout, text); err != nil {
		return m, errs.E(errs.Invalid, "%s: got %.40q, expected a time such as 20261220T080000Z or a date such as 20261220", l.name, l.value)
	}
	if y := m.local.Year(); y < firstYear || y > lastYear {
		return m, errs.E(errs.Invalid, "%s: the year %d is none from %d to %d", l.name, y, firstYear, lastYear)
	}
	return m, nil
}

// zoneOf finds the IANA zone for what a file calls a zone.
func (in *importer) zoneOf(id string) (string, error) {
	names := []string{in.zones[id], id, windowsZones[id]}
	parts := strings.Split(id, "/")
	for i := range parts {
		names = append(names, strings.Join(parts[i:], "/")) // some put their own name in front
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if _, err := location(name); err == nil {
			return name, nil
		}
	}
	return "", errs.E(errs.Invalid, "TZID: there is no time zone %.60q, expected an IANA time zone such as Europe/Berlin", id)
}

var durationRE = regexp.MustCompile(`^\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?$`)

// duration reads P1DT2H30M.
func duration(text string) (time.Duration, error) {
	found := durationRE.FindStringSubmatch(strings.ToUpper(text))
	if found == nil {
		return 0, errs.E(errs.Invalid, "DURATION: got %.40q, expected one such as PT8H", text)
	}
	var sum time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, err := strconv.Atoi("0" + found[i+1])
		if err != nil {
			return 0, errs.Wrap(errs.Invalid, err, "DURATION")
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}

// windowsZones are the names that Outlook and Exchange give to the zones that most people live in.
var windowsZones = map[string]string{
	"UTC": "UTC", "Greenwich Standard Time": "Atlantic/Reykjavik", "GMT Standard Time": "Europe/London",
	"W. Europe Standard Time": "Europe/Berlin", "Central Europe Standard Time": "Europe/Budapest", "Central European Standard Time": "Europe/Warsaw",
	"Romance Standard Time": "Europe/Paris", "GTB Standard Time": "Europe/Bucharest", "FLE Standard Time": "Europe/Kiev",
	"E. Europe Standard Time": "Europe/Chisinau", "Turkey Standard Time": "Europe/Istanbul", "Russian Standard Time": "Europe/Moscow",
	"Israel Standard Time": "Asia/Jerusalem", "Egypt Standard Time": "Africa/Cairo", "South Africa Standard Time": "Africa/Johannesburg",
	"W. Central Africa Standard Time": "Africa/Lagos", "E. Africa Standard Time": "Africa/Nairobi", "Morocco Standard Time": "Africa/Casablanca",
	"Arab Standard Time": "Asia/Riyadh", "Arabian Standard Time": "Asia/Dubai", "Iran Standard Time": "Asia/Tehran", "Pakistan Standard Time": "Asia/Karachi",
	"India Standard Time": "Asia/Calcutta", "Bangladesh Standard Time": "Asia/Dhaka", "SE Asia Standard Time": "Asia/Bangkok",
	"China Standard Time": "Asia/Shanghai", "Singapore Standard Time": "Asia/Singapore", "Taipei Standard Time": "Asia/Taipei",
	"Tokyo Standard Time": "Asia/Tokyo", "Korea Standard Time": "Asia/Seoul", "W. Australia Standard Time": "Australia/Perth",
	"AUS Central Standard Time": "Australia/Darwin", "Cen. Australia Standard Time": "Australia/Adelaide", "AUS Eastern Standard Time": "Australia/Sydney",
	"E. Australia Standard Time": "Australia/Brisbane", "Tasmania Standard Time": "Australia/Hobart", "Lord Howe Standard Time": "Australia/Lord_Howe",
	"New Zealand Standard Time": "Pacific/Auckland", "Hawaiian Standard Time": "Pacific/Honolulu", "Alaskan Standard Time": "America/Anchorage",
	"Pacific Standard Time": "America/Los_Angeles", "US Mountain Standard Time": "America/Phoenix", "Mountain Standard Time": "America/Denver",
	"Central Standard Time": "America/Chicago", "Canada Central Standard Time": "America/Regina", "Central Standard Time (Mexico)": "America/Mexico_City",
	"Eastern Standard Time": "America/New_York", "Atlantic Standard Time": "America/Halifax", "Newfoundland Standard Time": "America/St_Johns",
	"SA Pacific Standard Time": "America/Bogota", "Pacific SA Standard Time": "America/Santiago", "Argentina Standard Time": "America/Buenos_Aires",
	"E. South America Standard Time": "America/Sao_Paulo",
}
