package orchestrator

import "fmt"

// logger tells the operator what the server complains of.
type logger struct{ *Orchestrator }

func (l *logger) Noticef(string, ...any)         {}
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
func (l *logger) Warnf(format string, v ...any)  { l.opts.Warnf("job queue: "+format, v...) }
func (l *logger) Errorf(format string, v ...any) { l.opts.Warnf("job queue: "+format, v...) }

// Fatalf is told when the server cannot start; it gives up then.
func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
	}
}
