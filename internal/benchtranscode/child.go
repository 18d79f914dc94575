//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	lpms "github.com/livepeer/lpms/ffmpeg"
)

// childJob says what the program does when it is a contender.
type childJob struct {
	Segments   []string
	Rungs      []childRung
	Dir        string // for the outputs
	Continuous bool
	Preset     string
}

type childRung struct {
	Name, Box     string
	Bitrate       int
	Width, Height int // that are expected
}

// runChild transcodes the segments and prints how long each took, in nanoseconds.
func runChild(ctx context.Context, in io.Reader, out io.Writer) error {
	var job childJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	opts := lpms.LadderOptions{Continuous: job.Continuous, Preset: job.Preset}
	for _, r := range job.Rungs {
		opts.Renditions = append(opts.Renditions, lpms.Rendition{
			Profile: lpms.VideoProfile{Name: r.Name, Bitrate: strconv.Itoa(r.Bitrate), Resolution: r.Box}})
	}
	l, err := lpms.NewLadder(opts)
	if err != nil {
		return err
	}
	defer l.Close()
	var walls []time.Duration
	for i, file := range job.Segments {
		begin := time.Now()
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		res, err := l.Transcode(ctx, lpms.Input{Data: data}, nil)
		if err != nil {
			return err
		}
		for j, o := range res.Outputs {
			r := &job.Rungs[j]
			if o.Err != nil {
				return fmt.Errorf("segment %d, %s: %w", i, r.Name, o.Err)
			}
			if o.Info.Width != r.Width || o.Info.Height != r.Height {
				return fmt.Errorf("%s is %dx%d, not %dx%d", r.Name, o.Info.Width, o.Info.Height, r.Width, r.Height)
			}
			if err := os.WriteFile(filepath.Join(job.Dir, segmentName(r.Name, i)), o.Data, 0o644); err != nil {
				return err
			}
		}
		walls = append(walls, time.Since(begin))
	}
	return json.NewEncoder(out).Encode(walls)
}

// segmentName is the file of a rendition's segment.
func segmentName(rung string, i int) string { return fmt.Sprintf("%s-%03d.ts", rung, i) }
