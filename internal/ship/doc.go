// Package ship sends what a unit's instances wrote, and what its gateway noted of requests, to the control plane's log store.
//
// Instances write files of their own and notice nothing of it: what is sent is read from there, from the place up to which the control
// plane has taken it. Places are kept on disk, and the control plane knows them too, so that after a crash of either nothing is sent
// twice. While the control plane is away, or refuses for want of room, the files are the backlog.
//
// It is for volume and gives way: an instance that writes more than can be sent is followed at its end, and what was passed over is
// said in its log. Metrics, reports and desired state have connections of their own and never wait for it.
package ship
