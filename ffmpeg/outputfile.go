package ffmpeg

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// outputFile is a file that gets its name when it is complete.
type outputFile struct {
	path string // its name in the end, or of what it is copied to
	copy bool   // path is no regular file
	tmp  *os.File
}

// outputFiles are those of one call.
type outputFiles struct {
	media []*outputFile
	signs []*outputFile // nil where there is none
}

// createOutputFiles opens the files of a call, under other names until commit.
func createOutputFiles(input string, ps []TranscodeOptions) (*outputFiles, error) {
	files := &outputFiles{}
	taken := map[string]bool{}
	add := func(path string) (*outputFile, error) {
		if path == "" {
			return nil, fmt.Errorf("%w: there is no name in Oname", ErrTranscoderOptions)
		}
		if sameFile(path, input) {
			return nil, fmt.Errorf("%w: it is the input", ErrTranscoderOptions)
		}
		f, err := createOutputFile(path)
		if err != nil {
			return nil, err
		}
		if taken[f.path] && f.path != os.DevNull {
			f.discard()
			return nil, fmt.Errorf("%w: another output has the same name", ErrTranscoderOptions)
		}
		taken[f.path] = true
		return f, nil
	}
	for i, p := range ps {
		media, err := add(p.Oname)
		if err == nil {
			files.media = append(files.media, media)
			var sign *outputFile
			if p.CalcSign && media.copy {
				err = fmt.Errorf("%w: a signature stands beside a file, and this is none", ErrTranscoderOptions)
			} else if p.CalcSign {
				sign, err = add(p.Oname + ".bin")
			}
			files.signs = append(files.signs, sign)
		}
		if err != nil {
			files.discard()
			return nil, fmt.Errorf("output %d (%.200s): %w", i, p.Oname, err)
		}
	}
	return files, nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
}

func createOutputFile(path string) (*outputFile, error) {
	if path == "-" {
		path = "pipe:1"
	}
	if strings.HasPrefix(path, "pipe:") {
		return createCopied(path)
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%w: it is a folder", ErrTranscoderOptions)
	case err == nil && !info.Mode().IsRegular():
		return createCopied(path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Two names of one file are found by its folder's real name.
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	o := &outputFile{path: filepath.Join(dir, filepath.Base(path))}
	for o.tmp == nil {
		// Not os.CreateTemp: others may read what the umask lets them.
		name := filepath.Join(dir, "."+strconv.FormatUint(rand.Uint64(), 36)+".tmp")
		o.tmp, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil && !os.IsExist(err) {
			return nil, err
		}
	}
	return o, nil
}

// createCopied is for what is written at once in the end, a pipe or a device.
func createCopied(path string) (*outputFile, error) {
	tmp, err := os.CreateTemp("", "lpms")
	return &outputFile{path: path, copy: true, tmp: tmp}, err
}

// commit gives the file its name.
func (o *outputFile) commit() error {
	if o.copy {
		return o.copyTo()
	}
	if err := o.tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(o.tmp.Name(), o.path); err != nil {
		return err
	}
	o.tmp = nil
	return nil
}

func (o *outputFile) copyTo() error {
	var dst *os.File
	var err error
	if n, pipe := strings.CutPrefix(o.path, "pipe:"); !pipe {
		dst, err = os.OpenFile(o.path, os.O_WRONLY, 0)
	} else if n == "" {
		dst, err = dupFile(1)
	} else {
		dst, err = openPath(o.path)
	}
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := o.tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(dst, o.tmp); err != nil {
		return err
	}
	return dst.Close()
}

// discard removes what was not committed; it may be called again.
func (o *outputFile) discard() {
	if o != nil && o.tmp != nil {
		o.tmp.Close()
		os.Remove(o.tmp.Name())
		o.tmp = nil
	}
}

func (f *outputFiles) sinks() []io.Writer {
	var sinks []io.Writer
	for _, o := range f.media {
		sinks = append(sinks, o.tmp)
	}
	return sinks
}

// sign writes the signature of an output.
func (f *outputFiles) sign(i int) error {
	in, err := fileInput(f.media[i].tmp.Name())
	if err != nil {
		return err
	}
	b, err := makeSignature(in)
	if err != nil {
		return err
	}
	_, err = f.signs[i].tmp.Write(b)
	return err
}

// commit gives all files their names. When one cannot have it, those before are removed.
func (f *outputFiles) commit() error {
	var done []string
	for i, o := range append(f.media[:len(f.media):len(f.media)], f.signs...) {
		if o == nil {
			continue
		}
		if err := o.commit(); err != nil {
			for _, path := range done {
				os.Remove(path)
			}
			return fmt.Errorf("output %d: %w", i%len(f.media), err)
		}
		if !o.copy {
			done = append(done, o.path)
		}
	}
	return nil
}

func (f *outputFiles) discard() {
	for _, o := range f.media {
		o.discard()
	}
	for _, o := range f.signs {
		o.discard()
	}
}
