package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/sidecar"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// The forms of a file of profiles that are no syntax.
const (
	formPlan      = "plan"
	formManifest  = "manifest"
	formSidecar   = "sidecar"
	formSidecarV1 = "sidecar-v1"
	formSidecarV2 = "sidecar-v2"
)

// maxProfilesFile bounds what is read at once: a plan of a million shapes.
const maxProfilesFile = 256 << 20

// loadedProfiles is profiles and what their source says about them.
type loadedProfiles struct {
	Path     string
	Form     string // one of the forms above, or of syntax.Names
	Profiles []profiles.Profile
	Plan     *profiles.Plan   // of form plan
	Manifest *engine.Manifest // of form manifest
	// Partial says that the source tells dynamic dimensions only and that no
	// contract filled in the rest: sizes may be profiles.Unknown, ranks too small,
	// static inputs missing.
	Partial bool
}

// reach is what a plan was derived for; other forms do not say.
func (l *loadedProfiles) reach() profiles.Reach {
	if l.Plan != nil {
		return l.Plan.Reach
	}
	return profiles.Any
}

// fromFlag declares --from, the form of an input.
func fromFlag(f *pflag.FlagSet, into *string) {
	f.StringVar(into, "from", "", "read the input as `FORM` instead of looking at it: "+strings.Join(forms(), ", "))
}

// forms is every form that profiles are read in.
func forms() []string {
	names, _ := syntax.Names()
	return append([]string{formPlan, formManifest, formSidecar, formSidecarV1, formSidecarV2}, names...)
}

// loadProfiles reads profiles in any form: a plan, an engine's manifest, an
// engine's .profile, or text in any syntax. path may be "-", read from in, and a
// directory that holds a manifest.json or a plan.json. form is "" where the file
// itself says what it is. c may be nil; it fills in what a .profile does not tell.
func loadProfiles(path, form string, c *contract.Contract, in io.Reader) (*loadedProfiles, error) {
	return loadProfilesBy(syntax.ParseAs, path, form, c, in)
}

// loadProfilesBy reads texts by a parser of one's own choice.
func loadProfilesBy(parse func(syntax, text string) ([]profiles.Profile, error), path, form string, c *contract.Contract, in io.Reader) (*loadedProfiles, error) {
	if form != "" && !slices.Contains(forms(), form) {
		return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("there is no form %q", form), "choose among "+strings.Join(forms(), ", "))
	}
	path, b, err := readProfiles(path, in)
	if err != nil {
		return nil, err
	}
	if form == "" {
		if form, err = formOf(b); err != nil {
			return nil, inFile(path, err)
		}
	}
	l := &loadedProfiles{Path: path, Form: form}
	switch form {
	case formPlan:
		if l.Plan, err = profiles.Read(bytes.NewReader(b), path); err == nil {
			l.Profiles = l.Plan.Profiles
		}
	case formManifest:
		if l.Manifest, err = engine.ReadManifest(bytes.NewReader(b), path); err == nil {
			l.Profiles = l.Manifest.Profiles
		}
	case formSidecar, formSidecarV1, formSidecarV2:
		err = l.sidecar(b, c)
	default:
		l.Profiles, err = parse(form, string(b))
		err = inFile(path, err)
	}
	if err == nil && len(l.Profiles) == 0 {
		err = fault.New(fault.Input, "reading profiles", path, "it has none", "")
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// sidecar reads a .profile.
func (l *loadedProfiles) sidecar(b []byte, c *contract.Contract) (err error) {
	var f *sidecar.File
	switch l.Form {
	case formSidecarV1:
		f, err = sidecar.ReadVersion(b, l.Path, 1)
	case formSidecarV2:
		f, err = sidecar.ReadVersion(b, l.Path, 2)
	default:
		f, err = sidecar.Read(b, l.Path)
	}
	if err != nil {
		return err
	}
	l.Form = fmt.Sprintf("%s-v%d", formSidecar, f.Version)
	if l.Profiles, l.Partial = f.Profiles, c == nil; c != nil {
		l.Profiles = f.Fill(c)
	}
	return nil
}

// readProfiles reads a file, the profiles' file in a directory, or in.
func readProfiles(path string, in io.Reader) (string, []byte, error) {
	if path == "-" {
		b, err := readBounded(in, "standard input")
		return "standard input", b, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		for _, name := range []string{engine.ManifestFile, "plan.json"} {
			inside := filepath.Join(path, name)
			if _, err := os.Stat(inside); err == nil {
				return readProfiles(inside, in)
			}
		}
		return path, nil, fault.New(fault.Input, "reading profiles", path, "the directory has neither manifest.json nor plan.json", "name the file")
	}
	f, err := os.Open(path)
	if err != nil {
		return path, nil, fsx.Explain("reading profiles", path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := readBounded(f, path)
	return path, b, err
}

func readBounded(r io.Reader, path string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxProfilesFile+1))
	if err != nil {
		return nil, fsx.Explain("reading profiles", path, err)
	}
	if len(b) > maxProfilesFile {
		return nil, fault.New(fault.Input, "reading profiles", path, fmt.Sprintf("it is larger than %d bytes", maxProfilesFile), "")
	}
	return b, nil
}

// formOf tells what a file is by what is in it.
func formOf(b []byte) (string, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && json.Unmarshal(b, &head) == nil {
		switch head.Kind {
		case formPlan, formManifest:
			return head.Kind, nil
		case "":
		default:
			return "", fault.New(fault.Input, "reading profiles", "", fmt.Sprintf("a file of kind %q holds no profiles", head.Kind), "")
		}
	}
	if sidecar.Is(b) && bytes.IndexByte(b, 0) >= 0 {
		return formSidecar, nil
	}
	return syntax.Detect(string(b))
}

// inFile gives the errors of a text the name of its file.
func inFile(path string, err error) error {
	var all []error
	for _, e := range flatten(err) {
		var f *fault.Error
		if errors.As(e, &f) && f.Stage == "reading profiles" {
			placed := *f
			placed.Subject = strings.TrimSpace(path + " " + f.Subject)
			e = &placed
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}
