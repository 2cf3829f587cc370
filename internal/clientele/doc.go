// Package clientele keeps how the accounts of services fare, and tells of those that suffer while others do not.
//
// Data planes tell each minute of their gateways once it is over, until it is taken: Take stores it before it answers, and what was taken
// before, from the same life of a gateway, counts once. What is kept is one account.Book for each service, a document of the store, so
// several control planes on one database share it and a restart loses nothing. The engine holds nothing of it in memory.
//
// Accounts may be people: of a service that asks for it they are kept by a keyed hash alone. The key is made once for the
// installation and is in the store; a gateway knows the names of a quarter of an hour at most, and in memory only.
//
// Alerts of accounts name them in a label; no metric does.
//
// Errors: errs.Invalid for minutes that are none, errs.Missing for a service that counts no accounts.
package clientele
