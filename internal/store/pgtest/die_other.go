//go:build !linux

package pgtest

import "syscall"

// dieWithUs does nothing: only Linux tells a child of its parent's death.
func dieWithUs(*syscall.SysProcAttr) {}
