package pgtest

import "syscall"

// dieWithUs has the server end at once, without a checkpoint, when the test process is killed.
func dieWithUs(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
