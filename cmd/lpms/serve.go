package main

import (
	"context"
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

// serve runs the back-end and its admin interface until ctx ends.
func serve(ctx context.Context, s *settings.Settings) error {
	for _, w := range s.Warnings {
		glog.Warning(w)
	}
	var b *backend.Backend
	var metrics *admin.Metrics
	if s.Monitor {
		metrics = admin.NewMetrics(admin.MetricsOptions{PerStream: s.MetricsPerStream, Status: func() status.Status { return b.Status() }})
	}
	b, err := backend.New(options(s, metrics))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	var private net.Addr
	if s.CLIAddr != settings.Off {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.CLIAddr)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w (is another lpms running? -cliAddr chooses another address)", s.CLIAddr, err)
		}
		private = ln.Addr()
		h := admin.New(adminOptions(s, b, metrics, s.CLIAddr))
		wg.Go(func() { serveAdmin(ctx, ln, h, cancel) })
	}
	wg.Go(func() {
		select {
		case <-b.Ready():
			announce(b, private, s)
		case <-ctx.Done():
		}
	})
	err = b.Run(ctx)
	cancel(nil)
	return err
}

func options(s *settings.Settings, metrics *admin.Metrics) backend.Options {
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

func adminOptions(s *settings.Settings, b *backend.Backend, metrics *admin.Metrics, addr string) admin.Options {
	return admin.Options{
		Addr: addr, Status: b.Status, Metrics: metrics,
		Config: func() map[string]any {
			c := s.Public()
			auto, renditions := b.Ladder()
			c["auto"], c["renditions"], c["maxSessions"] = auto, settings.Names(renditions), b.MaxStreams()
			return c
		},
		SetConfig: func(c admin.Settings) error {
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
		},
		TranscodingOptions: settings.Presets,
		LogLevel:           logLevel,
		SetLogLevel:        setLogLevel,
	}
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
func announce(b *backend.Backend, private net.Addr, s *settings.Settings) {
	page := "http://" + shown(b.HTTPAddr())
	if s.WatchPage {
		fmt.Fprintln(os.Stderr, "Open       ", page+"/")
	}
	if a := b.RTMPAddr(); a != nil {
		key := ""
		if s.PublishKey != "" {
			key = "?key=KEY"
		}
		fmt.Fprintln(os.Stderr, "Publish to ", "rtmp://"+shown(a)+"/NAME"+key)
	}
	fmt.Fprintln(os.Stderr, "Watch      ", page+"/stream/NAME.m3u8")
	if private != nil {
		fmt.Fprintln(os.Stderr, "Status     ", "http://"+shown(private)+"/status")
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
