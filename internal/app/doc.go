// Package app puts the parts together: the control plane (Server), the data plane (DataPlane) and Up, which
// keeps both running on one machine as processes of their own, so that either can die without the other.
// It is the only package that knows every adapter; the adapters' types are fitted to the engines' ports here.
package app
