//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// process is a program that is measured.
type process struct {
	cmd  *exec.Cmd
	log  *os.File // what it prints
	done chan struct{}
	err  error // after done
}

// startProcess runs a program until stop. Its output goes to a file in dir.
func startProcess(dir, program string, args ...string) (*process, error) {
	log, err := os.CreateTemp(dir, filepath.Base(program)+"-*.log")
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the program: gently, and after 5 s by force.
func (p *process) stop() {
	defer p.log.Close()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// alive returns an error with the end of its output when the program has ended.
func (p *process) alive() error {
	select {
	case <-p.done:
		out, _ := os.ReadFile(p.log.Name())
		out = out[max(0, len(out)-600):]
		return fmt.Errorf("%s ended (%v): %s", filepath.Base(p.cmd.Path), p.err, strings.TrimSpace(string(out)))
	default:
		return nil
	}
}

// ready waits until addr accepts connections.
func (p *process) ready(ctx context.Context, addr string) error {
	for range 500 {
		if err := p.alive(); err != nil {
			return err
		}
		if nc, err := net.Dial("tcp", addr); err == nil {
			return nc.Close()
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not listen on %s", filepath.Base(p.cmd.Path), addr)
}

// cpu is the processor time that the program and its children have used.
func (p *process) cpu() (time.Duration, error) {
	var sum time.Duration
	err := p.tree(func(s procStat, _ string) error {
		sum += s.cpu
		return nil
	})
	return sum, err
}

// rss is the memory that the program and its children have in RAM, in bytes.
func (p *process) rss() (float64, error) {
	var sum float64
	err := p.tree(func(_ procStat, dir string) error {
		b, err := os.ReadFile(dir + "/status")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
				n, err := strconv.ParseFloat(f[1], 64)
				sum += n * 1024
				return err
			}
		}
		return fmt.Errorf("no VmRSS in %s/status", dir)
	})
	return sum, err
}

// meanRSS is the average of rss over a time: a collector's heap goes up and down.
func (p *process) meanRSS(ctx context.Context, d time.Duration) (float64, error) {
	const samples = 8
	var sum float64
	for range samples {
		if err := sleep(ctx, d/samples); err != nil {
			return 0, err
		}
		n, err := p.rss()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum / samples, nil
}

// tree calls f for the program and those that it started. All must be alive still.
func (p *process) tree(f func(s procStat, dir string) error) error {
	if err := p.alive(); err != nil {
		return err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	self := 0
	for _, dir := range dirs {
		b, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // somebody else's process ended
		}
		s, err := parseStat(string(b))
		if err != nil {
			return err
		}
		if s.pid != p.cmd.Process.Pid && s.parent != p.cmd.Process.Pid {
			continue
		}
		self++
		if err := f(s, dir); err != nil {
			return err
		}
	}
	if self == 0 {
		return fmt.Errorf("process %d is not in /proc", p.cmd.Process.Pid)
	}
	return nil
}

type procStat struct {
	pid, parent int
	cpu         time.Duration // user and system
}

var errStat = errors.New("unexpected form of /proc/PID/stat")

// parseStat reads /proc/PID/stat (proc_pid_stat(5)). The second field is a name in
// parentheses, which may hold spaces and parentheses itself.
func parseStat(s string) (procStat, error) {
	open, end := strings.Index(s, " ("), strings.LastIndex(s, ") ")
	if open < 0 || end < open {
		return procStat{}, errStat
	}
	f := strings.Fields(s[end+2:]) // from the third field on
	if len(f) < 13 {
		return procStat{}, errStat
	}
	var n [4]int64
	for i, v := range []string{s[:open], f[1], f[11], f[12]} {
		var err error
		if n[i], err = strconv.ParseInt(v, 10, 64); err != nil {
			return procStat{}, errStat
		}
	}
	return procStat{pid: int(n[0]), parent: int(n[1]), cpu: time.Duration(n[2]+n[3]) * benchhost.Tick}, nil
}

// freeAddr is an address on which nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// server is a program that takes RTMP in and gives RTMP and HLS out.
type server struct {
	*process
	rtmpAddr, httpAddr string
	hls                string // path in front of a stream's playlist
}

func (s *server) rtmpURL(name string) string { return "rtmp://" + s.rtmpAddr + "/stream/" + name }

func (s *server) httpURL(path string) string { return "http://" + s.httpAddr + path }

// hlsURL is the playlist with which a viewer starts.
func (s *server) hlsURL(name string) string { return s.httpURL(s.hls + name + ".m3u8") }

// startLPMS starts the server under test.
func (b *bench) startLPMS(ctx context.Context, args ...string) (*server, error) {
	s := &server{hls: "/stream/"}
	return s, s.start(ctx, func() (*process, error) {
		return startProcess(b.dir, b.server, append([]string{"-rtmpAddr", s.rtmpAddr, "-httpAddr", s.httpAddr}, args...)...)
	})
}

// start finds addresses, starts a program and waits until it listens.
func (s *server) start(ctx context.Context, run func() (*process, error)) error {
	var err error
	if s.rtmpAddr, err = freeAddr(); err != nil {
		return err
	}
	if s.httpAddr, err = freeAddr(); err != nil {
		return err
	}
	if s.process, err = run(); err != nil {
		return err
	}
	for _, addr := range []string{s.rtmpAddr, s.httpAddr} {
		if err := s.ready(ctx, addr); err != nil {
			s.stop()
			return err
		}
	}
	return nil
}
