//go:build !linux

package rtmp

import "net"

// pacer is not available here: every publisher is read at once.
type pacer struct{}

func newPacer(net.Conn) *pacer { return nil }

func (r *pacer) hold(bool) {}

func (r *pacer) next([]byte) (int, error) { panic("unreachable: newPacer returned nil") }
