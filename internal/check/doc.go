// Package check asks what is outside about a change: webhooks, commands and probes.
//
// A Runner asks once, with the retries that a webhook has, and returns a reading: pass, fail, or hold when nobody
// could say anything. Whatever goes wrong in asking is a hold with the reason as its text. Answers are bounded in size
// and time, lose what would steer a terminal, and never carry a key that signed the question.
//
//   - A webhook gets a POST of the situation as JSON. With a key it is signed: X-Ringfence-Signature: t=…,v1=…, where
//     v1 is the HMAC-SHA256 of "t.body" in hex and t the time of this try in seconds. X-Ringfence-Delivery is the same
//     for all tries. 2xx is a pass unless the answer says {"verdict": "hold" or "fail", "reason": "…"}; 408, 425, 429
//     and 5xx, no answer and no connection are tried again and then no data; any other 4xx is a fail. Redirects are
//     not followed.
//   - A command is a program of one folder, known by its name: a regular file there that nobody but its owner, root or
//     whoever Ringfence runs as, may write. There is no shell. Its environment is PATH and RINGFENCE_SERVICE, _VERSION
//     and so on. 0 is a pass, 1 a fail, anything else a hold. Whatever it started in its process group ends with it;
//     what left that group (setsid) is out of reach.
//   - A probe is a GET of every instance, which all have to answer as expected, or of one page. No answer is a fail:
//     that is what a probe looks for.
//
// Connections never go to link-local addresses, where clouds hand out credentials.
//
// A Pool asks in the background, so that nobody who wants to know waits for an answer.
package check
