//go:build !linux

package e2e

import "syscall"

// ownGroup lets a test signal a process with its children.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
