//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// usage is what a process took.
type usage struct {
	cpu, wall time.Duration
	stdout    []byte
	stderr    []byte
}

// command runs a program to its end.
func command(ctx context.Context, stdin io.Reader, program string, args ...string) (usage, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	begin := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(begin), stdout: out.Bytes(), stderr: errs.Bytes()}
	if err != nil {
		end := strings.TrimSpace(errs.String())
		return u, fmt.Errorf("%s: %w: %s", filepath.Base(program), err, end[max(0, len(end)-600):])
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, nil
}

// ffmpeg runs the ffmpeg program.
func ffmpeg(ctx context.Context, args ...string) (usage, error) {
	return command(ctx, nil, "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
}

// ffprobe prints what the arguments ask for of the first video track as lines.
func ffprobe(ctx context.Context, file string, args ...string) ([]string, error) {
	args = append([]string{"-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"}, append(args, file)...)
	u, err := command(ctx, nil, "ffprobe", args...)
	return strings.Fields(string(u.stdout)), err
}
