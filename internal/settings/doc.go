// Package settings reads the settings of the program lpms.
//
// It stands in front of everything else: the program calls [Parse] once, prints the warnings,
// and makes its parts of what the [Settings] say.
//
//	s, err := settings.Parse(os.Args[1:], os.LookupEnv, os.Stdout)
//	if errors.Is(err, flag.ErrHelp) {
//		return 0 // the help was printed
//	}
//	if err = errors.Join(err, settings.CheckEnv(os.Environ())); err != nil {
//		fmt.Fprintln(os.Stderr, err) // all problems, one on each line
//		return 2
//	}
//
// A setting comes from the first of these that has it: a flag, a variable LPMS_… of the
// environment, a line of the file that -config names, the default. Everything is checked
// before anything starts, the renditions against the linked FFmpeg too.
//
// What a process does are its roles (Broadcaster, Orchestrator, Transcoder). Variables and
// files may be the same for all of them: what a role has no use for is left out.
//
// The package opens no port and no device, and starts nothing. The files it reads are those that
// settings name. It sets no flags of glog: the caller does, from V.
package settings
