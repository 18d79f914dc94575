//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// nginxOptions of startNginx. It always takes and gives RTMP, and serves files by HTTP.
type nginxOptions struct {
	// HLS writes segments of every stream to the directory that is served.
	HLS bool
	// Cache keeps files open: for files that do not change.
	Cache bool
}

var nginxConf = template.Must(template.New("").Parse(`
load_module {{.Module}};
{{if .Root}}user root;{{end}}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log;
events { worker_connections 8192; }
rtmp {
	access_log off;
	server {
		listen {{.RTMP}};
		application stream {
			live on;
			{{if .HLS}}
			hls on;
			hls_path {{.Files}}/hls;
			hls_fragment 2s;
			{{end}}
		}
	}
}
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 60s;
	keepalive_requests 100000000;
	{{if .Cache}}open_file_cache max=1000 inactive=60s;{{end}}
	types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
	server {
		listen {{.HTTP}};
		root {{.Files}};
	}
}
`))

// startNginx starts nginx with one worker. files, below b.shm, is what it serves; "hls"
// in it is where HLS goes.
func (b *bench) startNginx(ctx context.Context, files string, o nginxOptions) (*server, error) {
	program, module, err := findNginx()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(files, "hls"), 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	s := &server{hls: "/hls/"}
	return s, s.start(ctx, func() (*process, error) {
		var conf bytes.Buffer
		err := nginxConf.Execute(&conf, struct {
			nginxOptions
			Module, Dir, Files, RTMP, HTTP string
			Root                           bool
		}{o, module, dir, files, s.rtmpAddr, s.httpAddr, os.Geteuid() == 0})
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
			return nil, err
		}
		return startProcess(dir, program, "-c", file, "-p", dir, "-e", filepath.Join(dir, "error.log"))
	})
}

func findNginx() (program, module string, err error) {
	if program, err = exec.LookPath("nginx"); err != nil {
		program = "/usr/sbin/nginx" // not in everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		return "", "", errors.New("needs nginx: apt-get install nginx libnginx-mod-rtmp")
	}
	for _, m := range []string{"/usr/lib/nginx/modules/ngx_rtmp_module.so", "/usr/lib64/nginx/modules/ngx_rtmp_module.so"} {
		if _, err := os.Stat(m); err == nil {
			return program, m, nil
		}
	}
	return "", "", errors.New("needs nginx's RTMP module: apt-get install libnginx-mod-rtmp")
}
