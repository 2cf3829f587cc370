// Package send brings messages to their receivers: Slack, Microsoft Teams, mail servers, and programs that take
// CloudEvents. It makes one attempt; when to make another is up to the caller, who is told what is known.
//
//   - A secret (a URL that may be posted to, a password, a key) is read from a file in one folder for every attempt, so
//     that a changed file counts at once. The file must be its owner's and perhaps its group's to read, and nobody
//     else's to read or write. What it holds is taken out of every text that leaves this package.
//   - Messages are made so that nothing in them is taken for more than text: no mention of a whole channel, no link
//     that somebody wrote into a reason, no header of a mail.
//   - Redirects are not followed, answers are read up to a limit, every attempt ends with its context, and no connection
//     goes to a link-local address, where clouds hand out credentials.
//   - A webhook gets each event as a CloudEvent in structured JSON, signed like the webhooks of gates:
//     X-Ringfence-Signature: t=…,v1=…, with the HMAC-SHA256 of "t.body" in hexadecimal; two keys give two v1.
package send
