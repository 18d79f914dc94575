package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/golang/glog"

	"github.com/livepeer/lpms/internal/admin"
	"github.com/livepeer/lpms/internal/backend"
	"github.com/livepeer/lpms/internal/settings"
	"github.com/livepeer/lpms/internal/status"
	"github.com/livepeer/lpms/transcoder"
)

// serve runs the roles of this process and its admin interface until ctx ends. What ends one of
// them ends all.
func serve(ctx context.Context, s *settings.Settings) error {
	for _, w := range s.Warnings {
		glog.Warning(w)
	}
	var p *process
	var metrics *admin.Metrics
	if s.Monitor {
		metrics = admin.NewMetrics(admin.MetricsOptions{PerStream: s.MetricsPerStream, Status: func() status.Status { return p.status() }})
	}
	p, err := newProcess(ctx, s, metrics)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var private net.Addr
	var running sync.WaitGroup
	defer running.Wait()
	if s.CLIAddr != settings.Off {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.CLIAddr)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w (is another lpms running? -cliAddr chooses another address)", s.CLIAddr, err)
		}
		private = ln.Addr()
		h := admin.New(adminOptions(s, p, metrics))
		running.Go(func() { serveAdmin(ctx, ln, h, cancel) })
	}
	for _, role := range p.roles(func() { p.announce(private) }) {
		running.Go(func() { cancel(role(ctx)) })
	}
	<-ctx.Done()
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func backendOptions(s *settings.Settings, metrics *admin.Metrics) backend.Options {
	return backend.Options{
		Version:  versionText(),
		RTMPAddr: s.RTMPAddr, HTTPAddr: s.HTTPAddr,
		Auto: s.Auto, Renditions: s.Renditions, Extra: s.ExtraRenditions, OnDemand: s.OnDemand, Attempts: s.MaxAttempts,
		Local:      transcoder.LocalOptions{Jobs: s.Jobs, Preset: s.Preset, Accel: s.Accel, Device: s.Device},
		MaxStreams: s.MaxSessions, CurrentManifest: s.CurrentManifest, HTTPIngest: s.HTTPIngest, WatchPage: s.WatchPage,
		Realtime: s.Realtime, SegmentDuration: s.SegmentDuration, ReconnectWait: s.ReconnectWait,
		PublishKey: s.PublishKey, AuthWebhookURL: s.AuthWebhookURL, TestSignals: s.TestSignals,
		Metrics: metrics, Infof: glog.Infof, Warnf: glog.Warningf,
	}
}

func adminOptions(s *settings.Settings, p *process, metrics *admin.Metrics) admin.Options {
	o := admin.Options{
		Addr: s.CLIAddr, Status: p.status, Metrics: metrics,
		Config:      s.Public,
		LogLevel:    logLevel,
		SetLogLevel: setLogLevel,
	}
	b := p.backend
	if b == nil {
		return o
	}
	o.TranscodingOptions = settings.Presets
	o.Config = func() map[string]any {
		c := s.Public()
		auto, renditions := b.Ladder()
		c["auto"], c["renditions"], c["maxSessions"] = auto, settings.Names(renditions), b.MaxStreams()
		return c
	}
	o.SetConfig = func(c admin.Settings) error {
		if c.TranscodingOptions != nil {
			auto, renditions, err := settings.ParseLadder(*c.TranscodingOptions)
			if err != nil {
				return err
			}
			b.SetLadder(auto, renditions)
		}
		if c.MaxSessions != nil {
			b.SetMaxStreams(*c.MaxSessions)
		}
		return nil
	}
	return o
}

// serveAdmin serves the admin interface until ctx ends.
func serveAdmin(ctx context.Context, ln net.Listener, h http.Handler, failed context.CancelCauseFunc) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(ln); ctx.Err() == nil {
		failed(fmt.Errorf("admin: %w", err))
	}
}

// announce says what to open and where to publish.
func (p *process) announce(private net.Addr) {
	say := func(what, where string) { fmt.Fprintf(os.Stderr, "%-11s %s\n", what, where) }
	if b := p.backend; b != nil {
		page := "http://" + shown(b.HTTPAddr())
		if p.settings.WatchPage {
			say("Open", page+"/")
		}
		if a := b.RTMPAddr(); a != nil {
			key := ""
			if p.settings.PublishKey != "" {
				key = "?key=KEY"
			}
			say("Publish to", "rtmp://"+shown(a)+"/NAME"+key)
		}
		say("Watch", page+"/stream/NAME.m3u8")
	}
	if o := p.orchestrator; o != nil {
		say("Workers at", p.service())
		if p.fingerprint != "" {
			say("", "-orchFingerprint "+p.fingerprint)
		}
	}
	if private != nil {
		say("Status", "http://"+shown(private)+"/status")
	}
}

// shown is an address that can be copied: all interfaces are localhost, too.
func shown(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return fmt.Sprint(a)
	}
	if t.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(t.Port))
	}
	return t.String()
}
