//go:build !linux

package server

import "syscall"

// dieWithParent is a wish that only Linux grants: elsewhere a killed test leaves its
// servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }
