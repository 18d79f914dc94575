//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/livepeer/lpms/internal/benchhost"
)

// measurement makes some rows of the table.
type measurement struct {
	names []string // for -only
	// run measures those of names that were asked for. With an error it may return the
	// rows that it has.
	run func(ctx context.Context, b *bench, names []string) ([]row, error)
}

var measurements = []measurement{
	{[]string{"fanout400", "fanout100"}, measureFanout},
	{[]string{"join"}, measureJoin},
	{[]string{"publishers100"}, measurePublishers},
	{[]string{"hlsstatic"}, measureHLSStatic},
	{[]string{"hlslive"}, measureHLSLive},
	{[]string{"start"}, measureStart},
	{[]string{"memory"}, measureMemory},
}

// bench is what every measurement needs.
type bench struct {
	dir, shm    string // for files, and for files in memory; removed at the end
	server      string // path of the example server
	clipFile    string
	clip, small *clip
	quick       bool
	begin       time.Time
	others      float64 // cores that other programs took during the run
	notes       []string
}

// note adds a line below the table, once.
func (b *bench) note(format string, a ...any) {
	if n := fmt.Sprintf(format, a...); !slices.Contains(b.notes, n) {
		b.notes = append(b.notes, n)
	}
}

// span is how long something takes: full, or with -quick the other.
func (b *bench) span(full, quick time.Duration) time.Duration {
	if b.quick {
		return quick
	}
	return full
}

func main() {
	role := flag.String("role", "", "internal: \"ideal\" is a sender that does nothing but write")
	var ideal idealOptions
	ideal.flags(flag.CommandLine)
	only := flag.String("only", "", "measure only these, separated by commas: "+strings.Join(allNames(), ", "))
	quick := flag.Bool("quick", false, "measure for a short time: rough figures in about two minutes")
	clipFile := flag.String("clip", "", "FLV file with H.264 and AAC to publish instead of a generated 2.5 Mbit/s one; it should start with a keyframe")
	server := flag.String("server", "", "the server to measure (default: the program \"example\" beside this one)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *role == "ideal" {
		err = runIdeal(ctx, ideal)
	} else {
		b := &bench{server: *server, quick: *quick, clipFile: *clipFile}
		err = b.run(ctx, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms-bench:", err)
		stop()
		os.Exit(1)
	}
}

func allNames() []string {
	var names []string
	for _, m := range measurements {
		names = append(names, m.names...)
	}
	return names
}

// selection is what -only asks for; nothing means everything.
func (b *bench) selection(only string) ([]string, error) {
	if only == "" {
		names := allNames()
		if b.quick {
			names = slices.DeleteFunc(names, func(n string) bool { return n == "fanout100" })
		}
		return names, nil
	}
	names := strings.Split(only, ",")
	for _, n := range names {
		if !slices.Contains(allNames(), n) {
			return nil, fmt.Errorf("-only %q: there are %s", n, strings.Join(allNames(), ", "))
		}
	}
	return names, nil
}

var errIncomplete = errors.New("something could not be measured: see the table")

func (b *bench) run(ctx context.Context, only string) error {
	b.begin = time.Now()
	foreign := benchhost.ForeignTime()
	names, err := b.selection(only)
	if err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		b.cleanUp()
		return err
	}
	defer b.cleanUp()
	var rows []row
	failed := false
	for _, m := range measurements {
		wanted := slices.DeleteFunc(slices.Clone(m.names), func(n string) bool { return !slices.Contains(names, n) })
		if len(wanted) == 0 || ctx.Err() != nil {
			continue
		}
		title := strings.Join(wanted, ", ")
		fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(b.begin).Seconds(), title)
		got, err := m.run(ctx, b, wanted)
		rows = append(rows, got...)
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "         %s: %v\n", title, err)
			rows = append(rows, row{what: title, figure: "could not run: " + err.Error()})
		}
	}
	fmt.Fprintf(os.Stderr, "%5.0f s  done\n", time.Since(b.begin).Seconds())
	b.others = (benchhost.ForeignTime() - foreign).Seconds() / time.Since(b.begin).Seconds()
	printReport(os.Stdout, b, rows)
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed {
		return errIncomplete
	}
	return nil
}

// prepare makes the places for files, finds the server and makes the media.
func (b *bench) prepare(ctx context.Context) error {
	if b.server == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		b.server = filepath.Join(filepath.Dir(self), "example")
	}
	if _, err := os.Stat(b.server); err != nil {
		return fmt.Errorf("the server to measure: %w", err)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "lpms-bench-"); err != nil {
		return err
	}
	if b.shm, err = os.MkdirTemp("/dev/shm", "lpms-bench-"); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "         making the media")
	return b.makeMedia(ctx)
}

func (b *bench) cleanUp() {
	for _, dir := range []string{b.dir, b.shm} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// sleep waits; it returns early, with an error, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
