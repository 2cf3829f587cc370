// Package tsdb keeps metrics: Prometheus' time series database and query engine in this process, the scraper
// that feeds them, the counts that verdicts rest on, and the query API as Prometheus serves it.
//
// Scraping. Every target is scraped by its own loop at whole multiples of its interval (and once when it first
// appears), so one slow target delays no other. A scrape is stored whole or not at all, and all of its series,
// with "up", carry the one time at which it was due; times in the exposition are ignored. A series that is no longer
// exposed, and every series of a target that fails or goes away, is marked stale. A target is known by its labels
// "job" and "instance", which no exposed label can override; only targets marked Gateway may write metrics whose
// names begin with ringfence_, so that a service cannot testify for itself.
//
// Writing. Whoever else measures something writes it by
//
//	func (db *DB) Write(ctx context.Context, samples []metric.Sample) ([]metric.Refusal, error)
//
// which stores samples of Ringfence's own, reserved names included: each is taken or refused by itself, with a reason, and an
// error means that none was stored and may be sent again. What comes from outside goes through Begin, which refuses what is
// Ringfence's own: names that begin with ringfence_, and the job of the gateways. Samples may come up to an hour late, and the
// same sample twice; another value for the same time is refused where the series has none later.
//
// Limits. A service, known by the label service or else job, has at most so many series in memory; further ones are
// refused (a scrape is stored without them), Options.Limited is told, and the metrics of the database itself say so. The database is a
// prometheus.Collector.
//
// Evidence. Counts turns the gateways' counters into exact numbers of requests, one sample per scrape, without
// the extrapolation of PromQL's increase. A window excludes From and includes To. The increase that a scrape
// adds depends on that scrape and the successful one before it, however long ago within a day, and never on the
// window: any way of cutting a window into pieces gives the same samples. A window ends before the oldest scrape
// that a gateway still has in flight, so a caller that continues from the last time it was given misses nothing.
// Histograms does the same for how long requests took; Value and Values read any expression that gives one number.
//
// Safety. What was committed survives the death of the process. A second opener is refused. When the disk is nearly full,
// scrapes are refused with an error while queries go on; the database never writes into the last of the space.
package tsdb
