package e2e

import "syscall"

// ownGroup lets a test signal a process with its children. They end with the test, even
// if that is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
