// Package ofrep serves flags by the OpenFeature Remote Evaluation Protocol, version 0.3.0: one flag, all flags, and a
// stream that says when to ask again.
//
// Where the protocol leaves a choice:
//
//   - A body without a context, and an empty body, are an empty context, as with flagd. TARGETING_KEY_MISSING is answered only
//     where a targeting key is demanded: by the gate, or by a client whose users have to be proved.
//   - A body that is no JSON is PARSE_ERROR, a context that is no object or whose targetingKey is no text INVALID_CONTEXT.
//   - The ETag of a bulk answer is a hash of the flags' definitions and of what each of them answered. It changes
//     whenever the answer does, whatever attribute was the cause, and does not when another user gets the same.
//   - A flag whose rule chose nothing has the reason DEFAULT, which OpenFeature and flagd have and the protocol's list of examples has not.
//   - The stream's id is a hash of the flags that the client may see. Whoever comes with another one, by Last-Event-ID or by
//     the address that came with the bulk answer, is told at once to ask again, so nothing is missed between the two.
//
// Who may ask, for which flags and as which user, is flaggate's to say.
//
// Browsers get values, never rules: their errors do not quote what a rule gave. Since a browser's EventSource sends no
// headers, a key of browser scope, which is public by its nature, may stand in the address of the stream.
//
// The answer of every variant is encoded once per snapshot; evaluating one flag reads the context, runs the compiled rule and
// copies bytes.
package ofrep
