// Package breaching watches the record for what looks like a breach, asks in intervals what must have no answer, and keeps breaches from
// their start to their end: who leads, what was done to contain them, which evidence was kept, what is left.
//
// What it finds is an event and an alert with the playbook that contains it. It decides by package breach alone.
package breaching
