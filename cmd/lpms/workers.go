package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/livepeer/lpms/internal/status"
)

const (
	statusURL     = "http://127.0.0.1:7935/status"
	workersTime   = 5 * time.Second
	maxStatusBody = 16 << 20 // bytes: of some thousand workers and streams
)

// workers shows the workers that a process on this machine, or elsewhere, knows.
func workers(ctx context.Context, args []string) int {
	if len(args) > 1 || len(args) == 1 && strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(os.Stderr, "usage: lpms workers [URL]   lists the workers that the process with the admin interface URL knows (default "+statusURL+")")
		return 2
	}
	where, err := statusAddress(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms workers:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, workersTime)
	defer cancel()
	st, err := fetchStatus(ctx, where)
	if err == nil {
		err = showWorkers(os.Stdout, st)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lpms workers:", err)
		return 1
	}
	return 0
}

// statusAddress is the URL to ask, which may be given without its scheme and without /status.
func statusAddress(args []string) (string, error) {
	if len(args) == 0 {
		return statusURL, nil
	}
	given := args[0]
	if !strings.Contains(given, "://") {
		given = "http://" + given
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is no address of an admin interface: write it as %s", plain(args[0], 200), statusURL)
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/status") + "/status"
	return u.String(), nil
}

// fetchStatus asks for a status. Its errors say what to do.
func fetchStatus(ctx context.Context, where string) (*status.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true // there is no second request
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, whyNoAnswer(where, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: it is no admin interface of lpms, whose address is -cliAddr", where, plain(resp.Status, 100))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatusBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer of %s breaks off: %w", where, err)
	}
	st := &status.Status{}
	err = json.Unmarshal(body, st)
	switch {
	case len(body) > maxStatusBody:
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB", where, maxStatusBody>>20)
	case err != nil, st.Now.IsZero(), st.Machine.Cores < 1:
		return nil, notLPMS(where)
	}
	return st, nil
}

// whyNoAnswer says what it means that a request failed.
func whyNoAnswer(where string, err error) error {
	var network net.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("nobody answers at %s: %w (is lpms running there, with this -cliAddr?)", where, dial)
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s does not answer in time: %w", where, context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return err
	}
	return notLPMS(where)
}

func notLPMS(where string) error {
	return fmt.Errorf("what answers at %s is not lpms: the address of its admin interface is -cliAddr", where)
}

// showWorkers prints a table, or why there is nothing in it.
func showWorkers(out io.Writer, st *status.Status) error {
	for _, e := range st.Engines {
		if !e.Connected {
			fmt.Fprintf(out, "The job queue at %s is not connected: %s\n", plain(e.Addr, 200), plain(orElse(e.Error, "no reason is known"), 500))
		}
	}
	if len(st.Workers) == 0 {
		_, err := fmt.Fprintln(out, noWorkers(st))
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tID\tSTATE\tLOAD\tSPEED\tDONE\tFAILED\tREFUSED\tENCODERS\tVERSION\tHEARD\tREASON")
	load, capacity := 0, 0
	for i := range st.Workers {
		k := &st.Workers[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n",
			plain(orElse(k.Name, "-"), 40), short(k.ID), plain(string(k.State), 20), k.Load, k.Capacity, speedText(k.Speed),
			k.Done, k.Failed, k.Refused, encodersText(k), plain(orElse(k.Version, "-"), 40), heardText(k.Seen), plain(k.Reason, 200))
		if k.State == status.WorkerReady {
			load += k.Load
			capacity += k.Capacity
		}
	}
	fmt.Fprintf(w, "\n%s; %d of %d segments, which those that are ready do at the same time.\n", count(len(st.Workers), "worker"), load, capacity)
	return w.Flush()
}

// noWorkers says why a process knows no workers, as far as that can be told.
func noWorkers(st *status.Status) string {
	if len(st.Engines) == 0 {
		return "That process uses no workers: it transcodes by itself, unless it is started with -orchestrator, -orchAddr or -natsURL."
	}
	i := slices.IndexFunc(st.Engines, func(e status.Engine) bool { return e.Connected })
	if i < 0 {
		return "No worker is known."
	}
	return fmt.Sprintf("No worker is known at %s: start one with lpms -transcoder -orchAddr ADDRESS -orchSecret SECRET.", plain(st.Engines[i].Addr, 200))
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// short is what people see of an id.
func short(id string) string {
	r := []rune(plain(id, 64))
	return orElse(string(r[:min(len(r), 8)]), "-")
}

func speedText(x float64) string {
	if x <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fx", x)
}

// encodersText names the encoders, and what they run on.
func encodersText(k *status.Worker) string {
	s := strings.Join(k.Encoders, ",")
	if k.Accel != "" {
		s += " " + k.Accel
	}
	return plain(orElse(strings.TrimSpace(s), "-"), 60)
}

func heardText(seconds float64) string {
	if seconds < 1 {
		return "now"
	}
	return fmt.Sprintf("%.0fs ago", seconds)
}

// plain makes a text of strangers fit for a terminal: one line, no control characters, at most so
// many of others.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
