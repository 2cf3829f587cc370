// Package wire holds what the API takes and answers: shared by the server and its clients, with no behaviour.
// Fields are added, never renamed or removed: the two ends may be of different versions.
package wire
